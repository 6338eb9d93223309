"""A private MariaDB server, in a folder of its own: the one of the machine's own packages, or of a root.

It listens on a socket in that folder and on a loopback port for its replicas,
knows no option file but its own, and never touches the system's service.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from server import free_port
from sysroot import LabError, LabUnavailable, install

START_SECONDS = 60
STOP_SECONDS = 60
POLL_SECONDS = 0.1
PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-binlog")


# One key of 16 bytes in a file of the plugin that reads them there.
ENCRYPTED = {"plugin-load-add": "file_key_management", "encrypt-binlog": "ON"}


def with_keys(home: Path, options: Mapping[str, str]) -> dict[str, str]:
    """The options of a server in this folder; of one that encrypts, with its key file beside it."""
    if "encrypt-binlog" not in options:
        return dict(options)
    keys = key_file(home)
    keys.write_text("1;000102030405060708090a0b0c0d0e0f\n")
    return {**options, "file-key-management-filename": str(keys)}


def key_file(home: Path) -> Path:
    return home.with_name(home.name + ".keys")


def key_arguments(server: MariadbServer) -> list[str | Path]:
    """By which the command reads its logs."""
    keys = key_file(server.home)
    return ["--mariadb-keys", keys] if keys.exists() else []


def missing_programs() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


def require_programs() -> None:
    if missing_programs():
        install("mariadb-server")
    if missing := missing_programs():
        raise LabUnavailable(f"{', '.join(missing)} not found: apt-get install mariadb-server")


# What a root has of the system tables, in the order in which a server takes them.
SYSTEM_TABLES = (
    "mariadb_system_tables.sql",
    "mariadb_performance_tables.sql",
    "mariadb_system_tables_data.sql",
    "maria_add_gis_sp_bootstrap.sql",
)


class MariadbServer:
    """A context manager: entering makes and starts the server, leaving stops it. With `root` it is
    the one in that folder, which runs with the libraries there; the clients are the machine's."""

    def __init__(
        self, home: Path, server_id: int, options: Mapping[str, str], root: Path | None = None
    ) -> None:
        require_programs()
        self.root = root
        self.home = home
        self.datadir = home / "data"
        self.socket = home / "sock"
        self.port = free_port()
        self._options = {"server-id": str(server_id), **options}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> MariadbServer:
        self.home.mkdir()
        done = self._install() if self.root is None else self._bootstrap(self.root)
        if done.returncode != 0:
            raise LabError(f"{self.home.name} is not made: {done.stderr.decode(errors='replace')[-300:]}")
        self.start()
        return self

    def _install(self) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [
                "mariadb-install-db",
                "--no-defaults",
                f"--datadir={self.datadir}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--user=root",
            ],
            capture_output=True,
        )

    def _bootstrap(self, root: Path) -> subprocess.CompletedProcess[bytes]:
        """What mariadb-install-db does, which would call the root's programs with the wrong libraries."""
        self.datadir.mkdir()
        scripts = [(root / "usr/share/mariadb" / name).read_text() for name in SYSTEM_TABLES]
        head = "CREATE DATABASE mysql; USE mysql; SET @auth_root_socket=NULL;\n"
        command = [*self._server(), "--no-defaults", "--bootstrap", "--user=root", *self._places()]
        command += [f"--datadir={self.datadir}", "--innodb-log-file-size=8M"]
        return subprocess.run(command, input=(head + "".join(scripts)).encode(), capture_output=True)

    def _server(self) -> list[str]:
        if self.root is None:
            return ["mariadbd"]
        loader = self.root / "usr/lib64/ld-linux-x86-64.so.2"
        libraries = self.root / "usr/lib/x86_64-linux-gnu"
        return [str(loader), "--library-path", str(libraries), str(self.root / "usr/sbin/mariadbd")]

    def _places(self) -> list[str]:
        if self.root is None:
            return []
        usr = self.root / "usr"
        return [
            f"--basedir={usr}",
            f"--lc-messages-dir={usr / 'share/mariadb'}",
            f"--character-sets-dir={usr / 'share/mariadb/charsets'}",
            f"--plugin-dir={usr / 'lib/mysql/plugin'}",
        ]

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, **options: str) -> None:
        """Options given here stay for later starts."""
        self._options.update({name.replace("_", "-"): value for name, value in options.items()})
        fixed = [
            "--no-defaults",
            *self._places(),
            "--user=root",
            f"--datadir={self.datadir}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--log-error={self.home / 'error.log'}",
            f"--pid-file={self.home / 'pid'}",
            "--log-bin=binlog",
            "--relay-log=relay",
            "--relay-log-purge=OFF",
            "--skip-slave-start",
            "--innodb-buffer-pool-size=32M",
            "--innodb-log-file-size=8M",
        ]
        given = [f"--{name}={value}" for name, value in self._options.items()]
        self._process = subprocess.Popen(
            [*self._server(), *fixed, *given], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._await_answer()

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def restart(self, **options: str) -> None:
        self.stop()
        self.start(**options)

    def records(self, text: str) -> list[dict[str, str]]:
        """Rows by the names of their columns."""
        done = subprocess.run([*self.client("mariadb"), "-B"], input=text.encode(), capture_output=True)
        head, *rows = [line.split("\t") for line in done.stdout.decode().split("\n")[:-1]] or [[]]
        return [dict(zip(head, row, strict=True)) for row in rows]

    def sql(self, text: str) -> list[list[str]]:
        done = subprocess.run([*self.client("mariadb"), "-BN"], input=text.encode(), capture_output=True)
        if done.returncode != 0:
            raise LabError(f"{self.home.name}: {text[:80]}: {done.stderr.decode(errors='replace')}")
        return [line.split("\t") for line in done.stdout.decode(errors="replace").split("\n")[:-1]]

    def client(self, program: str) -> list[str]:
        return [program, "--no-defaults", f"--socket={self.socket}", "--user=root"]

    def version(self) -> str:
        return self.sql("SELECT VERSION()")[0][0].split("-")[0]

    def binlogs(self) -> list[str]:
        return [row[0] for row in self.sql("SHOW BINARY LOGS")]

    def events(self, log: str, kind: str = "BINLOG") -> list[tuple[int, str]]:
        return [(int(row[1]), row[2]) for row in self.sql(f"SHOW {kind} EVENTS IN '{log}'")]

    def served(self, log: str, into: Path) -> bytes:
        """The log in plaintext, as the server sends it."""
        prefix = into / "served-"
        command = [*self.client("mariadb-binlog"), "--read-from-remote-server", "--raw"]
        done = subprocess.run([*command, f"--result-file={prefix}", log], capture_output=True)
        if done.returncode != 0:
            raise LabError(f"{self.home.name} does not serve {log}: {done.stderr.decode(errors='replace')}")
        file = into / f"served-{log}"
        content = file.read_bytes()
        file.unlink()
        return content

    def replicate_from(self, source: MariadbServer) -> None:
        source.sql("CREATE USER IF NOT EXISTS repl@'127.0.0.1' IDENTIFIED BY 'made-up'")
        source.sql("GRANT REPLICATION SLAVE ON *.* TO repl@'127.0.0.1'")
        self.sql(
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={source.port}, MASTER_USER='repl',"
            "MASTER_PASSWORD='made-up', MASTER_USE_GTID=slave_pos; START SLAVE"
        )

    def catch_up(self, source: MariadbServer) -> None:
        position = source.sql("SELECT @@gtid_binlog_pos")[0][0]
        if self.sql(f"SELECT MASTER_GTID_WAIT('{position}', 60)") != [["0"]]:
            raise LabError(f"{self.home.name} does not catch up with {source.home.name}")

    def _await_answer(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while subprocess.run([*self.client("mariadb-admin"), "ping"], capture_output=True).returncode != 0:
            ended = self._process is None or self._process.poll() is not None
            if ended or time.monotonic() > deadline:
                log = self.home / "error.log"
                text = log.read_text(errors="replace") if log.exists() else ""
                errors = re.findall(r"\[ERROR\].*", text)[-3:]
                self.stop()
                raise LabError(f"{self.home.name} does not answer: {' | '.join(errors)}")
            time.sleep(POLL_SECONDS)
