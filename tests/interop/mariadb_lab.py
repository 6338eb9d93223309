"""A private MariaDB server: the one of the machine's own packages, in a folder of its own.

It listens on a socket in that folder and on a loopback port for its replicas,
knows no option file but its own, and never touches the system's service.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import sysroot
from server import free_port
from sysroot import LabError, LabUnavailable, install, quietly, say

START_SECONDS = 60
STOP_SECONDS = 60
POLL_SECONDS = 0.1
PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-binlog")
# Packages of Debian sid that are unpacked beside its MySQL, never installed.
SID_PACKAGES = (
    "mariadb-server-core", "mariadb-server", "mariadb-client-core", "mariadb-client", "mariadb-common", "libmariadb3"
)
# Programs that are no scripts: each is started by sid's own loader, with sid's libraries.
SID_PROGRAMS = (
    "sbin/mariadbd", "bin/mariadb", "bin/mariadb-admin", "bin/mariadb-binlog", "bin/my_print_defaults", "bin/resolveip"
)
MARKER = ".binlogsec-complete"


# Binary and relay logs are encrypted, under a key in a file of the plugin that reads them there.
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


def sid_programs() -> Path:
    """MariaDB of Debian sid (11.8) in a folder: its packages unpacked, with the libraries of the sysroot that
    MySQL lives in. Made once, and kept in the user's cache."""
    root = sysroot.obtain()
    target = sysroot.cache_folder() / "mariadb-sid"
    with sysroot.locked(target.with_name("mariadb-sid.lock")):
        if not (target / MARKER).is_file():
            shutil.rmtree(target, ignore_errors=True)
            unpack(root, target)
    return target


def unpack(root: Path, target: Path) -> None:
    say(f"unpacking MariaDB of sid into {target} (once; about 200 MB)")
    downloads = root / "tmp" / "mariadb-sid"
    shutil.rmtree(downloads, ignore_errors=True)
    downloads.mkdir()
    try:
        fetch = f"cd /tmp/mariadb-sid && apt-get -o APT::Sandbox::User=root download {' '.join(SID_PACKAGES)}"
        inside = ["chroot", str(root), "sh", "-c"]
        if not quietly([*inside, fetch]) and not (quietly([*inside, "apt-get update"]) and quietly([*inside, fetch])):
            raise LabUnavailable("sid's packages of MariaDB cannot be had")
        for package in downloads.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(target)], check=True, capture_output=True)
    finally:
        shutil.rmtree(downloads, ignore_errors=True)
    for name in SID_PROGRAMS:
        wrap(root, target, target / "usr" / name)
    (target / MARKER).write_text("sid\n", encoding="utf-8")


def wrap(root: Path, target: Path, program: Path) -> None:
    libraries = [folder / "usr/lib/x86_64-linux-gnu" for folder in (target, root)]
    # Behind what is given, as --no-defaults must come first.
    more = ""
    if program.name == "mariadbd":
        share = target / "usr/share/mariadb"
        more = f"--plugin-dir={target}/usr/lib/mysql/plugin --lc-messages-dir={share} --character-sets-dir={share}/charsets"
    moved = program.with_name(program.name + ".elf")
    program.rename(moved)
    loader = root / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    paths = ":".join(str(folder) for folder in libraries)
    program.write_text(f'#!/bin/sh\nexec {loader} --library-path {paths} {moved} "$@" {more}\n', encoding="utf-8")
    program.chmod(0o755)


class MariadbServer:
    """A context manager: entering makes the server, if no backup did, and starts it; leaving stops it.
    `programs` is a folder as `sid_programs` makes it; without one, the machine's own packages serve."""

    def __init__(
        self, home: Path, server_id: int, options: Mapping[str, str], programs: Path | None = None
    ) -> None:
        if programs is None:
            require_programs()
        self._programs = programs
        self.home = home
        self.datadir = home / "data"
        self.socket = home / "sock"
        self.port = free_port()
        self._options = {"server-id": str(server_id), **options}
        self._process: subprocess.Popen[bytes] | None = None

    def _template(self) -> Path:
        """A data directory without any data, made once in a run: a copy takes a tenth of the time."""
        made = self.home.parent / ("mariadb-sid-template" if self._programs else "mariadb-template")
        if not made.exists():
            command = [
                self._program("mariadb-install-db"),
                "--no-defaults",
                *([f"--basedir={self._programs}/usr"] if self._programs else []),
                f"--datadir={made}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--user=root",
            ]
            done = subprocess.run(command, env=self._environment(), capture_output=True)
            if done.returncode != 0:
                raise LabError(f"mariadb-install-db: {done.stderr.decode(errors='replace')[-300:]}")
        return made

    def __enter__(self) -> MariadbServer:
        if not self.datadir.exists():
            self.home.mkdir()
            shutil.copytree(self._template(), self.datadir)
        self.start()
        return self

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
            [self._program("mariadbd"), *fixed, *given],
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._await_answer()

    def _environment(self) -> dict[str, str]:
        """Temporary tables of two servers in one folder may have one name."""
        return {**os.environ, "TMPDIR": str(self.home)}

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
        return [self._program(program), "--no-defaults", f"--socket={self.socket}", "--user=root"]

    def _program(self, name: str) -> str:
        if self._programs is None:
            return name
        places = [self._programs / "usr" / folder / name for folder in ("sbin", "bin", "scripts")]
        return str(next(place for place in places if place.exists()))

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
