"""`undo` against real servers: every type goes back to what it was, and nothing else is touched.

Two logs of changes to tables of every type. Taking the second one back must make every table
what it was between them, taking back the first one must leave it empty, and making both once
more must bring all of it again: by CHECKSUM TABLE. A row that somebody has changed since is
named in the server's answer, and stays. Names of columns come from the log, or from what
SHOW CREATE TABLE printed before the log, with every ALTER TABLE in it followed.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mariadb_lab
import row_matrix
from checks import Check, equal, exit_status, true
from lab import Lab
from mariadb_lab import MariadbServer
from row_matrix import Tables
from server import MysqlServer
from tool import Binlogsec

Server = MysqlServer | MariadbServer
MYSQL_CASES: dict[str, dict[str, str]] = {
    "full": {},
    "schema": {"binlog_row_metadata": "MINIMAL"},
    "partial": {"binlog_row_value_options": "PARTIAL_JSON"},
    "compressed": {"binlog_transaction_compression": "ON", "binlog_encryption": "ON"},
}
MARIADB_CASES: dict[str, dict[str, str]] = {
    "full": {},
    "schema": {"binlog-row-metadata": "NO_LOG"},
    "compressed": {"log-bin-compress": "ON"},
    "encrypted": mariadb_lab.ENCRYPTED,
}
LATER_CASES: dict[str, dict[str, str]] = {"full": {}, "full-nodup": {"binlog-row-image": "FULL_NODUP"}}
# Hidden columns, which CHECKSUM TABLE takes in, are filled anew.
NOT_SUMMED = {"indexed"}
# Each is run on a table (a INT, b INT, c INT); what it makes of that is the server's to say.
ALTERATIONS = [
    "ALTER TABLE a.t ADD d INT",
    "ALTER TABLE a.t ADD COLUMN d INT FIRST, ADD e INT AFTER a",
    "ALTER TABLE a.t ADD (d INT, e INT, UNIQUE (d))",
    "ALTER TABLE a.t DROP b",
    "ALTER TABLE a.t DROP COLUMN b, ADD b BIGINT",
    "ALTER TABLE a.t CHANGE a x INT AFTER c",
    "ALTER TABLE a.t CHANGE a b INT, CHANGE b a INT",
    "ALTER TABLE a.t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
    "ALTER TABLE a.t MODIFY c INT FIRST, MODIFY b INT FIRST",
    "ALTER TABLE a.t ADD d INT AFTER b, ADD e INT AFTER d, DROP a",
    "ALTER TABLE a.t ADD d INT DEFAULT -1 NOT NULL, ADD INDEX (b), COMMENT='ADD z INT'",
    "ALTER TABLE a.t ADD d INT GENERATED ALWAYS AS (a + 1) VIRTUAL AFTER a",
    "ALTER TABLE a.t ADD d ENUM('x','y') CHARACTER SET latin1 /* ADD q INT */ AFTER a -- ADD r INT\n",
    "RENAME TABLE a.t TO a.u, a.u TO a.t",
    "ALTER TABLE a.t ADD d VARCHAR(10) DEFAULT 'x', RENAME TO a.u; ALTER TABLE a.u RENAME a.t",
    "CREATE TABLE a.l LIKE a.t; DROP TABLE a.t; ALTER TABLE a.l ADD z INT FIRST; RENAME TABLE a.l TO a.t",
    "CREATE TABLE a.s AS SELECT c, a AS first FROM a.t; DROP TABLE a.t; RENAME TABLE a.s TO a.t",
]


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    for name, options in MYSQL_CASES.items():
        metadata = {"binlog_row_metadata": "FULL"} | options
        with lab.server(f"undo-{name}", **metadata) as server:
            yield from back_and_forth(lab, tool, f"MySQL, {name}", server, row_matrix.BOTH | row_matrix.MYSQL)
            if name == "full":
                yield from changed_since(tool, "MySQL", server)
                yield from refused(tool, "MySQL", server)
                yield from cascades(tool, server)
            if name == "schema":
                yield from altered(lab, tool, "MySQL", server)
    fixed = {"character-set-server": "utf8mb4", "binlog-format": "ROW", "binlog-row-metadata": "FULL"}
    for number, (name, options) in enumerate(MARIADB_CASES.items()):
        home = lab.folder / f"undo-m-{name}"
        with MariadbServer(home, 60 + number, fixed | mariadb_lab.with_keys(home, options)) as server:
            yield from back_and_forth(lab, tool, f"MariaDB, {name}", server, row_matrix.BOTH | row_matrix.MARIADB)
            if name == "full":
                yield from changed_since(tool, "MariaDB", server)
                yield from refused(tool, "MariaDB", server)
            if name == "schema":
                yield from altered(lab, tool, "MariaDB", server)
    later = row_matrix.BOTH | row_matrix.MARIADB | row_matrix.LATER_MARIADB
    for number, (name, options) in enumerate(LATER_CASES.items()):
        with MariadbServer(lab.folder / f"undo-l-{name}", 80 + number, fixed | options, mariadb_lab.sid_programs()) as server:
            yield from back_and_forth(lab, tool, f"MariaDB {server.version()}, {name}", server, later)


def given(server: Server, script: str | bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script; with --force what a statement of it fails with is passed over."""
    text = script.encode() if isinstance(script, str) else script
    if isinstance(server, MysqlServer):
        return server.chroot.run(*server.client(), *options, stdin=text)
    command = [*server.client("mariadb"), "-BN", *options]
    return subprocess.run(command, input=text, capture_output=True)


def log_of(server: Server, script: str) -> list[str | Path]:
    """What the command needs to read the log of a script: its path, and its keys."""
    server.sql("FLUSH BINARY LOGS")
    given(server, script, "--force")
    server.sql("FLUSH BINARY LOGS")
    if isinstance(server, MysqlServer):
        log = server.log_path(server.binlogs()[-2].name)
        return [log, "--keyring", server.keyring_path]
    return [server.datadir / server.binlogs()[-2], *mariadb_lab.key_arguments(server)]


def contents(server: Server, tables: Tables) -> dict[str, Any]:
    def of_table(name: str) -> Any:
        if name in NOT_SUMMED:
            return server.sql(f"SELECT * FROM m.{name} ORDER BY 1")
        return server.sql(f"CHECKSUM TABLE m.{name}")[0][1]

    return {name: of_table(name) for name in tables}


def different(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    return [name for name, value in one.items() if other[name] != value]


def dump(lab: Lab, server: Server, database: str) -> Path:
    """What SHOW CREATE TABLE prints of each table, with the database's name before it."""
    path = lab.scratch("schema") / "tables.sql"
    names = [row[0] for row in server.sql(f"SHOW TABLES FROM {database}")]
    each = (server.sql(f"SHOW CREATE TABLE {database}.{name}")[0][1] for name in names)
    path.write_text(f"USE `{database}`;\n" + "".join(f"{text};\n" for text in each), encoding="utf-8")
    return path


def back_and_forth(lab: Lab, tool: Binlogsec, what: str, server: Server, tables: Tables) -> Iterator[Check]:
    given(server, row_matrix.creation(tables))
    schema = ["--schema", dump(lab, server, "m")]
    empty = contents(server, tables)
    first = log_of(server, row_matrix.changes(tables))
    between = contents(server, tables)
    second = log_of(server, row_matrix.changes(tables))
    after = contents(server, tables)
    for name, log, arguments, expected in [
        ("the second log is taken back", second, [], between),
        ("so is the first", first, ["--check", "transactions"], empty),
        ("the first is made once more", first, ["--as", "redo"], between),
        ("and the second", second, ["--as", "redo", "--check", "off"], after),
        ("both are taken back at once", [first[0], *second], [], empty),
    ]:
        script = tool.run("undo", *log, *schema, *arguments)
        yield exit_status(f"{what}: {name}: undo", 0, script)
        answer = given(server, script.stdout)
        yield exit_status(f"{what}: {name}: the server runs it", 0, answer)
        yield equal(f"{what}: {name}: every row is as logged", b"", answer.stdout[:300])
        yield equal(f"{what}: {name}: {len(tables)} tables", [], different(expected, contents(server, tables)))


SHOP = """
CREATE DATABASE shop;
CREATE TABLE shop.orders (id INT PRIMARY KEY, state VARCHAR(20), total DECIMAL(9,2)) ENGINE=InnoDB;
INSERT INTO shop.orders VALUES (1, 'new', 1), (2, 'new', 2), (3, 'new', 3), (4, 'gone', 4), (5, 'gone', 5);
"""


def orders(server: Server) -> list[list[str]]:
    return server.sql("SELECT * FROM shop.orders ORDER BY id")


def changed_since(tool: Binlogsec, what: str, server: Server) -> Iterator[Check]:
    server.sql(SHOP)
    log = log_of(
        server,
        "UPDATE shop.orders SET state = 'paid' WHERE id < 4; DELETE FROM shop.orders WHERE id > 3;"
        "INSERT INTO shop.orders VALUES (6, 'late', 6), (7, 'late', 7);",
    )
    # Somebody: another case, which a collation takes for the same; a row again; one changed, one gone.
    server.sql(
        "UPDATE shop.orders SET state = 'PAID' WHERE id = 2; INSERT INTO shop.orders VALUES (4, 'again', 0);"
        "UPDATE shop.orders SET total = 60 WHERE id = 6; DELETE FROM shop.orders WHERE id = 7"
    )
    before = orders(server)
    whole = tool.run("undo", *log, "--check", "transactions")
    answer = given(server, whole.stdout)
    yield equal(f"{what}, changed since: transactions stay as they are", before, orders(server))
    yield equal(f"{what}, changed since: four rows are named", 4, answer.stdout.count(b"not taken back"))
    script = tool.run("undo", *log)
    yield exit_status(f"{what}, changed since: undo", 0, script)
    answer = given(server, script.stdout)
    yield exit_status(f"{what}, changed since: the server runs it", 0, answer)
    yield equal(f"{what}, changed since: the same four rows are named", 4, answer.stdout.count(b"not taken back"))
    expected = [
        ["1", "new", "1.00"],
        ["2", "PAID", "2.00"],
        ["3", "new", "3.00"],
        ["4", "again", "0.00"],
        ["5", "gone", "5.00"],
        ["6", "late", "60.00"],
    ]
    yield equal(f"{what}, changed since: the others are taken back, these are not", expected, orders(server))


def refused(tool: Binlogsec, what: str, server: Server) -> Iterator[Check]:
    """What cannot be taken back is told by position, and nothing is written."""
    change = "UPDATE shop.orders SET total = total + 1 WHERE id = 1;"
    minimal = f"SET SESSION binlog_row_image = 'MINIMAL'; {change}"
    # Only what changed the table without transactions stays, and the log has both.
    savepoint = (
        "CREATE TABLE IF NOT EXISTS shop.kept (id INT) ENGINE=MyISAM; BEGIN; SAVEPOINT a;"
        f"{change} INSERT INTO shop.kept VALUES (1); ROLLBACK TO SAVEPOINT a; COMMIT;"
    )
    statement = f"SET SESSION binlog_format = 'STATEMENT'; {change}"
    # MySQL refuses such a transaction where GTIDs must be consistent.
    mixed = [
        ("a transaction that went back to a savepoint", savepoint, "stayed hangs on the tables' engines"),
    ]
    for name, script, told in [
        *(mixed if isinstance(server, MariadbServer) else []),
        ("MINIMAL images", minimal, "binlog_row_image is not FULL"),
        ("a statement", statement, "the log does not say which"),
        ("ALTER TABLE behind it", change + "ALTER TABLE shop.orders ADD n INT", "ALTER TABLE of shop.orders"),
        ("TRUNCATE behind it", change + "TRUNCATE shop.orders", "TRUNCATE TABLE of shop.orders"),
    ]:
        undo = tool.run("undo", *log_of(server, script))
        yield exit_status(f"{what}, refused: {name}", 2, undo)
        said = undo.stderr.decode(errors="replace")
        yield true(f"{what}, refused: {name} is told", told in said and "position" in said, told, said)
        yield equal(f"{what}, refused: {name}: nothing is written", b"", undo.stdout)
    if isinstance(server, MariadbServer):
        # What was rolled back is not in the log, and what stayed is taken back.
        log = log_of(server, f"BEGIN; {change} INSERT INTO shop.kept VALUES (2); ROLLBACK;")
        script = tool.run("undo", *log)
        rows = (script.returncode, script.stdout.count(b"DELETE FROM"), script.stdout.count(b"UPDATE"))
        yield equal(f"{what}: of a transaction that was rolled back, what stayed is taken back", (0, 1, 0), rows)
    other = tool.run("undo", *log_of(server, f"SET SESSION binlog_format = 'STATEMENT'; {change}"), "--table", "m.ints")
    yield exit_status(f"{what}: a statement on another table does not matter", 1, other)


def cascades(tool: Binlogsec, server: MysqlServer) -> Iterator[Check]:
    """MySQL logs from 9.6 on what foreign keys do: it is taken back, and does not happen again."""
    server.sql(
        "CREATE DATABASE fk; CREATE TABLE fk.p (id INT PRIMARY KEY); CREATE TABLE fk.c (id INT PRIMARY KEY, p INT,"
        "FOREIGN KEY (p) REFERENCES fk.p (id) ON DELETE CASCADE ON UPDATE CASCADE);"
        "INSERT INTO fk.p VALUES (1), (2); INSERT INTO fk.c VALUES (10, 1), (11, 1), (12, 2)"
    )
    before = server.sql("SELECT * FROM fk.p; SELECT * FROM fk.c")
    log = log_of(server, "UPDATE fk.p SET id = 5 WHERE id = 2; DELETE FROM fk.p WHERE id = 1;")
    script = tool.run("undo", *log)
    answer = given(server, script.stdout)
    yield equal("MySQL: rows that foreign keys changed are as logged", (0, b""), (answer.returncode, answer.stdout))
    yield equal("MySQL: and they are taken back", before, server.sql("SELECT * FROM fk.p; SELECT * FROM fk.c"))


def altered(lab: Lab, tool: Binlogsec, what: str, server: Server) -> Iterator[Check]:
    """The names that a schema and the statements in a log give are those of the server."""
    server.sql("CREATE DATABASE a")
    for statement in ALTERATIONS:
        server.sql("DROP TABLE IF EXISTS a.t; CREATE TABLE a.t (a INT, b INT, c INT)")
        schema = dump(lab, server, "a")
        log = log_of(server, f"INSERT INTO a.t VALUES (1, 2, 3); {statement}; INSERT INTO a.t () VALUES ();")
        listed = tool.run("rows", *log, "--schema", schema, "--table", "a.t", "--format", "json")
        rows = [json.loads(line) for line in listed.stdout.splitlines()]
        columns = server.sql(
            "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'a' AND TABLE_NAME = 't' "
            "ORDER BY ORDINAL_POSITION"
        )
        expected = [["a", "b", "c"], [row[0] for row in columns]]
        got = [list(row["after"]) for row in (rows[:1] + rows[-1:])]
        yield equal(f"{what}: names before and behind {statement}", expected, got)
