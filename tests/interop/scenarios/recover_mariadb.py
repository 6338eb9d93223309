"""`recover` from archives of MariaDB servers: encrypted logs under two keys, statements, rows and both
mixed, compressed events, two domains, and the ways in which primaries follow one another.

The yardstick is what the tables were, as the servers themselves said then.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import busy
import workload
from accident import FIND, Accident, Work, a_quiet_moment
from busy import QUICK, tables
from checks import Check, each, equal
from lab import Lab
from mariadb_lab import MariadbServer
from recovery import (
    BEGINNING,
    Recovery,
    refused,
    replay,
    restored,
    set_aside,
    what_stands_in_the_way,
)
from scenarios.mariadb import encryption, key_file
from tool import Binlogsec

EXECUTED = "SELECT @@gtid_binlog_pos"
OPTIONS = {**QUICK, "log-bin-compress-min-len": "10", "character-set-server": "utf8mb4"}


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    first, second = key_file(lab, "first", 32), key_file(lab, "second", 16)
    keys = ("--mariadb-keys", first, "--mariadb-keys", second)
    tool = Binlogsec(binlogsec)
    with MariadbServer(lab.folder / "busy", 71, {**encryption(first), **OPTIONS}) as server:
        work = busy_life(lab, server, second)
        recovery = Recovery(lab, tool, (set_aside(lab, server, "archive"),), keys)
    accident = Accident(recovery, work, partial(another, recovery), EXECUTED)
    yield from each(
        *accident.sections(),
        partial(what_stands_in_the_way, recovery, "binlog.000002", FIND),
        partial(one_key_is_missing, recovery, first),
        partial(after_a_failover, recovery, first),
    )


def another(recovery: Recovery, name: str, programs: Path | None = None, **options: str) -> MariadbServer:
    """A server to which something is restored."""
    number = 720 + len(list(recovery.lab.folder.iterdir()))
    given = {option.replace("_", "-"): value for option, value in options.items()}
    return MariadbServer(recovery.lab.folder / name, number, {**OPTIONS, **given}, programs)


def busy_life(lab: Lab, server: MariadbServer, second: Path) -> Work:
    """Logs of all kinds, under one key, under another one, and not encrypted; an accident at the end."""
    busy.create_tables(server)
    workload.trade(server)
    server.sql("FLUSH BINARY LOGS; SET GLOBAL log_bin_compress = ON")
    workload.trade(server)
    files = lab.scratch("files")
    for binlog_format in ("STATEMENT", "MIXED", "ROW"):
        busy.statements(server, binlog_format)
        busy.load_data(server, files, binlog_format)
    server.sql("SET GLOBAL binlog_checksum = NONE")
    gtid, with_gtid = (
        last_transaction(server, "INSERT INTO shop.customer (name) VALUES ('last')"),
        tables(server),
    )
    server.sql("SET GLOBAL binlog_checksum = CRC32; SET GLOBAL log_bin_compress = OFF")
    server.sql(busy.PARTITIONS)
    server.sql(busy.ACROSS_LOGS.format(between=""))
    server.restart(
        file_key_management_filename=str(second), file_key_management_encryption_algorithm="AES_CTR"
    )
    server.sql(busy.DDL)
    busy.xa(server)
    server.sql(
        "SET gtid_domain_id = 7; INSERT INTO far.away (at) VALUES (NOW(6));"
        "INSERT INTO far.away (at) VALUES (NULL)"
    )
    workload.trade(server)
    clock, by_then = a_quiet_moment(), tables(server)
    server.restart(encrypt_binlog="OFF")
    server.sql(
        "INSERT INTO shop.mistake (name) VALUES ('a'), ('b');"
        "SET gtid_domain_id = 7; UPDATE far.away SET at = NULL"
    )
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


def one_key_is_missing(recovery: Recovery, first: Path) -> Iterator[Check]:
    """The second key opens the later logs; with the first alone they are named, and nothing is written."""
    here = Recovery(recovery.lab, recovery.tool, recovery.archives, ("--mariadb-keys", first))
    yield from refused(
        "the key of some logs is missing", 3, here.run(*BEGINNING, *FIND, "-o", "-"), "binlog.00000"
    )


def after_a_failover(recovery: Recovery, first: Path) -> Iterator[Check]:
    """The successor has written down what it replicated. Names of logs, numbers and a domain are both's."""
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
        old.sql(
            "INSERT INTO shop.customer (name) VALUES ('lost'), ('with the primary'); DELETE FROM shop.ledger"
        )
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
