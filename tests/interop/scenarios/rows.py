"""`rows` against real servers: every type, forward and as JSON, and beside mysqlbinlog.

Forward: the statements, run by an empty server, must make tables equal to those of the
server that wrote the log. As JSON: the changes, made one after the other to nothing,
must end in the rows that the server shows. Beside mysqlbinlog: every row, in order,
with every value that it prints.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import row_matrix
from checks import Check, equal, exit_status
from lab import Lab
from mariadb_lab import MariadbServer
from row_matrix import Tables
from server import MysqlServer
from tool import Binlogsec

MYSQL_CASES: dict[str, dict[str, str]] = {
    "full": {},
    "minimal": {"binlog_row_image": "MINIMAL"},
    "noblob": {"binlog_row_image": "NOBLOB"},
    "partial": {"binlog_row_value_options": "PARTIAL_JSON"},
    "minimal-partial": {"binlog_row_image": "MINIMAL", "binlog_row_value_options": "PARTIAL_JSON"},
    "compressed": {"binlog_transaction_compression": "ON", "binlog_encryption": "ON"},
}
MARIADB_CASES: dict[str, dict[str, str]] = {
    "full": {},
    "minimal": {"binlog-row-image": "MINIMAL"},
    "noblob": {"binlog-row-image": "NOBLOB"},
    "compressed": {"log-bin-compress": "ON"},
}
# CHECKSUM TABLE takes hidden columns into it, which the two servers have filled in other ways.
NOT_SUMMED = {"indexed"}
# A text in swe7, which is shown as bytes.
NOT_READ = {"n"}
# What each image tells: only with these the rows can be put together from JSON.
WHOLE_IMAGES = {"full", "partial", "compressed"}


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    for name, options in MYSQL_CASES.items():
        yield from mysql(lab, tool, name, options)
    for name, options in MARIADB_CASES.items():
        yield from mariadb(lab, tool, name, options)


def mysql(lab: Lab, tool: Binlogsec, name: str, options: dict[str, str]) -> Iterator[Check]:
    tables = row_matrix.BOTH | row_matrix.MYSQL
    source = lab.server(f"rows-{name}", binlog_row_metadata="FULL", **options)
    with source, lab.server(f"rows-{name}-copy") as copy:
        for server in (source, copy):
            given(server, row_matrix.creation(tables))
        source.sql("FLUSH BINARY LOGS")
        given(source, row_matrix.changes(tables), "--force")
        source.sql("FLUSH BINARY LOGS")
        log = source.log_path(source.binlogs()[-2].name)
        keys = ["--keyring", source.keyring_path] if "binlog_encryption" in options else []
        yield from forward(tool, f"MySQL, {name}", (source, copy), tables, [log, *keys])
        if name in WHOLE_IMAGES:
            yield from shown(tool, f"MySQL, {name}", source, tables, [log, *keys])
        if name == "full":
            printed = lab.chroot.run("mysqlbinlog", "-v", "--base64-output=DECODE-ROWS", lab.chroot.inside(log))
            yield beside(tool, log, printed.stdout.decode(errors="replace"))


def mariadb(lab: Lab, tool: Binlogsec, name: str, options: dict[str, str]) -> Iterator[Check]:
    tables = row_matrix.BOTH | row_matrix.MARIADB
    fixed = {"character-set-server": "utf8mb4", "binlog-format": "ROW", "binlog-row-metadata": "FULL"}
    source = MariadbServer(lab.folder / f"rows-m-{name}", 51, fixed | options)
    with source, MariadbServer(lab.folder / f"rows-m-{name}-copy", 52, fixed) as copy:
        for server in (source, copy):
            given(server, row_matrix.creation(tables))
        source.sql("FLUSH BINARY LOGS")
        given(source, row_matrix.changes(tables), "--force")
        source.sql("FLUSH BINARY LOGS")
        log = source.datadir / source.binlogs()[-2]
        yield from forward(tool, f"MariaDB, {name}", (source, copy), tables, [log])
        if name in WHOLE_IMAGES:
            yield from shown(tool, f"MariaDB, {name}", source, tables, [log])


Server = MysqlServer | MariadbServer


def given(server: Server, script: str | bytes, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run a script; with --force what a statement of it fails with is passed over."""
    text = script.encode() if isinstance(script, str) else script
    if isinstance(server, MysqlServer):
        return server.chroot.run(*server.client(), *options, stdin=text)
    command = [*server.client("mariadb"), "-BN", *options]
    return subprocess.run(command, input=text, capture_output=True)


def forward(
    tool: Binlogsec, what: str, servers: tuple[Server, Server], tables: Tables, log: list[Path | str]
) -> Iterator[Check]:
    source, copy = servers
    script = tool.run("rows", *log, "--format", "sql")
    yield exit_status(f"{what}: rows as SQL", 0, script)
    yield exit_status(f"{what}: an empty server runs them", 0, given(copy, script.stdout))
    different = [name for name in tables if contents(source, name) != contents(copy, name)]
    yield equal(f"{what}: {len(tables)} tables are equal then", [], different)


def contents(server: Server, table: str) -> Any:
    if table in NOT_SUMMED:
        return server.sql(f"SELECT * FROM m.{table} ORDER BY 1")
    return server.sql(f"CHECKSUM TABLE m.{table}")[0][1]


def shown(tool: Binlogsec, what: str, server: Server, tables: Tables, log: list[Path | str]) -> Iterator[Check]:
    """The rows that come of all changes, beside what the server shows."""
    listed = tool.run("rows", *log, "--format", "json")
    yield exit_status(f"{what}: rows as JSON", 0, listed)
    rows: dict[str, Counter[str]] = {name: Counter() for name in tables}
    for line in listed.stdout.splitlines():
        change = json.loads(line)
        of_table = rows[change["table"]]
        if change["before"] is not None:
            of_table.subtract([one(change["before"])])
        if change["after"] is not None:
            # With PARTIAL_JSON a document that no change is logged for is left out.
            of_table.update([one((change["before"] or {}) | change["after"])])
    for name in tables:
        expected, got = seen(server, name), +rows[name]
        difference = (sorted(expected - got), sorted(got - expected))
        yield equal(f"{what}: {name} as JSON are the rows of the server", ([], []), difference)


def one(image: dict[str, Any]) -> str:
    read = {name: value_of(value) for name, value in image.items() if name not in NOT_READ}
    return json.dumps(read, sort_keys=True, default=str)


def value_of(value: Any) -> Any:
    """A value of ours, in the form that those of the server are brought to."""
    if isinstance(value, dict) and set(value) == {"base64"}:
        return base64.b64decode(value["base64"]).hex()
    if isinstance(value, dict) and set(value) == {"srid", "wkb"}:
        return (struct.pack("<I", value["srid"]) + base64.b64decode(value["wkb"]["base64"])).hex()
    return value


def seen(server: Server, table: str) -> Counter[str]:
    """What SELECT shows, by the types of the columns."""
    described = server.sql(
        "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE FROM information_schema.COLUMNS "
        f"WHERE TABLE_SCHEMA = 'm' AND TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION"
    )
    columns = [(name, of_type(kind.lower(), whole)) for name, kind, whole in described]
    selected = ", ".join(expression(name, kind) for name, kind in columns)
    rows = server.sql(f"SET time_zone = '+00:00'; SET NAMES utf8mb4; SELECT {selected} FROM m.{table}")
    found: Counter[str] = Counter()
    for row in rows:
        named = zip(columns, row, strict=True)
        found.update([one({name: read(text, kind) for (name, kind), text in named})])
    return found


def of_type(kind: str, whole: str) -> str:
    return "compressed blob" if kind == "blob" and "COMPRESSED" in whole else kind


BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "point", "linestring"}
BYTES |= {"multipolygon", "vector"}
TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"}
NUMBERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year"}


def expression(name: str, kind: str) -> str:
    """Texts and bytes in hexadecimal digits, so that nothing in them is an escape; FLOATs exactly."""
    if kind in BYTES or kind == "compressed blob":
        return f"HEX(`{name}`)"
    if kind in TEXTS:
        return f"HEX(CONVERT(`{name}` USING utf8mb4))"
    if kind == "inet6":
        return f"HEX(CAST(`{name}` AS BINARY(16)))"
    if kind in {"float", "bit"}:
        return f"`{name}` + 0" if kind == "bit" else f"`{name}` + 0e0"
    return f"`{name}`"


def read(text: str, kind: str) -> Any:
    if text == "NULL":
        return None
    if kind == "vector":
        floats = bytes.fromhex(text)
        return [shortest(number) for number in struct.unpack(f"<{len(floats) // 4}f", floats)]
    if kind == "compressed blob":
        # The log does not tell TEXT from BLOB here: what is UTF-8 is shown as text.
        with contextlib.suppress(UnicodeDecodeError):
            return bytes.fromhex(text).decode()
    if kind in BYTES or kind in {"inet6", "compressed blob"}:
        return text.lower()
    if kind in TEXTS:
        decoded = bytes.fromhex(text).decode()
        return json.loads(decoded) if kind == "json" else decoded
    if kind in NUMBERS:
        number = int(text)
        return number if abs(number) <= 1 << 53 else text
    if kind == "float":
        return shortest(float(text))
    return float(text) if kind == "double" else text


def shortest(value: float) -> float:
    """The number with the fewest digits that is the same FLOAT, which JSON shows."""
    wanted = struct.pack("<f", value)
    for digits in range(1, 18):
        candidate = float(f"{value:.{digits}g}")
        with contextlib.suppress(OverflowError):
            if struct.pack("<f", candidate) == wanted:
                return candidate
    return value


PRINTED = re.compile(r"^### (?:(INSERT INTO|UPDATE|DELETE FROM) `(.+?)`\.`(.+?)`|(SET|WHERE)|  @(\d+)=(.*))$")
# A geometry column ends what is printed of an event.
UNPRINTED = "m.shapes"
OPS = {"INSERT INTO": "insert", "UPDATE": "update", "DELETE FROM": "delete"}


def beside(tool: Binlogsec, log: Path, printed: str) -> Check:
    """Every row of mysqlbinlog's, in order, with the values that it prints as numbers and dates. It
    prints nothing of an event behind a geometry column, and names no column."""
    theirs: list[list[Any]] = []
    for line in printed.splitlines():
        found = PRINTED.match(line)
        if found is None:
            continue
        op, database, table, _, number, value = found.groups()
        if op is not None:
            theirs.append([OPS[op], f"{database}.{table}", []])
        elif number is not None:
            theirs[-1][2].append((int(number), value))
    theirs = [row for row in theirs if row[1] != UNPRINTED]
    lines = tool.run("rows", log, "--format", "json").stdout.splitlines()
    ours = [row for row in map(json.loads, lines) if row["table"] not in UNPRINTED]
    if [row[:2] for row in theirs] != [[row["op"], f"{row['database']}.{row['table']}"] for row in ours]:
        return equal("mysqlbinlog -v prints the same rows in the same order", len(theirs), len(ours))
    different = [
        f"{row['table']} row {row['row']} at {row['position']}: {value}"
        for (_, _, values), row in zip(theirs, ours, strict=True)
        for value in contradictions(values, row)
    ]
    return equal(f"mysqlbinlog -v: {len(ours)} rows in the same order, with the same values", [], different[:5])


def contradictions(values: list[tuple[int, str]], row: dict[str, Any]) -> Iterator[str]:
    """Values of theirs that ours contradict, where theirs say all: whole numbers, and NULL."""
    images = [image for image in (row["before"], row["after"]) if image is not None]
    flat = [value for image in images for value in image.values()]
    if len(values) != len(flat):
        yield f"{len(values)} values, {len(flat)}"
    for (number, theirs), ours in zip(values, flat, strict=True):
        if theirs == "NULL" and ours is not None:
            yield f"@{number}: NULL, {ours!r}"
        plain = re.fullmatch(r"-?\d+", theirs)
        is_number = isinstance(ours, int) and not isinstance(ours, bool)
        if plain and is_number and int(theirs) != ours and not (theirs == "1900" and ours == 0):
            yield f"@{number}: {theirs}, {ours!r}"
