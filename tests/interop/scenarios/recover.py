"""`recover` from archives of a source and of the server that took its place.

The yardstick is what the tables were before the accident, as the server itself said then.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

import workload
from bench import Bench, text
from checks import Check, each, equal, exit_status, true
from lab import Lab
from server import MysqlServer
from tool import Binlogsec

TABLES = "CHECKSUM TABLE shop.customer, shop.purchase, shop.attachment"
FIND = "DROP TABLE shop.purchase"


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    with lab.server("recover", binlog_encryption="ON") as server:
        bench = Bench(lab, Binlogsec(binlogsec), server)
        expected = work(server)
        accident(server)
        archive = set_aside(bench)
        stream = lab.scratch("stream") / "before"
        yield from each(
            partial(just_before_the_accident, bench, archive, stream, expected),
            partial(the_same_moment_otherwise_named, bench, archive, stream),
            partial(what_stands_in_the_way, bench, archive),
            partial(after_a_failover, bench, archive, stream),
        )


def work(server: MysqlServer) -> list[list[str]]:
    """Small logs of all kinds, a key rotation in the middle, a temporary table over three logs."""
    workload.create_tables(server)
    workload.trade(server)
    server.sql("FLUSH LOGS")
    workload.trade_compressed(server)
    server.sql("SET GLOBAL binlog_checksum = NONE")
    workload.trade(server)
    server.sql("SET GLOBAL binlog_checksum = CRC32")
    server.sql(
        "SET SESSION binlog_format = STATEMENT; USE shop;"
        "CREATE TEMPORARY TABLE basket (name VARCHAR(80)) CHARACTER SET utf8mb4;"
        "INSERT INTO basket VALUES ('across'), ('logs');"
        "FLUSH LOGS; ALTER INSTANCE ROTATE BINLOG MASTER KEY; FLUSH LOGS;"
        "INSERT INTO customer (name) SELECT name FROM basket; DROP TEMPORARY TABLE basket;"
    )
    server.sql(
        "USE shop; XA START 'x'; INSERT INTO customer (name) VALUES ('xa'); XA END 'x';"
        "XA PREPARE 'x'; XA COMMIT 'x';"
    )
    server.sql("SET gtid_next = 'AUTOMATIC:app'; INSERT INTO shop.customer (name) VALUES ('tagged')")
    workload.trade(server)
    return server.sql(TABLES)


def accident(server: MysqlServer) -> None:
    """Named otherwise than it will be looked for, and with a tag; life goes on behind it."""
    server.sql("SELECT SLEEP(1.2)")
    server.sql("USE shop; SET gtid_next = 'AUTOMATIC:app'; drop table if exists `purchase`")
    server.sql("INSERT INTO shop.customer (name) VALUES ('later'); FLUSH LOGS")


def set_aside(bench: Bench) -> Path:
    folder = bench.lab.scratch("archive")
    for log in bench.logs()[:-1]:
        shutil.copy(log, folder)
    return folder


def recover(bench: Bench, *arguments: str | Path) -> object:
    return bench.tool.run("recover", *arguments, "--keyring", bench.server.keyring_path)


def plan(bench: Bench, *arguments: str | Path) -> dict[str, object]:
    done = recover(bench, *arguments, "--plan", "--format", "json")
    return json.loads(done.stdout)


def just_before_the_accident(
    bench: Bench, archive: Path, stream: Path, expected: list[list[str]]
) -> Iterator[Check]:
    found = plan(bench, archive, "--from", "beginning", "--find", FIND)
    yield equal("the plan is complete", True, found["complete"])
    done = recover(bench, archive, "--from", "beginning", "--find", FIND, "-o", stream)
    yield exit_status("recover writes up to the accident", 0, done)
    with bench.lab.server("restored") as other:
        yield from replay(bench, stream, other, "all up to the accident")
        yield equal("the tables are as before the accident", expected, other.sql(TABLES))
        # From what a server has, nothing more is to be applied.
        executed = other.sql("SELECT REPLACE(@@GLOBAL.gtid_executed, '\n', '')")[0][0]
        done = recover(bench, archive, "--from", executed, "--find", FIND, "--plan")
        yield exit_status("the same recovery from there has nothing left to do", 1, done)


def replay(bench: Bench, stream: Path, other: MysqlServer, what: str) -> Iterator[Check]:
    done = bench.lab.mysqlbinlog([stream])
    yield exit_status(f"mysqlbinlog reads {what}", 0, done)
    replayed = other.chroot.run(*other.client(), "--binary-mode", stdin=done.stdout)
    yield exit_status(f"a server takes {what}", 0, replayed)


def the_same_moment_otherwise_named(bench: Bench, archive: Path, stream: Path) -> Iterator[Check]:
    """By the GTID, by the place, and by a clock nine hours east of UTC."""
    to = plan(bench, archive, "--from", "beginning", "--find", FIND)["to"]
    tokyo = datetime.fromisoformat(to["found_time"]).astimezone(timezone(timedelta(hours=9)))
    clock = tokyo.strftime("%Y-%m-%d %H:%M:%S")
    place = Path(to["found_at"]).name
    for what, arguments in (
        ("GTID", ("--to-before", to["moment"])),
        ("position", ("--to", place)),
        ("time in Tokyo", ("--to", clock, "--time-zone", "Asia/Tokyo")),
    ):
        done = recover(bench, archive, "--from", "beginning", *arguments, "-o", "-")
        yield exit_status(f"recover by {what}", 0, done)
        yield true(f"by {what} it is the same stream", done.stdout == stream.read_bytes(), "equal", "other")


def what_stands_in_the_way(bench: Bench, archive: Path) -> Iterator[Check]:
    """A log that is missing, one that is damaged, a key that is not there: nothing is written."""
    broken = bench.lab.scratch("broken")
    shutil.copytree(archive, broken, dirs_exist_ok=True)
    second = broken / "binlog.000002"
    sound = second.read_bytes()
    second.unlink()
    done = recover(bench, broken, "--from", "beginning", "-o", "-")
    yield exit_status("a log is missing", 1, done)
    yield equal("nothing is written without it", b"", done.stdout)
    yield true("it is named", b"binlog.000002" in done.stderr, "binlog.000002", text(done.stderr))
    middle = len(sound) // 2
    second.write_bytes(sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :])
    done = recover(bench, broken, "--from", "beginning", "-o", "-")
    yield exit_status("a log is damaged", 4, done)
    yield equal("nothing is written of a damaged one", b"", done.stdout)
    done = recover(bench, broken, archive, "--from", "beginning", "--find", FIND, "-o", "-")
    yield exit_status("another copy of it will do", 0, done)
    done = bench.tool.run("recover", archive, "--from", "beginning", "-o", "-")
    yield exit_status("there is no key", 3, done)
    yield equal("nothing is written without a key", b"", done.stdout)


def after_a_failover(bench: Bench, archive: Path, stream: Path) -> Iterator[Check]:
    """Another server goes on from before the accident, under the same names of logs."""
    with bench.lab.server("successor") as other:
        yield from replay(bench, stream, other, "what the successor has")
        workload.trade(other)
        other.sql("FLUSH LOGS")
        theirs = bench.lab.scratch("theirs")
        for entry in other.binlogs()[:-1]:
            shutil.copy(other.datadir / entry.name, theirs)
        after = other.sql(TABLES)
    both = (archive, theirs, "--from", "beginning")
    found = plan(bench, *both)
    gaps = [gap for gap in found["gaps"] if gap["kind"] == "diverged"]
    yield equal("what the old source alone has is told", 1, len(gaps))
    lost = gaps[0]["gtids"]
    out = bench.lab.scratch("both") / "stream"
    done = recover(bench, *both, "--allow-gap", lost, "--exclude-gtid", lost, "-o", out)
    yield exit_status("recover from both archives without it", 0, done)
    with bench.lab.server("third") as third:
        yield from replay(bench, out, third, "both archives")
        yield equal("the tables are the successor's", after, third.sql(TABLES))
