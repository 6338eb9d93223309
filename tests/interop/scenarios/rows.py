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
import struct
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mariadb_lab
import printed_rows
import row_matrix
from checks import Check, Finished, equal, exit_status
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
    "encrypted": mariadb_lab.ENCRYPTED,
}
# What MariaDB has since 11.5: the image after has the changed columns alone, that before has all.
LATER_CASES: dict[str, dict[str, str]] = MARIADB_CASES | {"full-nodup": {"binlog-row-image": "FULL_NODUP"}}
# CHECKSUM TABLE takes hidden columns into it, which the two servers have filled in other ways.
NOT_SUMMED = {"indexed"}
# A text in swe7, which is shown as bytes.
NOT_READ = {"n"}
# What each image tells: only with these the rows can be put together from JSON.
WHOLE_IMAGES = {"full", "partial", "compressed", "encrypted", "full-nodup"}


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    for name, options in MYSQL_CASES.items():
        yield from mysql(lab, tool, name, options)
    for name, options in MARIADB_CASES.items():
        yield from mariadb(lab, tool, name, options)
    later = mariadb_lab.sid_programs()
    for name, options in LATER_CASES.items():
        yield from mariadb(lab, tool, name, options, later)


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
            listing = lab.chroot.run("mysqlbinlog", "-vv", "--base64-output=DECODE-ROWS", lab.chroot.inside(log))
            yield beside(tool, "MySQL", [log], listing, "mysqlbinlog")


def mariadb(
    lab: Lab, tool: Binlogsec, name: str, options: dict[str, str], programs: Path | None = None
) -> Iterator[Check]:
    tables = row_matrix.BOTH | row_matrix.MARIADB | (row_matrix.LATER_MARIADB if programs else {})
    fixed = {"character-set-server": "utf8mb4", "binlog-format": "ROW", "binlog-row-metadata": "FULL"}
    home = lab.folder / f"rows-{'later' if programs else 'm'}-{name}"
    source = MariadbServer(home, 51, fixed | mariadb_lab.with_keys(home, options), programs)
    with source, MariadbServer(home.with_name(home.name + "-copy"), 52, fixed, programs) as copy:
        for server in (source, copy):
            given(server, row_matrix.creation(tables))
        source.sql("FLUSH BINARY LOGS")
        given(source, row_matrix.changes(tables), "--force")
        source.sql("FLUSH BINARY LOGS")
        what = f"MariaDB {source.version()}, {name}"
        log = [source.datadir / source.binlogs()[-2], *mariadb_lab.key_arguments(source)]
        # UUIDs and addresses look like bytes in the log.
        schema = ["--schema", schema_of(lab, source)] if programs else []
        yield from forward(tool, what, (source, copy), tables, [*log, *schema])
        if name in WHOLE_IMAGES:
            later = row_matrix.LATER_MARIADB if programs else {}
            yield from shown(tool, what, source, {name: it for name, it in tables.items() if name not in later}, log)
            if later:
                yield from shown(tool, f"{what}, by schema", source, later, [*log, *schema])
        if "encrypt-binlog" not in options:
            command = ["mariadb-binlog", "--no-defaults", "-vv", "--base64-output=DECODE-ROWS", log[0]]
            listing = subprocess.run(command, capture_output=True)
            yield beside(tool, what, log[:1], listing, "mariadb-binlog")


def schema_of(lab: Lab, server: Server) -> Path:
    """What SHOW CREATE TABLE prints of each table, with the database's name before it."""
    path = lab.scratch("schema") / "tables.sql"
    names = [row[0] for row in server.sql("SHOW TABLES FROM m")]
    each = (server.sql(f"SHOW CREATE TABLE m.{name}")[0][1] for name in names)
    path.write_text("USE `m`;\n" + "".join(f"{text};\n" for text in each), encoding="utf-8")
    return path


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
        of_table = rows.get(change["table"])
        if of_table is None:
            continue
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
        "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS "
        f"WHERE TABLE_SCHEMA = 'm' AND TABLE_NAME = '{table}' ORDER BY ORDINAL_POSITION"
    )
    columns = [(name, kind.lower()) for name, kind in described]
    selected = ", ".join(expression(name, kind) for name, kind in columns)
    rows = server.sql(f"SET time_zone = '+00:00'; SET NAMES utf8mb4; SELECT {selected} FROM m.{table}")
    found: Counter[str] = Counter()
    for row in rows:
        named = zip(columns, row, strict=True)
        found.update([one({name: read(text, kind) for (name, kind), text in named})])
    return found


BYTES = {"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "geometry", "point", "linestring"}
BYTES |= {"multipolygon", "vector"}
TEXTS = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json"}
NUMBERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "bit", "year"}


def expression(name: str, kind: str) -> str:
    """Texts and bytes in hexadecimal digits, so that nothing in them is an escape; FLOATs exactly."""
    if kind in BYTES:
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
    if kind in BYTES or kind == "inet6":
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


def beside(tool: Binlogsec, what: str, log: list[Path | str], listing: Finished, printer: str) -> Check:
    """Every row of theirs, in order, with every value that they print."""
    found = printed_rows.Comparison()
    listed = tool.run("rows", *log, "--format", "json")
    printed_rows.compare(listing, listed, found, Path(log[0]).name)
    text = f"{what}: {printer} -vv: {found.rows} rows in the same order, with the same {found.values} values"
    return equal(text, [], found.different)
