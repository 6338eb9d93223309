"""`rows` and `undo` against real servers: changes whose fate is told elsewhere than in their rows.

XA transactions that were committed, rolled back, committed in one phase, and ended in the next log;
savepoints that a transaction went back to; an INSERT of nothing but default values in a MINIMAL
image; an ENUM's error value; numbers behind a YEAR. The SQL of `rows` makes the same tables on an
empty server, and `undo` brings back what was: by CHECKSUM TABLE. What rows cannot show is told.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mariadb_lab
from checks import Check, equal, exit_status, true
from lab import Lab
from mariadb_lab import MariadbServer
from scenarios.undo import Server, dump, given, log_of
from server import MysqlServer
from tool import Binlogsec

TABLES = """
CREATE DATABASE f;
CREATE TABLE f.t (a INT PRIMARY KEY, b VARCHAR(20)) ENGINE=InnoDB;
CREATE TABLE f.years (id INT PRIMARY KEY, y YEAR, a TINYINT, b TINYINT UNSIGNED, c BIGINT UNSIGNED, d DECIMAL(5,2)) ENGINE=InnoDB;
CREATE TABLE f.e (id INT PRIMARY KEY, e ENUM('x','y')) ENGINE=InnoDB;
CREATE TABLE f.bare (a INT DEFAULT 7, b VARCHAR(5) DEFAULT 'q') ENGINE=InnoDB;
"""
# A table map lists the character sets of some types alone: each column has another one.
SETS = {
    "MySQL": "CREATE TABLE f.sets (id INT PRIMARY KEY, o VECTOR(2), l VARCHAR(9) CHARSET latin1, g GEOMETRY, s VARCHAR(9) CHARSET sjis,"
    " j JSON, u CHAR(9) CHARSET utf16, b VARBINARY(5), y YEAR, e ENUM('ж') CHARSET cp1251, w TEXT CHARSET cp1251, n TINYINT UNSIGNED);",
    "MariaDB": "CREATE TABLE f.sets (id INT PRIMARY KEY, o UUID, l VARCHAR(9) CHARSET latin1, g GEOMETRY, s VARCHAR(9) CHARSET sjis,"
    " c VARCHAR(90) COMPRESSED CHARSET latin2, j BLOB COMPRESSED, u CHAR(9) CHARSET utf16, b VARBINARY(5), y YEAR,"
    " e ENUM('ж') CHARSET cp1251, w TEXT CHARSET cp1251, n TINYINT UNSIGNED);",
}
SET_ROWS = "INSERT INTO f.sets (id, l, s, u, b, w, n, y, e) VALUES (1, 'José', 'ソ表', 'José', X'FF00', 'Жук', 200, 2001, 'ж');"
FEW_SETS = (
    "CREATE TABLE f.few (g GEOMETRY, id INT PRIMARY KEY, a VARCHAR(9) CHARSET utf8mb4, b VARCHAR(9) CHARSET utf8mb4,"
    " c VARCHAR(9) CHARSET utf8mb4, d VARCHAR(9) CHARSET latin1, e VARCHAR(9) CHARSET utf8mb4, f VARBINARY(4));"
)
FEW_ROWS = "INSERT INTO f.few (id, a, b, c, d, e, f) VALUES (1, 'é1', 'é2', 'é3', 'é4', 'é5', X'FF00');"
BEFORE = "INSERT INTO f.t VALUES (1, 'x'), (2, 'y');"
CHANGES = """
XA START 'one'; INSERT INTO f.t VALUES (3, 'xa1'); UPDATE f.t SET b = 'xx' WHERE a = 1; XA END 'one'; XA PREPARE 'one'; XA COMMIT 'one';
XA START 'two'; INSERT INTO f.t VALUES (4, 'xa2'); DELETE FROM f.t WHERE a = 2; XA END 'two'; XA PREPARE 'two'; XA ROLLBACK 'two';
XA START 'six', 'part', 7; INSERT INTO f.t VALUES (5, 'xa3'); XA END 'six', 'part', 7; XA COMMIT 'six', 'part', 7 ONE PHASE;
XA START 'one'; INSERT INTO f.t VALUES (6, 'again'); XA END 'one'; XA PREPARE 'one'; XA ROLLBACK 'one';
XA START 'one'; INSERT INTO f.t VALUES (6, 'thrice'); XA END 'one'; XA PREPARE 'one'; XA COMMIT 'one';
INSERT INTO f.years VALUES (1, 2000, -1, 255, 18446744073709551615, -1.5), (2, NULL, -128, 128, 9223372036854775808, 9.99);
SET sql_mode = ''; INSERT INTO f.e VALUES (1, 'no'), (2, 'x'); UPDATE f.e SET e = 'bad' WHERE id = 2; SET sql_mode = DEFAULT;
"""
NAMES = ["t", "years", "e", "bare", "sets", "few"]


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    for name, options in {
        "full": {},
        "compressed": {"binlog_transaction_compression": "ON", "binlog_encryption": "ON"},
    }.items():
        with lab.server(f"fates-{name}", binlog_row_metadata="FULL", **options) as server:
            with lab.server(f"fates-{name}-copy") as copy:
                yield from fates(lab, tool, f"MySQL, {name}", server, copy)
    fixed = {"character-set-server": "utf8mb4", "binlog-format": "ROW", "binlog-row-metadata": "FULL"}
    for number, programs in enumerate([None, mariadb_lab.sid_programs()]):
        home = lab.folder / f"fates-m{number}"
        encrypted = fixed | mariadb_lab.with_keys(home, mariadb_lab.ENCRYPTED)
        with MariadbServer(home, 90 + number, encrypted, programs) as server:
            with MariadbServer(home.with_name(home.name + "-copy"), 94 + number, fixed, programs) as copy:
                what = f"MariaDB {server.version()}"
                yield from fates(lab, tool, what, server, copy)
                yield from mixed(tool, what, server, copy)
                yield from own_tables(lab, tool, what, server)


def sums(server: Server, names: list[str] = NAMES) -> dict[str, str]:
    return {name: server.sql(f"CHECKSUM TABLE f.{name}")[0][1] for name in names}


def fates(lab: Lab, tool: Binlogsec, what: str, server: Server, copy: Server) -> Iterator[Check]:
    sets = SETS["MySQL" if isinstance(server, MysqlServer) else "MariaDB"]
    for each in (server, copy):
        given(each, "SET NAMES utf8mb4;" + TABLES + sets + FEW_SETS + BEFORE)
    schema = ["--schema", dump(lab, server, "f")]
    before = sums(server)
    log = log_of(server, CHANGES + "SET NAMES utf8mb4;" + SET_ROWS + FEW_ROWS)
    after = sums(server)
    script = tool.run("rows", *log, "--format", "sql")
    yield exit_status(f"{what}: rows as SQL", 0, script)
    yield true(f"{what}: what was rolled back is told", b"rolled back" in script.stderr, "rolled back", script.stderr)
    yield exit_status(f"{what}: another server runs them", 0, given(copy, script.stdout))
    yield equal(f"{what}: the tables are equal then", after, sums(copy))
    listed = tool.run("rows", *log, "--format", "json").stdout
    yield equal(f"{what}: rows that were rolled back are not listed", 0, listed.count(b"xa2") + listed.count(b'"again"'))
    expected = {"l": "José", "s": "ソ表", "u": "José", "b": {"base64": "/wA="}, "w": "Жук", "n": 200, "y": 2001, "e": "ж"}
    yield from texts(what, listed, "sets", expected)
    few = {"a": "é1", "b": "é2", "c": "é3", "d": "é4", "e": "é5", "f": {"base64": "/wA="}}
    yield from texts(what, listed, "few", few)
    back = tool.run("undo", *log, *schema)
    yield exit_status(f"{what}: undo", 0, back)
    answer = given(server, back.stdout)
    yield equal(f"{what}: the server runs it", (0, b""), (answer.returncode, answer.stdout))
    yield equal(f"{what}: every table is as it was", before, sums(server))
    yield from ended_later(tool, what, server)
    bare = log_of(server, "SET SESSION binlog_row_image = 'MINIMAL'; INSERT INTO f.bare () VALUES (); INSERT INTO f.bare () VALUES ();")
    script = tool.run("rows", *bare, "--format", "sql")
    yield exit_status(f"{what}: rows without a column, as SQL", 0, script)
    given(copy, script.stdout)
    yield equal(f"{what}: the other server has both", sums(server, ["bare"]), sums(copy, ["bare"]))
    beside = tool.run("rows", *log_of(server, "SET SESSION binlog_format = 'STATEMENT'; UPDATE f.t SET b = 's' WHERE a = 1;"))
    told = b"1 statement by which rows were changed" in beside.stderr
    yield true(f"{what}: statements that change rows are told", told, "1 statement", beside.stderr)


def texts(what: str, listed: bytes, table: str, expected: dict[str, Any]) -> Iterator[Check]:
    rows = (json.loads(line) for line in listed.splitlines())
    after = next(row["after"] for row in rows if row["table"] == table)
    got = {name: value for name, value in after.items() if name in expected}
    yield equal(f"{what}: every text of {table} is read in its own character set", expected, got)


def ended_later(tool: Binlogsec, what: str, server: Server) -> Iterator[Check]:
    """Prepared in one log and committed in the next one."""
    first = log_of(server, "XA START 'late'; INSERT INTO f.t VALUES (70, 'late'); XA END 'late'; XA PREPARE 'late';")
    second = log_of(server, "XA COMMIT 'late';")
    alone = tool.run("rows", *first, "--format", "sql")
    yield exit_status(f"{what}: prepared, and no end: no SQL", 2, alone)
    yield equal(f"{what}: prepared, and no end: nothing that changes", 0, alone.stdout.count(b"INSERT"))
    listed = tool.run("rows", *first, "--format", "json")
    yield true(f"{what}: it is marked", b'"xa":"prepared"' in listed.stdout, "prepared", listed.stdout)
    refused = tool.run("undo", *first)
    yield exit_status(f"{what}: prepared, and no end: undo refuses", 2, refused)
    both = tool.run("rows", first[0], *second, "--format", "sql")
    yield equal(f"{what}: with the log behind it", (0, 1), (both.returncode, both.stdout.count(b"INSERT")))
    undone = tool.run("undo", first[0], *second)
    yield exit_status(f"{what}: undo with the log behind it", 0, undone)
    given(server, undone.stdout)
    yield equal(f"{what}: the row is gone", [], server.sql("SELECT * FROM f.t WHERE a = 70"))


def mixed(tool: Binlogsec, what: str, server: Server, copy: Server) -> Iterator[Check]:
    """Of a transaction that went back, what is in a table without transactions stays."""
    creation = "CREATE TABLE f.kept (a INT) ENGINE=MyISAM; CREATE TABLE f.goes (a INT PRIMARY KEY) ENGINE=InnoDB;"
    for each in (server, copy):
        given(each, creation)
    log = log_of(
        server,
        "BEGIN; INSERT INTO f.goes VALUES (1); SAVEPOINT `a b`; INSERT INTO f.goes VALUES (2); INSERT INTO f.kept VALUES (2);"
        "ROLLBACK TO SAVEPOINT `a b`; INSERT INTO f.goes VALUES (3); COMMIT;"
        "BEGIN; INSERT INTO f.goes VALUES (4); INSERT INTO f.kept VALUES (4); ROLLBACK;",
    )
    script = tool.run("rows", *log, "--format", "sql")
    yield exit_status(f"{what}: with a savepoint, as SQL", 0, script)
    yield exit_status(f"{what}: another server runs it", 0, given(copy, script.stdout))
    names = ["kept", "goes"]
    yield equal(f"{what}: and both tables are equal", sums(server, names), sums(copy, names))
    listed = tool.run("rows", *log)
    yield true(f"{what}: the listing shows where it went back", b"rollback to savepoint" in listed.stdout, "", listed.stdout)


def own_tables(lab: Lab, tool: Binlogsec, what: str, server: MariadbServer) -> Iterator[Check]:
    """Tables whose rows the server makes by itself."""
    given(
        server,
        "CREATE SEQUENCE f.seq; CREATE TABLE f.u (a INT PRIMARY KEY, b INT);"
        "CREATE TABLE f.v (a INT PRIMARY KEY, b INT) WITH SYSTEM VERSIONING; INSERT INTO f.v VALUES (1, 1);",
    )
    schema = ["--schema", dump(lab, server, "f")]
    log = log_of(server, "INSERT INTO f.u VALUES (NEXTVAL(f.seq), 1); INSERT INTO f.u VALUES (NEXTVAL(f.seq), 2);")
    undone = tool.run("undo", *log)
    yield exit_status(f"{what}: undo of what drew from a sequence", 0, undone)
    yield true(f"{what}: the sequence is told", b"f.seq is a sequence" in undone.stderr, "sequence", undone.stderr)
    yield exit_status(f"{what}: the server runs all of it", 0, given(server, undone.stdout))
    yield equal(f"{what}: the rows are gone", [], server.sql("SELECT * FROM f.u"))
    log = log_of(server, "UPDATE f.v SET b = 2; DELETE FROM f.v;")
    for arguments in (["rows", *log, "--format", "sql"], ["undo", *log], ["undo", *log, *schema]):
        refused = tool.run(*arguments)
        yield exit_status(f"{what}: {arguments[0]} of a table with system versioning", 2, refused)
        yield true(f"{what}: why is told", b"SYSTEM VERSIONING" in refused.stderr, "", refused.stderr)
