"""`recover` from what backup programs say of themselves: mysqldump, mariadb-dump, mariadb-backup and
mydumper make a backup of a server that goes on, the backup is restored, the logs do the rest.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import busy
import workload
from busy import QUICK, Server, Tables, tables
from checks import Check, each, true
from lab import Lab
from mariadb_lab import MariadbServer
from recovery import Recovery, replay, same_tables, set_aside
from scenarios.mariadb import encryption, key_file
from server import MysqlServer
from sysroot import LabError, install, say
from tool import Binlogsec

SCHEMAS = ("--databases", "shop", "far")
MYSQLDUMP = ("--single-transaction", "--routines", "--source-data=2", *SCHEMAS)
# What mysqldump says of where it is: GTIDs and a position, both as comments, or one of the two.
GTIDS = {
    "mysqldump": ("--set-gtid-purged=ON",),
    "mysqldump, GTIDs commented": ("--set-gtid-purged=COMMENTED",),
    "mysqldump, position alone": ("--set-gtid-purged=OFF",),
}
DUMP = ("--single-transaction", "--routines", "--master-data=2", *SCHEMAS)
OPTIONS = {**QUICK, "character-set-server": "utf8mb4"}


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    yield from each(partial(of_mysql, lab, tool), partial(of_mariadb, lab, tool))


def first_half(server: Server) -> None:
    busy.create_tables(server)
    server.sql(busy.DDL)
    workload.trade(server)


def second_half(server: Server) -> Tables:
    """Work goes on behind the backup, in the log that it names and in others."""
    workload.trade(server)
    server.sql("FLUSH BINARY LOGS")
    busy.statements(server, "MIXED")
    server.sql(busy.PARTITIONS)
    return tables(server)


def of_mysql(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    with lab.server("backed-up", binlog_encryption="ON", **QUICK) as server:
        first_half(server)
        dumps = {name: dump(lab, server, name, options) for name, options in GTIDS.items()}
        expected = second_half(server)
        recovery = Recovery(
            lab, tool, (set_aside(lab, server, "archive"),), ("--keyring", server.keyring_path)
        )
        for number, (name, path) in enumerate(dumps.items()):
            with lab.server(f"restored-{number}", **QUICK) as other:
                other.chroot.require(
                    other.chroot.run(*other.client(), stdin=path.read_bytes()), f"restore of {name}"
                )
                yield from from_there(recovery, name, path, other, expected)


def dump(lab: Lab, server: MysqlServer, name: str, options: tuple[str, ...]) -> Path:
    path = lab.scratch("dump") / "dump.sql"
    done = server.chroot.run("mysqldump", *server.connection(), *MYSQLDUMP, *options)
    path.write_bytes(server.chroot.require(done, name).stdout)
    return path


def from_there(
    recovery: Recovery, name: str, backup: Path, server: Server, expected: Tables
) -> Iterator[Check]:
    """The backup is in the server: what the logs add to it makes the tables."""
    what = f"from the backup of {name}"
    found = recovery.plan("--from", backup)
    yield true(
        f"{what}: it says where it is",
        bool(found.get("from", {}).get("gtids") or found.get("from", {}).get("log")),
        "GTIDs or a position",
        f"{found}",
    )
    yield from recovery.to_file(what, "--from", backup)
    yield from replay(recovery.lab, recovery.stream(what), server, what)
    yield same_tables(what, expected, tables(server))


def of_mariadb(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    keys = key_file(lab, "backed-up", 32)
    with MariadbServer(lab.folder / "m-backed-up", 81, {**encryption(keys), **OPTIONS}) as server:
        first_half(server)
        restores: dict[str, tuple[Path, Callable[[MariadbServer], None]]] = {}
        for name, options in {"mariadb-dump": ("--gtid",), "mariadb-dump, position alone": ()}.items():
            path = lab.scratch("dump") / "dump.sql"
            require([*server.client("mariadb-dump"), *DUMP, *options], path)
            restores[name] = (path, partial(load, path))
        for name, make in {"mariadb-backup": mariadb_backup, "mydumper": mydumper}.items():
            if shutil.which(name) is None:
                install(name)
            if shutil.which(name) is None:
                say(f"NOT RUN: {name} is not there")
            else:
                restores[name] = make(lab, server)
        expected = second_half(server)
        recovery = Recovery(lab, tool, (set_aside(lab, server, "m-archive"),), ("--mariadb-keys", keys))
        for number, (name, (backup, restore)) in enumerate(restores.items()):
            other = MariadbServer(lab.folder / f"m-restored-{number}", 82 + number, OPTIONS)
            if name == "mariadb-backup":
                restore(other)
            with other:
                if name != "mariadb-backup":
                    restore(other)
                yield from from_there(recovery, name, backup, other, expected)


def require(command: list[str | Path], into: Path | None = None) -> None:
    done = subprocess.run(command, capture_output=True, cwd="/")
    if done.returncode != 0:
        raise LabError(f"{command[0]}: {done.stderr.decode(errors='replace')[-300:]}")
    if into is not None:
        into.write_bytes(done.stdout)


def load(path: Path, server: MariadbServer) -> None:
    with path.open("rb") as file:
        done = subprocess.run(server.client("mariadb"), stdin=file, capture_output=True)
    if done.returncode != 0:
        raise LabError(f"restore of {path}: {done.stderr.decode(errors='replace')}")


def mariadb_backup(lab: Lab, server: MariadbServer) -> tuple[Path, Callable[[MariadbServer], None]]:
    target = lab.scratch("mariadb-backup") / "full"
    require(
        [
            *server.client("mariadb-backup"),
            "--backup",
            f"--target-dir={target}",
            f"--datadir={server.datadir}",
        ]
    )
    require(["mariadb-backup", "--no-defaults", "--prepare", f"--target-dir={target}"])
    return target, partial(copy_back, target)


def copy_back(target: Path, server: MariadbServer) -> None:
    """The data directory of a server that is still to be made."""
    server.home.mkdir()
    require(
        [
            "mariadb-backup",
            "--no-defaults",
            "--copy-back",
            f"--target-dir={target}",
            f"--datadir={server.datadir}",
        ]
    )


def mydumper(lab: Lab, server: MariadbServer) -> tuple[Path, Callable[[MariadbServer], None]]:
    target = lab.scratch("mydumper") / "full"
    connection = [f"--socket={server.socket}", "--user=root"]
    require(
        [
            "mydumper",
            *connection,
            "--regex=^(shop|far)\\.",
            "--triggers",
            "--routines",
            f"--outputdir={target}",
        ]
    )

    def restore(other: MariadbServer) -> None:
        require(["myloader", f"--socket={other.socket}", "--user=root", f"--directory={target}"])

    return target, restore
