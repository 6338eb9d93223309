"""One real MySQL server: its files, its life and what one can ask of it."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from checks import Finished
from chroot import Chroot
from sysroot import LabError

START_SECONDS = 60
STOP_SECONDS = 60
POLL_SECONDS = 0.05
LOG_MODE = 0o640

# What keeps an instance small, quiet and out of everybody's reach.
BASE_OPTIONS: Mapping[str, str] = {
    "bind_address": "127.0.0.1",
    "mysqlx": "OFF",
    "secure_file_priv": "NULL",
    "innodb_redo_log_capacity": "64M",
    "innodb_buffer_pool_size": "128M",
    "gtid_mode": "ON",
    "enforce_gtid_consistency": "ON",
    "log_bin": "binlog",
    "relay_log": "relay",
    "binlog_expire_logs_auto_purge": "OFF",
    "skip_replica_start": "ON",
}
ESCAPES = {"t": "\t", "n": "\n", "0": "\0", "\\": "\\"}
Rows = list[list[str]]


@dataclass(frozen=True)
class BinlogEntry:
    """A row of SHOW BINARY LOGS."""

    name: str
    size: int
    encrypted: bool


@dataclass(frozen=True)
class Event:
    """A row of SHOW BINLOG EVENTS or SHOW RELAYLOG EVENTS."""

    position: int
    kind: str


class MysqlServer:
    """A server with a data directory, a keyring, a port and a socket of its own.

    A context manager: entering starts it; leaving stops it, or kills it if the
    block failed. In between it may be stopped, killed and started at will.
    """

    def __init__(
        self, chroot: Chroot, home: Path, template: Path, server_id: int, options: Mapping[str, str]
    ) -> None:
        self.chroot = chroot
        self.home = home
        self.name = home.name
        self.datadir = home / "data"
        self.keyring_path = home / "keyring" / "component_keyring_file"
        self.error_log = home / "error.log"
        self.port = free_port()
        self._socket = chroot.inside(home / "sock")
        self._options = {**BASE_OPTIONS, "server_id": str(server_id), **spelled(options)}
        self._process: subprocess.Popen[bytes] | None = None
        self._template = template
        # Without a manifest nothing loads a keyring, and nothing can be encrypted.
        self.keyring = True

    def __enter__(self) -> MysqlServer:
        if not self.home.exists():
            self._prepare()
        self.start()
        return self

    def __exit__(self, failure: type[BaseException] | None, *_: object) -> None:
        if failure is None:
            self.stop()
        else:
            self.kill9()

    # -- life ---------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise LabError(f"{self.name} does not run")
        return self._process.pid

    def start(self, **options: str) -> None:
        """Start and wait until it answers; options given here stay for later starts."""
        if self.running:
            raise LabError(f"{self.name} runs already")
        self._options.update(spelled(options))
        self._write_options()
        self._process = self.chroot.start_server(
            "mysqld", f"--defaults-file={self.chroot.inside(self.home / 'my.cnf')}"
        )
        self._await_answer()

    def stop(self) -> None:
        """A clean shutdown: the open log is closed and its in-use bit cleared."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            status = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise LabError(f"{self.name} did not stop in {STOP_SECONDS} s") from None
        self._process = None
        if status != 0:
            raise self._broken(f"stopped with status {status}")

    def kill9(self) -> None:
        """A crash: nothing is closed, nothing is flushed. Harmless on a stopped server."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self, **options: str) -> None:
        self.stop()
        self.start(**options)

    # -- questions ----------------------------------------------------------

    def sql(self, text: str, *options: str) -> Rows:
        """Run statements as root and return their rows as text (NULL is `NULL`)."""
        done = self.chroot.run(*self.client(), *options, stdin=text.encode())
        self.chroot.require(done, f"{self.name}: {text[:80]}")
        # Not splitlines(): in a value, only tab, newline, NUL and backslash are escaped.
        lines = done.stdout.decode(errors="replace").split("\n")[:-1]
        return [[unescape(field) for field in line.split("\t")] for line in lines]

    def client(self) -> list[str]:
        """The command line of a client of this server that reads statements from stdin."""
        return ["mysql", *self.connection(), "--batch", "--skip-column-names"]

    def connection(self) -> list[str]:
        return ["--no-defaults", f"--socket={self._socket}", "--user=root"]

    def binlogs(self) -> list[BinlogEntry]:
        return [
            BinlogEntry(name, int(size), encrypted == "Yes")
            for name, size, encrypted in self.sql("SHOW BINARY LOGS")
        ]

    def events(self, log: str, kind: str = "BINLOG") -> list[Event]:
        """The events of a log as the server lists them; `kind` is BINLOG or RELAYLOG."""
        rows = self.sql(f"SHOW {kind} EVENTS IN '{log}'")
        return [Event(int(row[1]), row[2]) for row in rows]

    def served(self, log: str, into: Path) -> bytes:
        """The log in plaintext, as the server sends it to a replica or a backup."""
        self.chroot.require(self._serve([log], into), f"{self.name} serves {log}")
        return taken(into / f"served-{log}")

    def served_each(self, logs: list[str], into: Path) -> dict[str, bytes]:
        """Many logs, as `served`, by one client. Those that the server cannot read are not among them."""
        if self._serve(logs, into).returncode == 0:
            return {log: taken(into / f"served-{log}") for log in logs}
        # The client stops at the first log that is refused, so ask for each by itself.
        readable = (log for log in logs if self._serve([log], into).returncode == 0)
        return {log: taken(into / f"served-{log}") for log in readable}

    def _serve(self, logs: list[str], into: Path) -> Finished:
        return self.chroot.run(
            "mysqlbinlog",
            *self.connection(),
            "--read-from-remote-server",
            "--raw",
            f"--result-file={self.chroot.inside(into)}/served-",
            *logs,
        )

    # -- files --------------------------------------------------------------

    @property
    def keyring_inside(self) -> str:
        """Where the server itself finds its keyring."""
        return self.chroot.inside(self.keyring_path)

    @property
    def index_path(self) -> Path:
        return self.datadir / "binlog.index"

    def indexed(self) -> list[str]:
        """The file names in the binary log index."""
        return [Path(line).name for line in self.index_path.read_text(encoding="utf-8").split()]

    def relay_logs(self) -> list[Path]:
        return sorted(self.datadir.glob("relay.[0-9]*"))

    def log_path(self, log: str) -> Path:
        return self.datadir / log

    def install(self, source: Path, log: str) -> None:
        """Put a file in place of a log of a stopped server, or add it to the index.

        The server itself checks neither sizes nor dates: owner and index are all.
        """
        if self.running:
            raise LabError(f"{self.name} must be stopped before {log} is replaced")
        fresh = self.datadir / f".{log}.installing"
        shutil.copyfile(source, fresh)
        fresh.chmod(LOG_MODE)
        self.chroot.give_to_server(fresh)
        fresh.replace(self.log_path(log))
        if log not in self.indexed():
            with self.index_path.open("a", encoding="utf-8") as index:
                index.write(f"./{log}\n")

    # -- how it is made -----------------------------------------------------

    def _prepare(self) -> None:
        self.home.mkdir()
        (self.home / "tmp").mkdir()
        self.keyring_path.parent.mkdir(mode=0o750)
        shutil.copytree(self._template, self.datadir)
        keyring = {"path": self.keyring_inside, "read_only": False}
        manifest = {"components": "file://component_keyring_file"}
        if self.keyring:
            (self.datadir / "component_keyring_file.cnf").write_text(json.dumps(keyring), encoding="utf-8")
            (self.datadir / "mysqld.my").write_text(json.dumps(manifest), encoding="utf-8")
        self.chroot.give_to_server(self.home)

    def _write_options(self) -> None:
        inside = self.chroot.inside(self.home)
        own = {
            "datadir": f"{inside}/data",
            "tmpdir": f"{inside}/tmp",
            "socket": self._socket,
            "port": str(self.port),
            "pid_file": f"{inside}/pid",
            "log_error": f"{inside}/error.log",
        }
        lines = [f"{name} = {value}" for name, value in {**own, **self._options}.items()]
        (self.home / "my.cnf").write_text("\n".join(["[mysqld]", *lines, ""]), encoding="utf-8")

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.chroot.run("mysqladmin", *self.connection(), "ping").returncode != 0:
            if not self.running:
                self._process = None
                raise self._broken("does not start")
            if time.monotonic() > deadline:
                raise self._broken(f"does not answer after {START_SECONDS} s")
            time.sleep(POLL_SECONDS)

    def _broken(self, what: str) -> LabError:
        """The server's own words say why; the scenario's message alone would not."""
        lines = self.error_log.read_text(errors="replace").splitlines() if self.error_log.exists() else []
        errors = [line for line in lines if "[ERROR]" in line][-3:]
        return LabError(f"{self.name} {what}: {' | '.join(errors) or 'its error log has no error'}")


def taken(file: Path) -> bytes:
    """A file's content; the file goes."""
    content = file.read_bytes()
    file.unlink()
    return content


def spelled(options: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("-", "_"): value for name, value in options.items()}


def unescape(field: str) -> str:
    """Undo what the client does in batch mode to keep a row on one line."""
    return re.sub(r"\\(.)", lambda match: ESCAPES.get(match[1], match[1]), field)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
