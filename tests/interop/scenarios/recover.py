"""`recover` from archives of a source and of the server that took its place.

The yardstick is what the tables were before the accident, as the server itself said then.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import busy
import workload
from accident import FIND, UP_TO, Accident, Work, a_quiet_moment
from busy import QUICK, tables
from checks import Check, each, equal, exit_status
from lab import Lab
from recovery import (
    BEGINNING,
    Recovery,
    refused,
    replay,
    restored,
    set_aside,
    what_stands_in_the_way,
)
from server import MysqlServer
from tool import Binlogsec

# Its header is encrypted under a key that a rotation deletes.
EARLY = "binlog.000002"


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    with lab.server("recover", binlog_encryption="ON", **QUICK) as server:
        early = lab.scratch("early") / EARLY
        work = busy_life(lab, server, early)
        recovery = Recovery(
            lab,
            Binlogsec(binlogsec),
            (set_aside(lab, server, "archive"),),
            ("--keyring", server.keyring_path),
        )
        accident = Accident(
            recovery,
            work,
            lambda name: lab.server(name, **QUICK),
            "SELECT REPLACE(@@GLOBAL.gtid_executed, '\n', '')",
        )
        yield from each(
            *accident.sections(),
            partial(what_stands_in_the_way, recovery, "binlog.000004", FIND),
            partial(one_log_without_its_key, recovery, early),
            partial(after_a_failover, recovery),
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
    gtid, with_gtid = (
        last_transaction(server, "INSERT INTO shop.customer (name) VALUES ('last')"),
        tables(server),
    )
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


def after_a_failover(recovery: Recovery) -> Iterator[Check]:
    """Another server goes on from before the accident, under the same names of logs."""
    lab, stream = recovery.lab, recovery.stream(UP_TO)
    with lab.server("successor", **QUICK) as other:
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
    with lab.server("third", **QUICK) as third:
        yield from restored(lab, both.stream(what), third, what, after)
