"""The interop lab: real MySQL servers, driven from a script.

    with Lab(sysroot.obtain()) as lab:
        with lab.server("shop", binlog_encryption="ON") as server:
            server.sql("CREATE DATABASE shop")
            print(server.binlogs())

Whatever a lab starts is stopped, and whatever it writes is removed, when the
`with` block ends in whichever way.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from checks import Finished
from chroot import Chroot
from server import MysqlServer
from sysroot import LabError, locked, remove_tree, say

WORKSPACES = "srv/binlogsec-interop"
SERVER_ID_BASE = 100
INITIALISE_SECONDS = 120
REPLICATION_USER = "repl"
REPLICATION_PASSWORD = "made-up-and-secret-to-nobody"
REPLICA_SECONDS = 60
KILLS = 30


class Lab:
    """One run's private workspace within the server's root."""

    def __init__(self, root: Path, kills: int = KILLS) -> None:
        # How many times the scenario of that name kills the command.
        self.kills = kills
        self.chroot = Chroot(root.resolve())
        self.workspaces = self.chroot.root / WORKSPACES
        self._stack = contextlib.ExitStack()
        self._servers = 0

    def __enter__(self) -> Lab:
        self.workspaces.mkdir(parents=True, exist_ok=True)
        with locked(self.workspaces / "lock"), contextlib.ExitStack() as stack:
            self._sweep()
            self.folder = stack.enter_context(workspace(self.workspaces))
            self.template = self._template()
            self._allow_local_keyrings()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # -- what scenarios use -------------------------------------------------

    def server(self, name: str, **options: str) -> MysqlServer:
        """A server that does not run yet; options are those of my.cnf, `_` or `-` alike.

        Registered here as well, so that it ends with the lab even if the
        caller forgets to use it as a context manager.
        """
        self._servers += 1
        home = self.folder / name
        if home.exists():
            raise LabError(f"two servers are named {name}")
        server = MysqlServer(self.chroot, home, self.template, SERVER_ID_BASE + self._servers, options)
        self._stack.callback(server.kill9)
        return server

    @contextlib.contextmanager
    def replica_of(self, source: MysqlServer, name: str, **options: str) -> Iterator[MysqlServer]:
        """A running server that replicates from `source`, by GTID and without TLS."""
        account = f"'{REPLICATION_USER}'@'127.0.0.1'"
        source.sql(f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY '{REPLICATION_PASSWORD}'")
        source.sql(f"GRANT REPLICATION SLAVE ON *.* TO {account}")
        with self.server(name, **options) as replica:
            replica.sql(
                "CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', "
                f"SOURCE_PORT={source.port}, SOURCE_USER='{REPLICATION_USER}', "
                f"SOURCE_PASSWORD='{REPLICATION_PASSWORD}', SOURCE_AUTO_POSITION=1, "
                "GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1; START REPLICA"
            )
            yield replica

    def catch_up(self, source: MysqlServer, replica: MysqlServer) -> None:
        """Wait until the replica has executed all that the source has."""
        [[done]] = source.sql("SELECT @@GLOBAL.gtid_executed")
        wait = f"SELECT WAIT_FOR_EXECUTED_GTID_SET('{done}', {REPLICA_SECONDS})"
        if replica.sql(wait) != [["0"]]:
            raise LabError(f"{replica.name} did not catch up with {source.name}")

    def mysqlbinlog(
        self, arguments: Sequence[str | Path], stdin: bytes | IO[bytes] | None = None
    ) -> Finished:
        """Run the server's own mysqlbinlog. `Path`s are files of the host, copied in if need be."""
        with contextlib.ExitStack() as stack:
            argv = [self._reachable(a, stack) if isinstance(a, Path) else a for a in arguments]
            return self.chroot.run("mysqlbinlog", "--no-defaults", *argv, stdin=stdin)

    def scratch(self, name: str) -> Path:
        """An empty folder with a fresh name, readable from inside and outside."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))

    def _reachable(self, path: Path, stack: contextlib.ExitStack) -> str:
        if self.chroot.contains(path):
            return self.chroot.inside(path)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self.folder)))
        return self.chroot.inside(Path(shutil.copy(path, folder)))

    # -- how it is made -----------------------------------------------------

    def _sweep(self) -> None:
        """Remove workspaces whose run was killed: nobody holds their lock any more."""
        for folder in self.workspaces.glob("run-*"):
            with lock_of(folder).open("a") as file, contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                discard(folder)

    def _template(self) -> Path:
        """An initialised data directory, made once for each server version.

        Copying it takes a tenth of a second; initialising takes several.
        """
        version = self.chroot.require(self.chroot.run("mysqld", "--version"), "mysqld --version").stdout
        template = self.workspaces / f"template-{hashlib.sha256(version).hexdigest()[:12]}"
        if not template.exists():
            say("initialising a data directory (once)")
            made = self._initialise()
            made.rename(template)
        return template

    def _initialise(self) -> Path:
        home = self.folder / "initialise"
        home.mkdir()
        self.chroot.give_to_server(home)
        inside = self.chroot.inside(home)
        process = self.chroot.start_server(
            "mysqld",
            "--no-defaults",
            "--initialize-insecure",
            "--disable-log-bin",
            f"--datadir={inside}/data",
            f"--tmpdir={inside}",
            f"--log-error={inside}/error.log",
            "--innodb-redo-log-capacity=8M",
        )
        try:
            status = process.wait(INITIALISE_SECONDS)
        finally:
            process.kill()
            process.wait()
        if status != 0:
            raise LabError("the server cannot initialise a data directory: " + tail(home / "error.log"))
        # Every copy needs a UUID of its own, and makes one where this file is missing.
        (home / "data/auto.cnf").unlink()
        return home / "data"

    def _allow_local_keyrings(self) -> None:
        """Tell the server to read manifest and keyring configuration of each data directory."""
        plugins = sorted(self.chroot.root.glob("usr/lib*/**/component_keyring_file.so"))
        if not plugins:
            raise LabError(f"no component_keyring_file.so in {self.chroot.root}")
        write_json(self.chroot.root / "usr/sbin/mysqld.my", {"read_local_manifest": True})
        write_json(plugins[0].with_name("component_keyring_file.cnf"), {"read_local_config": True})


@contextlib.contextmanager
def workspace(parent: Path) -> Iterator[Path]:
    """A folder for one run. Its lock, held until it is gone, says that it is in use."""
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=parent))
    # The server's user must pass through; what lies in it belongs to that user alone.
    folder.chmod(0o711)
    with lock_of(folder).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield folder
        finally:
            discard(folder)


def lock_of(folder: Path) -> Path:
    """Beside the folder, not in it: it must outlive the folder's removal."""
    return folder.with_name(f"lock-{folder.name}")


def discard(folder: Path) -> None:
    """Remove a workspace whose lock the caller holds, the lock last."""
    if folder.exists():
        remove_tree(folder)
    lock_of(folder).unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write only what differs, whole: another run may be starting a server from it."""
    text = json.dumps(value)
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(0o644)
    fresh.replace(path)


def tail(path: Path, lines: int = 5) -> str:
    with contextlib.suppress(OSError):
        return "\n".join(path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
    return "(no log)"
