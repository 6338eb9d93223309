"""Rows as `mysqlbinlog -vv` and `mariadb-binlog -vv` print them, beside those of `rows --format json`.

They print `@n=VALUE /* TYPE meta=… nullable=… is_null=… */`. By the type, the value is held
against ours: the same number, text, bytes, date or time. What they leave out (all behind a
geometry column) or print in a form that says less (the number of an ENUM's member whose name
we have) is counted as not compared.
"""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from checks import Finished

HEAD = re.compile(r"^### (INSERT INTO|UPDATE|DELETE FROM) `(.+)`\.`(.+)`$")
VALUE = re.compile(r"^###   @(\d+)=(.*?)( /\* ([^ ]*(?: [^ ]+)?) meta=\d+ nullable=\d is_null=\d \*/)?$")
OPS = {"INSERT INTO": "insert", "UPDATE": "update", "DELETE FROM": "delete"}
CHARSETS = ("utf-8", "latin-1", "cp1252", "cp1251", "shift_jis", "gbk", "utf-16-be", "big5", "euc_kr")
WHOLE = ("TINYINT", "SHORTINT", "MEDIUMINT", "INT", "LONGINT", "YEAR")
TEXTS = ("VARSTRING", "STRING", "TINYBLOB", "BLOB", "MEDIUMBLOB", "LONGBLOB", "TINYTEXT", "TEXT", "MEDIUMTEXT", "LONGTEXT")


@dataclass
class Row:
    """A row that was printed: its values, of an update those before and those after."""

    op: str
    table: str
    values: list[tuple[int, str, str]] = field(default_factory=list)


def rows(lines: Iterable[str]) -> Iterator[Row]:
    """The rows of a listing, whose bytes are characters of latin-1."""
    row: Row | None = None
    for line in lines:
        if head := HEAD.match(line):
            if row is not None:
                yield row
            row = Row(OPS[head[1]], f"{head[2]}.{head[3]}")
        elif row is not None and (value := VALUE.match(line)):
            row.values.append((int(value[1]), value[2], (value[4] or "").strip()))
    if row is not None:
        yield row


@dataclass
class Comparison:
    """What came of a log, or of many."""

    rows: int = 0
    values: int = 0
    not_compared: Counter[str] = field(default_factory=Counter)
    different: list[str] = field(default_factory=list)

    def tell(self, what: str) -> None:
        if len(self.different) < 20:
            self.different.append(what)


# What MySQL's printer escapes besides bytes that are not printed, as its literals do; MariaDB's does not.
MYSQL = rb"\\(?:x([0-9A-Fa-f]{2})|(.))"
MARIADB = rb"\\x([0-9A-Fa-f]{2})()"
LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"0": b"\0", b"Z": b"\x1a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def compare(listing: Finished, listed: Finished, found: Comparison, where: str) -> None:
    """Holds every row of both against the other, in order; where their printer fails, up to there.

    Of a log that was never closed they keep back the rows of a statement whose last event is not
    there.
    """
    theirs = rows(listing.stdout.decode("latin-1").split("\n"))
    left = iter(map(json.loads, listed.stdout.splitlines()))
    mine = next(left, None)
    for number, row in enumerate(theirs, 1):
        if mine is None:
            found.tell(f"{where}: row {number} of {row.table} is not ours")
            return
        place = f"{where}: row {number}, {mine['database']}.{mine['table']} at {mine['position']}"
        table = f"{mine['database']}.{mine['table']}".encode().decode("latin-1")
        if (row.op, row.table) != (mine["op"], table):
            found.tell(f"{place}: {row.op} {row.table}, {mine['op']}")
            return
        found.rows += 1
        is_whole = one_row(row, mine, found, place)
        event, mine = event_of(mine), next(left, None)
        # Of an event, they leave out all behind a geometry column, further rows included.
        while not is_whole and mine is not None and event_of(mine) == event:
            found.not_compared["rows left out by them"] += 1
            mine = next(left, None)
    is_cut = b"never closed" in listed.stderr
    while mine is not None and (listing.returncode != 0 or is_cut):
        found.not_compared["rows behind where their printer ends"] += 1
        mine = next(left, None)
    if mine is not None:
        found.tell(f"{where}: a row of ours is not theirs: {str(mine)[:200]}")


def event_of(row: dict[str, Any]) -> tuple[int, int | None]:
    return row["position"], row.get("inner_offset")


def one_row(row: Row, mine: dict[str, Any], found: Comparison, place: str) -> bool:
    """Whether all of it was printed."""
    images = [image for image in (mine["before"], mine["after"]) if image is not None]
    values = [value for image in images for value in image.values()]
    if len(values) != len(row.values):
        # What stands behind a column that they cannot print is left out.
        if len(row.values) > len(values) or not row.values or not is_unprintable(row.values[-1]):
            found.tell(f"{place}: {len(row.values)} values, {len(values)}")
            return True
        found.not_compared["values left out by them"] += len(values) - len(row.values)
    for (number, theirs, kind), value in zip(row.values, values, strict=False):
        verdict = same(theirs, kind, value)
        if verdict is None:
            found.not_compared[kind.split("(")[0].strip() or "no type"] += 1
        elif verdict:
            found.values += 1
        else:
            found.tell(f"{place}: @{number} {kind}: {theirs[:120]!r}, {str(value)[:120]!r}")
    return len(values) == len(row.values)


def is_unprintable(value: tuple[int, str, str]) -> bool:
    return "Don't know how" in value[1] or "GEOMETRY" in value[2]


def same(theirs: str, kind: str, ours: Any) -> bool | None:
    """Whether they are one value; `None` where theirs does not say enough."""
    if "Don't know how" in theirs or theirs.startswith("JSON_"):
        return None
    if theirs == "'null'" and base_of(kind) == "JSON":
        # A document that is null, which JSON does not tell from NULL.
        return ours is None
    if theirs == "NULL" or ours is None:
        return theirs == "NULL" and ours is None
    base = base_of(kind)
    if base in WHOLE:
        return whole(theirs, base, ours)
    if base == "DECIMAL":
        return number(theirs) == number(str(ours))
    if base in ("FLOAT", "DOUBLE"):
        digits = ".6g" if base == "FLOAT" else ".17g"
        return f"{float(theirs):{digits}}" == f"{float(ours):{digits}}"
    if base == "BIT":
        return int(theirs.removeprefix("b'").rstrip("'"), 2) == int(ours)
    if base == "ENUM":
        return int(theirs) == ours if isinstance(ours, int) else None
    if base == "SET":
        return bits(theirs, ours) if not isinstance(ours, str) or ours.isdigit() else None
    if base == "DATE":
        return theirs.strip("'").replace(":", "-") == ours
    if base in ("TIME", "DATETIME"):
        return theirs.strip("'") == ours
    if base == "TIMESTAMP":
        return timestamp(theirs) == ours
    if base == "JSON":
        return document(theirs, ours)
    # A vector; a geometry; a compressed column, which they print as it is stored.
    if isinstance(ours, list) or (isinstance(ours, dict) and "srid" in ours) or kind.endswith("COMPRESSED"):
        return None
    if base in TEXTS or not base:
        return text(theirs, ours)
    return None


def base_of(kind: str) -> str:
    return kind.split("(")[0].split("/")[0].strip()


def whole(theirs: str, base: str, ours: Any) -> bool:
    signed, _, unsigned = theirs.partition(" (")
    if base == "YEAR":
        return int(signed) == ours or (int(signed) == 1900 and ours == 0)
    return int(ours) in {int(signed), int(unsigned.rstrip(")") or signed)}


def number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def bits(theirs: str, ours: Any) -> bool:
    digits = theirs.removeprefix("b'").rstrip("'")
    return int(digits, 2) == int(ours)


def timestamp(theirs: str) -> str:
    seconds, point, fraction = theirs.partition(".")
    if int(seconds) == 0 and not fraction.strip("0"):
        return "0000-00-00 00:00:00" + point + fraction
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%d %H:%M:%S") + point + fraction


def quoted(theirs: str, escape: bytes) -> bytes:
    """The bytes of a text in quotes, in which those that are not printed are escaped."""
    inner = theirs.removeprefix("'").removesuffix("'").encode("latin-1")

    def byte(found: re.Match[bytes]) -> bytes:
        return bytes([int(found[1], 16)]) if found[1] else LETTERS.get(found[2], found[2])

    return re.sub(escape, byte, inner)


def text(theirs: str, ours: Any) -> bool:
    return any(is_text(quoted(theirs, escape), ours) for escape in (MYSQL, MARIADB))


def is_text(expected: bytes, ours: Any) -> bool:
    if isinstance(ours, dict) and set(ours) == {"base64"}:
        # BINARY: the zeros at its end are not in the log.
        return base64.b64decode(ours["base64"]).rstrip(b"\0") == expected.rstrip(b"\0")
    for charset in CHARSETS:
        try:
            if str(ours).encode(charset) == expected:
                return True
        except UnicodeEncodeError:
            continue
    return False


def document(theirs: str, ours: Any) -> bool | None:
    """Escapes of the document itself may stand as they are."""
    if isinstance(ours, str):
        return is_text(quoted(theirs, MYSQL), ours)
    verdict: bool | None = None
    for escape in (rb"(?!)()()", MYSQL):
        try:
            verdict = equal_documents(json.loads(quoted(theirs, escape)), ours)
        except ValueError:
            # Or it is a partial update, as a function.
            continue
        if verdict:
            return True
    return verdict


def equal_documents(one: Any, other: Any) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal_documents(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal_documents, one, other))
    return one == other
