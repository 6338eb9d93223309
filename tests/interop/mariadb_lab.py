"""A private MariaDB server: the one of the machine's own packages, in a folder of its own.

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


def missing_programs() -> list[str]:
    return [name for name in PROGRAMS if shutil.which(name) is None]


def require_programs() -> None:
    if missing_programs():
        install("mariadb-server")
    if missing := missing_programs():
        raise LabUnavailable(f"{', '.join(missing)} not found: apt-get install mariadb-server")


class MariadbServer:
    """A context manager: entering makes the server, if no backup did, and starts it; leaving stops it."""

    def __init__(self, home: Path, server_id: int, options: Mapping[str, str]) -> None:
        require_programs()
        self.home = home
        self.datadir = home / "data"
        self.socket = home / "sock"
        self.port = free_port()
        self._options = {"server-id": str(server_id), **options}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> MariadbServer:
        if self.datadir.exists() or self._copied():
            self.start()
            return self
        self.home.mkdir()
        done = subprocess.run(
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
        if done.returncode != 0:
            raise LabError(f"mariadb-install-db: {done.stderr.decode(errors='replace')[-300:]}")
        shutil.copytree(self.datadir, self._template())
        self.start()
        return self

    def _template(self) -> Path:
        """A data directory without any data, kept for the run: a copy takes a tenth of the time."""
        return self.home.parent / "mariadb-template"

    def _copied(self) -> bool:
        if not self._template().exists():
            return False
        shutil.copytree(self._template(), self.datadir)
        return True

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, **options: str) -> None:
        """Options given here stay for later starts."""
        self._options.update({name.replace("_", "-"): value for name, value in options.items()})
        fixed = [
            "--no-defaults",
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
            ["mariadbd", *fixed, *given], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
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

    def sql(self, text: str, *options: str) -> list[list[str]]:
        command = [*self.client("mariadb"), "-BN", *options]
        done = subprocess.run(command, input=text.encode(), capture_output=True)
        if done.returncode != 0:
            raise LabError(f"{self.home.name}: {text[:80]}: {done.stderr.decode(errors='replace')}")
        return [line.split("\t") for line in done.stdout.decode(errors="replace").split("\n")[:-1]]

    def client(self, program: str) -> list[str]:
        return [program, "--no-defaults", f"--socket={self.socket}", "--user=root"]

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
        position = source.sql("SELECT @@gtid_current_pos")[0][0]
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
