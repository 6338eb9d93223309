"""Recoveries around an accident: just before it, however that moment is named, to moments before it, and
without one transaction. The same for both families of servers.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path

from bench import text
from busy import Server, Tables, tables
from checks import Check, Section, equal, exit_status, true
from recovery import BEGINNING, Recovery, replay, restored, same_tables

# How it is looked for; it was written otherwise.
FIND = ("--find", "DROP TABLE shop.purchase")
UP_TO = "up to the accident"
PACKERS: list[tuple[str, Callable[[bytes], bytes]]] = [
    (".gz", gzip.compress),
    ("", bytes),
    (".xz", lzma.compress),
    (".bz2", bz2.compress),
    ("", bytes),
]


@dataclass(frozen=True)
class Work:
    """Moments of a server's life, and what its tables were then."""

    # Of a transaction, and the tables with it.
    gtid: str
    with_gtid: Tables
    # By a clock in Tokyo.
    clock: str
    by_then: Tables
    # The GTID of what should not have been, and was noticed too late.
    mistake: str
    before_the_accident: Tables


@dataclass(frozen=True)
class Accident:
    """A busy server's archive with an accident at its end, and servers to which it is restored."""

    recovery: Recovery
    work: Work
    another: Callable[[str], Server]
    # The question for what a server has.
    executed: str

    def sections(self) -> list[Section]:
        return [
            partial(just_before_the_accident, self),
            partial(the_same_moment_otherwise_named, self.recovery),
            partial(from_compressed_copies, self.recovery),
            partial(what_is_prepared_is_told, self.recovery),
            partial(other_moments, self),
            partial(without_one_transaction, self),
        ]


def a_quiet_moment() -> str:
    """A second, as a clock in Tokyo has it, before which all so far was, and nothing that follows."""
    moment = int(time.time()) + 1
    time.sleep(max(0.0, moment + 0.05 - time.time()))
    return in_tokyo(datetime.fromtimestamp(moment, timezone.utc))


def in_tokyo(moment: datetime) -> str:
    return moment.astimezone(timezone(timedelta(hours=9))).strftime("%Y-%m-%d %H:%M:%S")


def just_before_the_accident(accident: Accident) -> Iterator[Check]:
    recovery = accident.recovery
    found = recovery.plan(*BEGINNING, *FIND)
    yield equal("the plan is complete", True, found.get("complete"))
    logs = sorted(path.name for path in recovery.archives[0].iterdir())
    planned = [Path(it["path"]).name for it in found["slices"]]
    in_order = planned == sorted(set(planned) & set(logs))
    yield true("the plan has the logs in their order", bool(planned) and in_order, f"of {logs}", f"{planned}")
    yield from recovery.to_file(UP_TO, *BEGINNING, *FIND)
    with accident.another("restored") as server:
        expected = accident.work.before_the_accident
        yield from restored(recovery.lab, recovery.stream(UP_TO), server, UP_TO, expected)
        # From what a server has, nothing more is to be applied.
        done = recovery.run("--from", server.sql(accident.executed)[0][0], *FIND, "--plan")
        yield exit_status("the same recovery from there has nothing left to do", 1, done)


def the_same_moment_otherwise_named(recovery: Recovery) -> Iterator[Check]:
    """By the GTID, by the place, and by a clock nine hours east of UTC, which may be this machine's own."""
    to = recovery.plan(*BEGINNING, *FIND)["to"]
    clock = in_tokyo(datetime.fromisoformat(to["found_time"]))
    expected = recovery.stream(UP_TO).read_bytes()
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
    yield true("what a time without a zone came to is told", b"UTC" in done.stderr, "UTC", text(done.stderr))


def what_is_prepared_is_told(recovery: Recovery) -> Iterator[Check]:
    """A moment between XA PREPARE and XA COMMIT: the transaction will be there, and locked."""
    done = recovery.run(*BEGINNING, "--find", "XA COMMIT", "-o", "-")
    yield exit_status("recover to just before XA COMMIT", 0, done)
    yield true(
        "a transaction that stays prepared is told",
        b"XA RECOVER" in done.stderr,
        "XA RECOVER",
        text(done.stderr),
    )


def from_compressed_copies(recovery: Recovery) -> Iterator[Check]:
    """As archives keep logs: some as they are, others packed, each by another program."""
    [archive] = recovery.archives
    folder = recovery.lab.scratch("compressed")
    for number, log in enumerate(sorted(archive.iterdir())):
        suffix, pack = PACKERS[number % len(PACKERS)]
        (folder / f"{log.name}{suffix}").write_bytes(pack(log.read_bytes()))
    done = recovery.of(folder).run(*BEGINNING, *FIND, "-o", "-")
    yield exit_status("recover from compressed copies", 0, done)
    same = done.stdout == recovery.stream(UP_TO).read_bytes()
    yield true("from compressed copies it is the same stream", same, "equal", "other")
    last = sorted(folder.iterdir())[-1]
    content = last.read_bytes()
    last.write_bytes(content[: len(content) // 2])
    done = recovery.of(folder).run(*BEGINNING, "-o", "-")
    yield exit_status("a copy that is cut is told", 4, done)
    yield equal("nothing is written of a copy that is cut", b"", done.stdout)


def other_moments(accident: Accident) -> Iterator[Check]:
    recovery, work = accident.recovery, accident.work
    for what, arguments, expected in (
        ("to a moment", ("--to", work.clock, "--time-zone", "Asia/Tokyo"), work.by_then),
        ("to a GTID", ("--to", work.gtid), work.with_gtid),
    ):
        yield from recovery.to_file(what, *BEGINNING, *arguments)
        with accident.another(what.replace(" ", "-")) as server:
            yield from restored(recovery.lab, recovery.stream(what), server, what, expected)


def without_one_transaction(accident: Accident) -> Iterator[Check]:
    recovery, work, what = accident.recovery, accident.work, "without one transaction"
    yield from recovery.to_file(what, *BEGINNING, *FIND, "--exclude-gtid", work.mistake)
    with accident.another("without-one") as server:
        yield from replay(recovery.lab, recovery.stream(what), server, what)
        found = server.sql("SELECT GROUP_CONCAT(name ORDER BY id) FROM shop.mistake")
        yield equal("what it deleted is there", [["a,b,c"]], found)
        yield same_tables(what, others(work.before_the_accident), others(tables(server)))


def others(of: Tables) -> Tables:
    return {name: value for name, value in of.items() if name != "shop.mistake"}
