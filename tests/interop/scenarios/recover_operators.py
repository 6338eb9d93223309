"""Restores that lost logs in the hands of operators and backup programs, with real servers:

* Percona's operator for XtraDB Cluster (pull request 2502): the collector goes on at another node,
  whose open log is older than the backup and has the only copy of what came behind it.
* WAL-G (2497, 2527): after a failover names of logs and their numbers say nothing, and a position is
  of one server's log alone.
* MariaDB's operator (1912): any moment is one as good as the last.
* RESET: a server gives the same GTIDs to other transactions, and its archive has both.
* MariaDB's operator (1815): a primary that is primary once more uses its names of logs again.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import busy
import workload
from accident import a_quiet_moment
from busy import QUICK, Server, tables
from checks import Check, each, equal, exit_status, true
from lab import Lab
from mariadb_lab import MariadbServer
from recovery import BEGINNING, Recovery, flushed, refused, replay, restored, set_aside
from scenarios.mariadb import encryption, key_file
from scenarios.recover_mariadb import OPTIONS, another
from server import MysqlServer
from tool import Binlogsec


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    keys = key_file(lab, "operators", 32)
    recovery = Recovery(lab, tool, (), ("--mariadb-keys", keys))
    yield from each(
        partial(a_collector_that_changed_its_node, lab, tool),
        partial(any_moment_of_one_server, recovery, keys),
        partial(a_primary_that_begins_anew, recovery, keys),
        partial(numbers_that_are_given_twice, lab, tool),
        partial(a_server_that_was_restored_under_its_own_number, lab, tool),
    )


def a_collector_that_changed_its_node(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    """Two nodes with the same transactions, in logs that are cut at other places."""
    with (
        lab.server("pod-0", binlog_encryption="ON", **QUICK) as pod_0,
        lab.replica_of(pod_0, "pod-1", binlog_encryption="ON", **QUICK) as pod_1,
    ):
        busy.create_tables(pod_0)
        workload.trade(pod_0)
        flushed(pod_0)
        workload.trade(pod_0)
        backup, place = a_backup(lab, pod_0)
        workload.trade(pod_0)
        collected = set_aside(lab, pod_0, "collected")
        # Nobody collects this log of the first node: it is purged.
        workload.trade(pod_0)
        lab.catch_up(pod_0, pod_1)
        open_log = lab.scratch("open")
        shutil.copy(pod_1.log_path(pod_1.binlogs()[-1].name), open_log)
        expected = tables(pod_1)
        keys = ("--keyring", pod_0.keyring_path, "--keyring", pod_1.keyring_path)
        recovery = Recovery(lab, tool, (collected, open_log), keys)
        yield from from_a_dump(recovery, backup, "a log that is older than the backup", expected)
        pod_1.sql("STOP REPLICA; RESET REPLICA ALL")
        workload.trade(pod_1)
        flushed(pod_1)
        theirs, expected = set_aside(lab, pod_1, "theirs"), tables(pod_1)
        both = recovery.of(collected, theirs)
        yield from from_a_dump(
            both, place, "after the failover, by the place and the GTIDs", expected, backup
        )
        yield from by_a_position(both, place, pod_0, pod_1)


def a_backup(lab: Lab, server: MysqlServer) -> tuple[Path, Path]:
    """A dump, and what XtraBackup would write beside its copy at the same time."""
    folder = lab.scratch("backup")
    options = (
        "--single-transaction",
        "--routines",
        "--set-gtid-purged=ON",
        "--source-data=2",
        "--databases",
        "shop",
    )
    done = server.chroot.run("mysqldump", *server.connection(), *options)
    dump = folder / "dump.sql"
    dump.write_bytes(server.chroot.require(done, "mysqldump").stdout)
    [[log, position, *_, gtids]] = server.sql("SHOW BINARY LOG STATUS")
    full = folder / "full"
    full.mkdir()
    (full / "xtrabackup_binlog_info").write_text(f"{log}\t{position}\t{gtids}\n")
    return dump, full


def from_a_dump(
    recovery: Recovery, origin: Path, what: str, expected: busy.Tables, dump: Path | None = None
) -> Iterator[Check]:
    yield from recovery.to_file(what, "--from", origin)
    with recovery.lab.server("node-" + str(len(what)), **QUICK) as other:
        content = (dump or origin).read_bytes()
        other.chroot.require(other.chroot.run(*other.client(), stdin=content), "restore")
        yield from restored(recovery.lab, recovery.stream(what), other, what, expected)


def by_a_position(both: Recovery, place: Path, pod_0: MysqlServer, pod_1: MysqlServer) -> Iterator[Check]:
    """A name that two servers' logs have names no place, until it is said whose it is."""
    log, position, gtids = (place / "xtrabackup_binlog_info").read_text().split("\t")
    names = [entry.name for entry in pod_1.binlogs()]
    yield true("both servers have a log of that name", log in names, log, f"{names}")
    done = both.run("--from", f"{log}:{position}", "--plan")
    yield exit_status("a position in either's log is refused", 2, done)
    yield true("the servers are named", b"--server-id" in done.stderr, "--server-id", done.stderr.decode())
    [[own]] = pod_0.sql("SELECT @@server_id")
    by_position = both.plan("--from", f"{log}:{position}", "--server-id", own)
    by_gtids = both.plan("--from", gtids.strip(), "--server-id", own)
    found = [[it["gtids"] for it in plan["slices"]] for plan in (by_position, by_gtids)]
    yield equal("with the server named the position is as good as the GTIDs", found[1], found[0])
    yield true("and there is something to do", bool(found[0]), "slices", "none")
    for wrong in (int(position) + 1, 10**9):
        done = both.run("--from", f"{log}:{wrong}", "--server-id", own, "--plan")
        yield exit_status("a position at which the log has no event is refused", 2, done)


def any_moment_of_one_server(recovery: Recovery, keys: Path) -> Iterator[Check]:
    lab, moments = recovery.lab, {}
    with MariadbServer(lab.folder / "single", 10, {**encryption(keys), **OPTIONS}) as server:
        busy.create_tables(server)
        [[backup]] = server.sql("SELECT @@gtid_binlog_pos")
        for number in range(4):
            server.sql(f"INSERT INTO shop.customer (name) VALUES ('{number}'); FLUSH BINARY LOGS")
            server.sql(f"INSERT INTO shop.customer (name) VALUES ('{number}, in the next log')")
            a_quiet_moment()
            moments[datetime.now(timezone.utc).isoformat()] = server.sql("SELECT @@gtid_binlog_pos")[0][0]
        here = recovery.of(set_aside(lab, server, "single"))
    for number, (moment, reached) in enumerate(moments.items()):
        found = here.plan("--from", backup, "--to", moment)
        got = (found.get("complete"), found.get("reached"))
        yield equal(f"moment {number + 1} of {len(moments)} is reached", (True, reached), got)


def a_primary_that_begins_anew(recovery: Recovery, first: Path) -> Iterator[Check]:
    """What an operator does: replicas write down nothing of others', and one that becomes a replica
    throws its logs away. The first primary, when it is primary again, uses its own names once more."""
    lab, options = recovery.lab, {**encryption(first), **OPTIONS}
    with (
        MariadbServer(lab.folder / "m-pod-0", 10, options) as pod_0,
        MariadbServer(lab.folder / "m-pod-1", 11, options) as pod_1,
    ):
        busy.create_tables(pod_0)
        pod_1.replicate_from(pod_0)
        archives = [tenure(lab, pod_0, "pod-0-first", [])]
        pod_1.catch_up(pod_0)
        switch(pod_0, pod_1)
        archives.append(tenure(lab, pod_1, "pod-1", archives))
        pod_0.catch_up(pod_1)
        switch(pod_1, pod_0)
        archives.append(tenure(lab, pod_0, "pod-0-again", archives))
        expected = tables(pod_0)
        names = [sorted(path.name for path in archive.iterdir()) for archive in archives]
    yield true(
        "a name is used three times",
        all("binlog.000001" in found for found in names),
        "binlog.000001",
        f"{names}",
    )
    what, all_three = "three tenures", recovery.of(*archives)
    yield from all_three.to_file(what, *BEGINNING)
    with another(recovery, "sixth", gtid_strict_mode="ON") as server:
        yield from restored(lab, all_three.stream(what), server, what, expected)
    gaps = recovery.of(archives[0], archives[2]).plan(*BEGINNING)["gaps"]
    yield equal(
        "without the tenure between them its numbers are missing", ["missing"], [gap["kind"] for gap in gaps]
    )
    yield from refused(
        "and nothing is written",
        1,
        recovery.of(archives[0], archives[2]).run(*BEGINNING, "-o", "-"),
        "missing",
    )


def tenure(lab: Lab, primary: MariadbServer, name: str, before: list[Path]) -> Path:
    """Two logs of a primary's work, and its archive."""
    workload.trade(primary, 3)
    primary.sql("FLUSH BINARY LOGS")
    workload.trade(primary, 3)
    return set_aside(lab, primary, name)


def switch(old: MariadbServer, new: MariadbServer) -> None:
    """The replica becomes the primary, and the primary a replica, without the logs it had."""
    [[position]] = new.sql("SELECT @@gtid_slave_pos")
    new.sql("STOP SLAVE; RESET SLAVE ALL")
    old.sql(f"RESET MASTER; SET GLOBAL gtid_slave_pos = '{position}'")
    old.replicate_from(new)


def numbers_that_are_given_twice(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    """Nothing but what stands in them tells the transactions of before from those of behind the reset."""
    mysql = lab.server("reset", **QUICK)
    mariadb = MariadbServer(lab.folder / "m-reset", 13, OPTIONS)
    for name, server, reset, question in (
        ("MySQL", mysql, "RESET BINARY LOGS AND GTIDS", "SELECT @@GLOBAL.gtid_executed"),
        ("MariaDB", mariadb, "RESET MASTER", "SELECT @@gtid_binlog_pos"),
    ):
        with server:
            insert = "INSERT INTO shop.customer (name) VALUES ('{}');"
            workload.create_tables(server)
            server.sql((insert.format("before") + "FLUSH BINARY LOGS;") * 3)
            before = set_aside(lab, server, f"{name}-before")
            a_quiet_moment()
            server.sql(f"{reset}; {insert.format('in the backup') * 3}")
            [[backup]] = server.sql(question)
            a_quiet_moment()
            server.sql((insert.format("wanted") + "FLUSH BINARY LOGS;") * 12)
            behind = set_aside(lab, server, f"{name}-behind")
        both = Recovery(lab, tool, (before, behind), ())
        done = both.run("--from", backup, "-o", "-")
        yield from refused(f"{name}: numbers that were given twice", 1, done, behind.name)
        done = both.of(behind).run("--from", backup, "-o", "-")
        yield exit_status(f"{name}: with the archive from behind the reset alone all is well", 0, done)
        yield equal(f"{name}: it has what is wanted", 12, done.stdout.count(b"wanted"))


def a_server_that_was_restored_under_its_own_number(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    """It has the transactions of its archive in its own new logs, the same ones, and goes on from there."""

    def server(name: str, family: str) -> Server:
        if family == "MySQL":
            return lab.server(name, server_id="71", **QUICK)
        return MariadbServer(lab.folder / f"m-{name}", 71, OPTIONS)

    for family in ("MySQL", "MariaDB"):
        what = f"{family}: what the restored server has"
        with server("first-life", family) as first:
            busy.create_tables(first)
            workload.trade(first)
            busy.statements(first, "STATEMENT")
            before = Recovery(lab, tool, (set_aside(lab, first, "first-life"),), ())
        yield from before.to_file(what, *BEGINNING)
        a_quiet_moment()
        with server("second-life", family) as second:
            yield from replay(lab, before.stream(what), second, what)
            workload.trade(second)
            both = before.of(*before.archives, set_aside(lab, second, "second-life"))
            expected = tables(second)
        what = f"{family}: both lives"
        yield from both.to_file(what, *BEGINNING)
        with server("third-life", family) as third:
            yield from restored(lab, both.stream(what), third, what, expected)
