"""`recover --apply`: straight into a server through its own client programs, which are killed in the
middle; the same command, given again, goes on from the server's own GTIDs.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import busy
import workload
from bench import text
from busy import QUICK, Server, tables
from checks import Check, Finished, each, equal, exit_status, true
from lab import Lab
from mariadb_lab import MariadbServer
from recovery import same_tables, set_aside
from scenarios.mariadb import encryption, key_file
from sysroot import LabError
from tool import Binlogsec

PASSWORD = "made-up-and-never-an-argument"
SMALL = 1000
KILLED_AFTER = 100
SECONDS = 60
OPTIONS = {"local-infile": "ON", "character-set-server": "utf8mb4"}


@dataclass(frozen=True)
class Apply:
    """The command, the server that is to get the transactions, and where both find their files."""

    tool: Binlogsec
    target: Server
    arguments: tuple[str | Path, ...]
    client: str
    # Where programs put their temporary files.
    temporary: Path
    gtids: Callable[[], str]

    def run(self, *more: str | Path) -> Finished:
        return self.tool.run("recover", *self.arguments, *more)


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    yield from each(
        partial(into_mysql, lab, binlogsec),
        partial(into_mariadb, lab, tool),
        partial(beside_what_the_restore_wrote, lab, tool),
        partial(a_server_without_a_log, lab, tool),
    )


def busy_life(lab: Lab, server: Server) -> busy.Tables:
    """All kinds of transactions, and so many small ones that a client is met in the middle of them."""
    busy.create_tables(server)
    workload.trade(server)
    server.sql("FLUSH BINARY LOGS")
    server.sql("INSERT INTO shop.customer (name) VALUES ('small');" * SMALL)
    for binlog_format in ("STATEMENT", "ROW"):
        busy.statements(server, binlog_format)
        busy.load_data(server, lab.scratch("files"), binlog_format)
    server.sql(busy.ACROSS_LOGS.format(between=""))
    server.sql(busy.DDL)
    busy.xa(server)
    return tables(server)


def account(server: Server, folder: Path) -> Path:
    """An account with a password, and the option file that has it."""
    server.sql(
        f"CREATE USER restore@localhost IDENTIFIED BY '{PASSWORD}'; GRANT ALL ON *.* TO restore@localhost"
    )
    file = folder / "client.cnf"
    file.write_text(f"[client]\npassword={PASSWORD}\n")
    file.chmod(0o600)
    return file


def into_mysql(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    """The command runs where the server's programs are."""
    program = lab.scratch("program") / "binlogsec"
    shutil.copy(binlogsec, program)
    inside = lab.chroot.inside
    tool = Binlogsec(Path(inside(program)), ("chroot", str(lab.chroot.root)))
    with lab.server("source", binlog_encryption="ON", **QUICK) as source:
        expected = busy_life(lab, source)
        archive = set_aside(lab, source, "archive")
        keyring = source.keyring_inside
        [[executed]] = source.sql("SELECT @@GLOBAL.gtid_executed")
    with lab.server("target", local_infile="ON") as target:
        options = account(target, lab.scratch("options"))
        url = f"mysql://restore@localhost/?socket={target.connection()[1].split('=')[1]}&defaults-file={inside(options)}"
        has = f"SELECT GTID_SUBSET('{executed}', @@GLOBAL.gtid_executed)"
        arguments = (inside(archive), "--from", url, "--keyring", keyring, "--apply")
        apply = Apply(
            tool, target, arguments, "mysql", lab.chroot.root / "tmp", lambda: target.sql(has)[0][0]
        )
        yield from killed_and_resumed(apply, expected)
        address = f"mysql://root@127.0.0.1:{target.port}/?ssl-mode=required"
        done = tool.run("recover", inside(archive), "--from", address, "--keyring", keyring, "--plan")
        yield exit_status("by TCP and TLS the server says that nothing is left to do", 1, done)
    without = {"gtid_mode": "OFF", "enforce_gtid_consistency": "OFF"}
    with lab.server("without-gtids", **QUICK, **without) as other:
        url = f"mysql://root@localhost/?socket={other.connection()[1].split('=')[1]}"
        done = tool.run("recover", inside(archive), "--from", url, "--keyring", keyring, "--plan")
        yield exit_status("a server without GTIDs cannot say what it has", 2, done)


def into_mariadb(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    keys = key_file(lab, "applied", 32)
    with MariadbServer(lab.folder / "m-source", 61, {**encryption(keys), **OPTIONS, **QUICK}) as source:
        expected = busy_life(lab, source)
        archive = set_aside(lab, source, "m-archive")
        [[position]] = source.sql("SELECT @@gtid_binlog_pos")
    with MariadbServer(lab.folder / "m-target", 62, OPTIONS) as target:
        with_own = target.sql("SELECT @@gtid_binlog_pos")
        options = quiet_account(target, lab.scratch("options"))
        url = f"mariadb://restore@localhost/?socket={target.socket}&defaults-file={options}"
        arguments = (archive, "--from", "beginning", "--mariadb-keys", keys, "--apply", url)
        apply = Apply(
            tool,
            target,
            arguments,
            "mariadb",
            Path(tempfile.gettempdir()),
            lambda: str(int(target.sql("SELECT @@gtid_binlog_pos") == [[position]])),
        )
        yield equal("the server has no transaction of its own", [[""]], with_own)
        yield from killed_and_resumed(apply, expected)


def quiet_account(server: MariadbServer, folder: Path) -> Path:
    """Not in the server's log: MariaDB's numbers are one row in a domain, and the logs begin with 1."""
    server.sql(
        f"SET SESSION sql_log_bin = 0; CREATE USER restore@localhost IDENTIFIED BY '{PASSWORD}';"
        "GRANT ALL ON *.* TO restore@localhost"
    )
    file = folder / "client.cnf"
    file.write_text(f"[client]\npassword={PASSWORD}\n")
    file.chmod(0o600)
    return file


def beside_what_the_restore_wrote(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    """A dump that was read in with the binary log on: the server's own numbers say nothing of the logs'."""
    with MariadbServer(lab.folder / "m-busy", 63, {**OPTIONS, **QUICK}) as source:
        workload.create_tables(source)
        dump = lab.scratch("dump") / "dump.sql"
        options = ("--master-data=2", "--gtid", "--single-transaction", "--databases", "shop")
        done = subprocess.run([*source.client("mariadb-dump"), *options], capture_output=True, check=True)
        dump.write_bytes(done.stdout)
        workload.trade(source)
        expected, archive = tables(source), set_aside(lab, source, "m-busy")
    for what, number in (("another server", 64), ("the same server", 63)):
        with MariadbServer(lab.folder / f"m-{number}-again", number, {**OPTIONS, **QUICK}) as target:
            target.sql(dump.read_text(encoding="utf-8"))
            target.sql("CREATE DATABASE own;" + "CREATE TABLE own.t (a INT); DROP TABLE own.t;" * 5)
            restored = tables(target)
            url = f"mariadb://root@localhost/?socket={target.socket}"
            done = tool.run("recover", archive, "--from", dump, "--apply", url)
            if number == 64:
                yield exit_status(f"{what}: its own numbers are no matter", 0, done)
                yield same_tables(f"{what}: beside its own numbers", expected, tables(target))
                continue
            yield exit_status(f"{what}: numbers beyond the backup's are told", 2, done)
            yield same_tables(f"{what}: nothing is applied", restored, tables(target))
            target.sql("RESET MASTER")
            done = tool.run("recover", archive, "--from", dump, "--apply", url)
            yield exit_status(f"{what}: without them it is applied", 0, done)
            yield same_tables(f"{what}: without them", expected, tables(target))


def a_server_without_a_log(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    with MariadbServer(lab.folder / "m-mute", 65, {**OPTIONS, **QUICK, "skip-log-bin": "ON"}) as target:
        url = f"mariadb://root@localhost/?socket={target.socket}"
        done = tool.run("recover", lab.scratch("empty"), "--from", url, "--plan")
        yield exit_status("a server that writes no log cannot say what it has", 2, done)
        said = text(done.stderr)
        yield true(
            "and that is what is told", "log" in said and "no log is there" not in said, "a word", said
        )


def killed_and_resumed(apply: Apply, expected: busy.Tables) -> Iterator[Check]:
    name, before = apply.client, left_in(apply.temporary)
    running = apply.tool.start("recover", *apply.arguments)
    try:
        seen = kill_in_the_middle(apply, running)
        said = running.communicate(timeout=SECONDS)[1]
    finally:
        running.kill()
    done = subprocess.CompletedProcess([], running.returncode, b"", said)
    yield exit_status(f"{name}: a client that was killed ends the command", 2, done)
    yield true(
        f"{name}: it says which program failed",
        f"{name} failed".encode() in said,
        f"{name} failed",
        text(said),
    )
    yield equal(f"{name}: no password in any argument", [], [line for line in seen if PASSWORD in line])
    yield true(f"{name}: both programs were seen", len(seen) >= 2, "two command lines", f"{seen}")
    yield equal(f"{name}: only a part is there", "0", apply.gtids())
    again = apply.run()
    yield exit_status(f"{name}: the same command goes on", 0, again)
    yield equal(f"{name}: the server has all GTIDs of the source", "1", apply.gtids())
    yield same_tables(f"{name}: after the rest", expected, tables(apply.target))
    yield exit_status(f"{name}: a third time nothing is left to do", 1, apply.run())
    yield equal(f"{name}: no file of LOAD DATA is left behind", before, left_in(apply.temporary))


def left_in(temporary: Path) -> list[str]:
    """What the readers of logs leave of files that LOAD DATA read."""
    return sorted(path.name for path in temporary.glob("SQL_LOAD*"))


def kill_in_the_middle(apply: Apply, running: subprocess.Popen[bytes]) -> list[str]:
    """Kills the client when some of the small transactions are there; the command lines of both programs."""
    deadline = time.monotonic() + SECONDS
    seen: dict[int, str] = {}
    while time.monotonic() < deadline and running.poll() is None:
        children = {pid: line for pid, line in children_of(running.pid)}
        seen |= children
        if small_ones(apply.target) >= KILLED_AFTER:
            for pid, line in children.items():
                if Path(line.split("\0")[0]).name == apply.client:
                    os.kill(pid, signal.SIGKILL)
                    return list(seen.values())
    raise LabError(f"no {apply.client} was met in the middle of its work: {list(seen.values())}")


def small_ones(server: Server) -> int:
    try:
        return int(server.sql("SELECT COUNT(*) FROM shop.customer WHERE name = 'small'")[0][0])
    except LabError:
        return 0


def children_of(parent: int) -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            if int(status[1]) == parent:
                yield int(folder.name), (folder / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
