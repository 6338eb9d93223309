"""`recover` from archives of a source and of the server that took its place.

The yardstick is what the tables were before the accident, as the server itself said then.
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
from recovery import BEGINNING, Recovery, refused, replay, restored, same_tables, set_aside, what_stands_in_the_way
from server import MysqlServer
from tool import Binlogsec

FIND = ("--find", "DROP TABLE shop.purchase")
# Its header is encrypted under a key that a rotation deletes.
EARLY = "binlog.000002"


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
    with lab.server("recover", binlog_encryption="ON", local_infile="ON") as server:
        early = lab.scratch("early") / EARLY
        work = busy_life(lab, server, early)
        recovery = Recovery(
            lab, Binlogsec(binlogsec), (set_aside(lab, server, "archive"),), ("--keyring", server.keyring_path)
        )
        yield from each(
            partial(just_before_the_accident, recovery, work),
            partial(the_same_moment_otherwise_named, recovery),
            partial(other_moments, recovery, work),
            partial(without_one_transaction, recovery, work),
            partial(what_stands_in_the_way, recovery, "binlog.000004", FIND),
            partial(one_log_without_its_key, recovery, early),
            partial(after_a_failover, recovery, work),
        )


def busy_life(lab: Lab, server: MysqlServer, early: Path) -> Work:
    """Small logs of all kinds, encrypted and not, a key rotation in the middle, an accident at the end."""
    busy.create_tables(server)
    workload.trade(server)
    server.sql("FLUSH BINARY LOGS")
    workload.trade_compressed(server)
    server.sql("SET GLOBAL binlog_checksum = NONE")
    shutil.copyfile(server.log_path(EARLY), early)
    workload.trade(server)
    server.sql("SET GLOBAL binlog_checksum = CRC32")
    gtid, with_gtid = last_transaction(server, "INSERT INTO shop.customer (name) VALUES ('last')"), tables(server)
    files = lab.scratch("files")
    for binlog_format in ("STATEMENT", "MIXED", "ROW"):
        busy.statements(server, binlog_format)
        busy.load_data(server, files, binlog_format)
    server.sql(busy.PARTITIONS)
    server.sql(busy.ACROSS_LOGS.format(between="ALTER INSTANCE ROTATE BINLOG MASTER KEY;"))
    server.sql(busy.DDL)
    busy.xa(server)
    server.sql("SET gtid_next = 'AUTOMATIC:app'; INSERT INTO shop.customer (name) VALUES ('tagged')")
    clock, by_then = a_quiet_moment(), tables(server)
    server.sql("SET GLOBAL binlog_encryption = OFF; INSERT INTO shop.mistake (name) VALUES ('a'), ('b')")
    mistake = last_transaction(server, "DELETE FROM shop.mistake")
    server.sql("INSERT INTO shop.mistake (name) VALUES ('c'); SET GLOBAL binlog_encryption = ON")
    workload.trade(server)
    before = tables(server)
    a_quiet_moment()
    # Named otherwise than it will be looked for, and with a tag; life goes on behind it.
    server.sql("USE shop; SET gtid_next = 'AUTOMATIC:app'; drop table if exists `purchase`")
    server.sql("INSERT INTO shop.customer (name) VALUES ('later')")
    return Work(gtid, with_gtid, clock, by_then, mistake, before)


def last_transaction(server: MysqlServer, statement: str) -> str:
    """Run a statement: the GTID that it got."""
    [[before]] = server.sql("SELECT @@GLOBAL.gtid_executed")
    server.sql(statement)
    return server.sql(f"SELECT GTID_SUBTRACT(@@GLOBAL.gtid_executed, '{before}')")[0][0]


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
    yield equal("the plan has every log in its order", logs, [Path(it["path"]).name for it in found["slices"]])
    yield from recovery.to_file(what, *BEGINNING, *FIND)
    with recovery.lab.server("restored", local_infile="ON") as other:
        yield from restored(recovery.lab, recovery.stream(what), other, what, work.before_the_accident)
        # From what a server has, nothing more is to be applied.
        executed = other.sql("SELECT REPLACE(@@GLOBAL.gtid_executed, '\n', '')")[0][0]
        done = recovery.run("--from", executed, *FIND, "--plan")
        yield exit_status("the same recovery from there has nothing left to do", 1, done)


def the_same_moment_otherwise_named(recovery: Recovery) -> Iterator[Check]:
    """By the GTID, by the place, and by a clock nine hours east of UTC, which may be this machine's own."""
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
    # Without a zone the clock is UTC's, nine hours on: a machine in Tokyo is told so.
    done = recovery.run(*BEGINNING, "--to", clock, "--plan", zone="Asia/Tokyo")
    yield true("what a time without a zone came to is told", b"UTC" in done.stderr, "UTC", done.stderr.decode())


def other_moments(recovery: Recovery, work: Work) -> Iterator[Check]:
    for what, arguments, expected in (
        ("to a moment", ("--to", work.clock, "--time-zone", "Asia/Tokyo"), work.by_then),
        ("to a GTID", ("--to", work.gtid), work.with_gtid),
    ):
        yield from recovery.to_file(what, *BEGINNING, *arguments)
        with recovery.lab.server(what.replace(" ", "-"), local_infile="ON") as other:
            yield from restored(recovery.lab, recovery.stream(what), other, what, expected)


def without_one_transaction(recovery: Recovery, work: Work) -> Iterator[Check]:
    what = "without one transaction"
    yield from recovery.to_file(what, *BEGINNING, *FIND, "--exclude-gtid", work.mistake)
    with recovery.lab.server("without-one", local_infile="ON") as other:
        yield from replay(recovery.lab, recovery.stream(what), other, what)
        found = other.sql("SELECT GROUP_CONCAT(name ORDER BY id) FROM shop.mistake")
        yield equal("what it deleted is there", [["a,b,c"]], found)
        others = {name: value for name, value in work.before_the_accident.items() if name != "shop.mistake"}
        got = {name: value for name, value in tables(other).items() if name != "shop.mistake"}
        yield same_tables(what, others, got)


def one_log_without_its_key(recovery: Recovery, early: Path) -> Iterator[Check]:
    """A copy from before the key was rotated: nobody put its header under the new key."""
    [archive] = recovery.archives
    folder = recovery.lab.scratch("one-early")
    shutil.copytree(archive, folder, dirs_exist_ok=True)
    shutil.copyfile(early, folder / EARLY)
    done = recovery.of(folder).run(*BEGINNING, *FIND, "-o", "-")
    yield from refused("the key of one log is missing", 3, done, EARLY)
    done = recovery.of(folder, archive).run(*BEGINNING, *FIND, "-o", "-")
    yield exit_status("a copy of it under the new key will do", 0, done)


def after_a_failover(recovery: Recovery, work: Work) -> Iterator[Check]:
    """Another server goes on from before the accident, under the same names of logs."""
    lab, stream = recovery.lab, recovery.stream("up to the accident")
    with lab.server("successor", local_infile="ON") as other:
        yield from replay(lab, stream, other, "what the successor has")
        workload.trade(other)
        theirs = set_aside(lab, other, "theirs")
        after = tables(other)
    both = recovery.of(recovery.archives[0], theirs)
    gaps = [gap for gap in both.plan(*BEGINNING)["gaps"] if gap["kind"] == "diverged"]
    yield equal("what the old source alone has is told", 1, len(gaps))
    yield from refused("what is told stands in the way", 1, both.run(*BEGINNING, "-o", "-"), "diverged")
    lost = gaps[0]["gtids"]
    what = "both archives"
    yield from both.to_file(what, *BEGINNING, "--allow-gap", lost, "--exclude-gtid", lost)
    with lab.server("third", local_infile="ON") as third:
        yield from restored(lab, both.stream(what), third, what, after)
