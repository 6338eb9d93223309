"""`recover` from archives of MariaDB servers: encrypted logs under two keys, statements, rows and both
mixed, compressed events, two domains, and the ways in which primaries follow one another.

The yardstick is what the tables were, as the servers themselves said then.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import busy
import workload
from busy import Tables, tables
from checks import Check, each, equal, exit_status, true
from lab import Lab
from mariadb_lab import MariadbServer
from recovery import BEGINNING, Recovery, refused, replay, restored, same_tables, set_aside, what_stands_in_the_way
from scenarios.mariadb import encryption, key_file
from tool import Binlogsec

FIND = ("--find", "DROP TABLE shop.purchase")
OPTIONS = {"local-infile": "ON", "log-bin-compress-min-len": "10", "character-set-server": "utf8mb4"}


@dataclass(frozen=True)
class Work:
    """Moments of a server's life, and what its tables were then."""

    gtid: str
    with_gtid: Tables
    clock: str
    by_then: Tables
    mistake: str
    before_the_accident: Tables


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    first, second = key_file(lab, "first", 32), key_file(lab, "second", 16)
    keys = ("--mariadb-keys", first, "--mariadb-keys", second)
    tool = Binlogsec(binlogsec)
    with MariadbServer(lab.folder / "busy", 71, {**encryption(first), **OPTIONS}) as server:
        work = busy_life(lab, server, second)
        recovery = Recovery(lab, tool, (set_aside(lab, server, "archive"),), keys)
    yield from each(
        partial(just_before_the_accident, recovery, work),
        partial(the_same_moment_otherwise_named, recovery),
        partial(other_moments, recovery, work),
        partial(without_one_transaction, recovery, work),
        partial(what_stands_in_the_way, recovery, "binlog.000002", FIND),
        partial(one_key_is_missing, recovery, first),
        partial(after_a_failover, recovery, first),
        partial(a_primary_that_begins_anew, recovery, first),
    )


def another(recovery: Recovery, name: str, **options: str) -> MariadbServer:
    """A server to which something is restored."""
    number = 720 + len(list(recovery.lab.folder.iterdir()))
    given = {option.replace("_", "-"): value for option, value in options.items()}
    return MariadbServer(recovery.lab.folder / name, number, {**OPTIONS, **given})


def busy_life(lab: Lab, server: MariadbServer, second: Path) -> Work:
    """Small logs of all kinds, encrypted under one key, another one, and not at all; an accident at the end."""
    busy.create_tables(server)
    workload.trade(server)
    server.sql("FLUSH BINARY LOGS; SET GLOBAL log_bin_compress = ON")
    workload.trade(server)
    files = lab.scratch("files")
    for binlog_format in ("STATEMENT", "MIXED", "ROW"):
        busy.statements(server, binlog_format)
        busy.load_data(server, files, binlog_format)
    server.sql("SET GLOBAL binlog_checksum = NONE")
    gtid, with_gtid = last_transaction(server, "INSERT INTO shop.customer (name) VALUES ('last')"), tables(server)
    server.sql("SET GLOBAL binlog_checksum = CRC32; SET GLOBAL log_bin_compress = OFF")
    server.sql(busy.PARTITIONS)
    server.sql(busy.ACROSS_LOGS.format(between=""))
    server.restart(file_key_management_filename=str(second), file_key_management_encryption_algorithm="AES_CTR")
    server.sql(busy.DDL)
    busy.xa(server)
    server.sql("SET gtid_domain_id = 7; INSERT INTO far.away (at) VALUES (NOW(6)); INSERT INTO far.away (at) VALUES (NULL)")
    workload.trade(server)
    clock, by_then = a_quiet_moment(), tables(server)
    server.restart(encrypt_binlog="OFF")
    server.sql("INSERT INTO shop.mistake (name) VALUES ('a'), ('b'); SET gtid_domain_id = 7; UPDATE far.away SET at = NULL")
    mistake = last_transaction(server, "DELETE FROM shop.mistake")
    server.sql("INSERT INTO shop.mistake (name) VALUES ('c')")
    server.restart(encrypt_binlog="ON")
    workload.trade(server)
    before = tables(server)
    a_quiet_moment()
    server.sql("USE shop; drop table if exists `purchase`")
    server.sql("INSERT INTO shop.customer (name) VALUES ('later')")
    return Work(gtid, with_gtid, clock, by_then, mistake, before)


def last_transaction(server: MariadbServer, statement: str) -> str:
    """Run a statement: the GTID that it got."""
    return server.sql(f"{statement}; SELECT @@last_gtid")[-1][0]


def a_quiet_moment() -> str:
    """A second, as a clock in Tokyo has it, before which all so far was, and nothing that follows."""
    moment = int(time.time()) + 1
    time.sleep(max(0.0, moment + 0.05 - time.time()))
    return in_tokyo(datetime.fromtimestamp(moment, timezone.utc))


def in_tokyo(moment: datetime) -> str:
    return moment.astimezone(timezone(timedelta(hours=9))).strftime("%Y-%m-%d %H:%M:%S")


def just_before_the_accident(recovery: Recovery, work: Work) -> Iterator[Check]:
    what, archive = "up to the accident", recovery.archives[0]
    found = recovery.plan(*BEGINNING, *FIND)
    yield equal("the plan is complete", True, found.get("complete"))
    logs = sorted(path.name for path in archive.iterdir())
    planned = [Path(it["path"]).name for it in found["slices"]]
    yield equal("the plan has logs in their order, and leaves out only such as add nothing", (sorted(planned), True), (planned, set(planned) <= set(logs)))
    yield from recovery.to_file(what, *BEGINNING, *FIND)
    with another(recovery, "restored") as server:
        yield from restored(recovery.lab, recovery.stream(what), server, what, work.before_the_accident)
        done = recovery.run("--from", server.sql("SELECT @@gtid_binlog_pos")[0][0], *FIND, "--plan")
        yield exit_status("the same recovery from there has nothing left to do", 1, done)


def the_same_moment_otherwise_named(recovery: Recovery) -> Iterator[Check]:
    to = recovery.plan(*BEGINNING, *FIND)["to"]
    clock = in_tokyo(datetime.fromisoformat(to["found_time"]))
    expected = recovery.stream("up to the accident").read_bytes()
    for what, zone, arguments in (
        ("GTID", "UTC", ("--to-before", to["moment"])),
        ("position", "UTC", ("--to", Path(to["found_at"]).name)),
        ("time in Tokyo", "UTC", ("--to", clock, "--time-zone", "Asia/Tokyo")),
        ("time of this machine in Tokyo", "Asia/Tokyo", ("--to", clock, "--time-zone", "local")),
    ):
        done = recovery.run(*BEGINNING, *arguments, "-o", "-", zone=zone)
        yield exit_status(f"recover by {what}", 0, done)
        yield true(f"by {what} it is the same stream", done.stdout == expected, "equal", "other")


def other_moments(recovery: Recovery, work: Work) -> Iterator[Check]:
    for what, arguments, expected in (
        ("to a moment", ("--to", work.clock, "--time-zone", "Asia/Tokyo"), work.by_then),
        ("to a GTID", ("--to", work.gtid), work.with_gtid),
    ):
        yield from recovery.to_file(what, *BEGINNING, *arguments)
        with another(recovery, what.replace(" ", "-")) as server:
            yield from restored(recovery.lab, recovery.stream(what), server, what, expected)


def without_one_transaction(recovery: Recovery, work: Work) -> Iterator[Check]:
    what = "without one transaction"
    yield from recovery.to_file(what, *BEGINNING, *FIND, "--exclude-gtid", work.mistake)
    with another(recovery, "without-one") as server:
        yield from replay(recovery.lab, recovery.stream(what), server, what)
        found = server.sql("SELECT GROUP_CONCAT(name ORDER BY id) FROM shop.mistake")
        yield equal("what it deleted is there", [["a,b,c"]], found)
        others = {name: value for name, value in work.before_the_accident.items() if name != "shop.mistake"}
        got = {name: value for name, value in tables(server).items() if name != "shop.mistake"}
        yield same_tables(what, others, got)


def one_key_is_missing(recovery: Recovery, first: Path) -> Iterator[Check]:
    """The second key opens the later logs; with the first alone they are named, and nothing is written."""
    here = Recovery(recovery.lab, recovery.tool, recovery.archives, ("--mariadb-keys", first))
    yield from refused("the key of some logs is missing", 3, here.run(*BEGINNING, *FIND, "-o", "-"), "binlog.00000")


def after_a_failover(recovery: Recovery, first: Path) -> Iterator[Check]:
    """The successor has written down all that it replicated. Names of logs, numbers, and one domain are both's."""
    lab, options = recovery.lab, {**encryption(first), **OPTIONS}
    with (
        MariadbServer(lab.folder / "old-primary", 11, options) as old,
        MariadbServer(lab.folder / "new-primary", 12, {**options, "log-slave-updates": "ON"}) as new,
    ):
        new.replicate_from(old)
        busy.create_tables(old)
        workload.trade(old)
        old.sql("FLUSH BINARY LOGS")
        workload.trade(old)
        new.catch_up(old)
        new.sql("FLUSH BINARY LOGS; STOP SLAVE")
        clean = set_aside(lab, old, "clean")
        [[common]] = old.sql("SELECT @@gtid_binlog_pos")
        # Nobody fetched these; the new primary gives their numbers to others.
        old.sql("INSERT INTO shop.customer (name) VALUES ('lost'), ('with the primary'); DELETE FROM shop.ledger")
        unclean = set_aside(lab, old, "unclean")
        workload.trade(new)
        theirs, after = set_aside(lab, new, "theirs"), tables(new)
    what = "both archives of a clean failover"
    both = recovery.of(clean, theirs)
    yield from both.to_file(what, *BEGINNING)
    with another(recovery, "third") as third:
        yield from restored(lab, both.stream(what), third, what, after)
    both = recovery.of(unclean, theirs)
    gaps = both.plan(*BEGINNING)["gaps"]
    yield equal("numbers that both gave are told", ["diverged"], [gap["kind"] for gap in gaps])
    yield from refused("what is told stands in the way", 1, both.run(*BEGINNING, "-o", "-"), "diverged")
    what, rest = "what both have", "what the successor went on with"
    yield from recovery.of(unclean).to_file(what, *BEGINNING, "--to", common)
    yield from both.to_file(rest, "--from", common, "--server-id", "12")
    with another(recovery, "fourth") as fourth:
        yield from replay(lab, both.stream(what), fourth, what)
        yield from restored(lab, both.stream(rest), fourth, rest, after)
    what = "the successor alone"
    yield from both.to_file(what, *BEGINNING, "--server-id", "12")
    with another(recovery, "fifth") as fifth:
        yield from restored(lab, both.stream(what), fifth, what, after)


def a_primary_that_begins_anew(recovery: Recovery, first: Path) -> Iterator[Check]:
    """What an operator does: replicas write down nothing of others', and one that becomes a replica
    throws its logs away. The first primary, when it is primary again, uses its own names once more."""
    lab, options = recovery.lab, {**encryption(first), **OPTIONS}
    with (
        MariadbServer(lab.folder / "pod-0", 10, options) as pod_0,
        MariadbServer(lab.folder / "pod-1", 11, options) as pod_1,
    ):
        busy.create_tables(pod_0)
        archives = [tenure(lab, pod_0, "pod-0-first", [])]
        pod_1.replicate_from(pod_0)
        pod_1.catch_up_by_slave(pod_0)
        switch(pod_0, pod_1)
        archives.append(tenure(lab, pod_1, "pod-1", archives))
        pod_0.catch_up_by_slave(pod_1)
        switch(pod_1, pod_0)
        archives.append(tenure(lab, pod_0, "pod-0-again", archives))
        expected = tables(pod_0)
        names = [sorted(path.name for path in archive.iterdir()) for archive in archives]
    yield true("a name is used three times", all("binlog.000001" in found for found in names), "binlog.000001", f"{names}")
    what, all_three = "three tenures", recovery.of(*archives)
    yield from all_three.to_file(what, *BEGINNING)
    with another(recovery, "sixth") as server:
        yield from restored(lab, all_three.stream(what), server, what, expected)
    # Any moment before the last is one as good: here the first second behind the first tenure's end.
    gaps = recovery.of(archives[0], archives[2]).plan(*BEGINNING)["gaps"]
    yield equal("without the tenure between them its numbers are missing", ["missing"], [gap["kind"] for gap in gaps])
    yield from refused("and nothing is written", 1, recovery.of(archives[0], archives[2]).run(*BEGINNING, "-o", "-"), "missing")


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
