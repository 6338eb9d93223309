"""`rows` on every real log that is kept, beside the servers' own printers.

Each log of the fixtures, and of the corpus where there is one, is read as it is, encrypted or
not, and printed in plaintext by mysqlbinlog or mariadb-binlog: every row, in order, every value.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import printed_rows
from checks import Check, Finished, equal, true
from lab import Lab
from mariadb_lab import require_programs
from sysroot import say
from tool import Binlogsec

REPOSITORY = Path(__file__).resolve().parents[3]
MAGIC = {b"\xfebin", b"\xfdbin"}
# Printers show rows that were rolled back, and one without a column in a form of its own: see rows_fates.
TOLD_OTHERWISE = {"xa", "minimal"}
PRINTER = ("-vv", "--base64-output=DECODE-ROWS")


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    require_programs()
    tool = Binlogsec(binlogsec)
    for writer in ("mysql-9.7", "mariadb-10.11"):
        found = printed_rows.Comparison()
        logs, without_rows, without_key = 0, 0, 0
        for log, keys in logs_of(writer):
            listed = tool.run("rows", log, *keys, "--format", "json")
            if listed.returncode == 3:
                without_key += 1
                continue
            plain = plaintext(lab, tool, log, keys)
            before = found.rows
            printed_rows.compare(listing(lab, writer, plain), listed, found, str(log.relative_to(log.parents[2])))
            plain.unlink()
            logs += 1
            without_rows += found.rows == before
        yield equal(
            f"{writer}: {logs} logs, {found.rows} rows, {found.values} values are those of its printer",
            [],
            found.different,
        )
        say(f"{writer}: {without_rows} logs without rows, {without_key} without a key; not compared: {found.not_compared}")
        yield true(f"{writer}: there was something to compare", found.rows > 50, "more than 50 rows", str(found.rows))


def logs_of(writer: str) -> Iterator[tuple[Path, list[str | Path]]]:
    corpus = Path(os.environ.get("BINLOGSEC_CORPUS", REPOSITORY.parent / "shared/corpus"))
    for root in (REPOSITORY / "fixtures", corpus):
        for folder in sorted((root / writer).glob("*")):
            keys = keys_of(folder)
            places = [folder, folder / "logs"]
            for log in sorted(path for place in places for path in place.glob("*.0*")):
                if re.fullmatch(r"\d{6}", log.suffix[1:]) and log.is_file() and log.open("rb").read(4) in MAGIC:
                    yield log, keys
    for log in sorted((REPOSITORY / "fixtures/rows").glob(f"{writer}-*.000001")):
        if log.stem.removeprefix(f"{writer}-") not in TOLD_OTHERWISE:
            yield log, []
    if writer.startswith("mysql"):
        yield from old_logs()


def old_logs() -> Iterator[tuple[Path, list[str | Path]]]:
    """Real ones of older servers, where they are at hand."""
    folder = REPOSITORY.parent / "shared/cases/realfiles"
    for log in sorted(folder.glob("mysql-[58]*.0*")) + sorted(folder.glob("aurora-*")):
        keys = folder / "mysql-8.0.14-keyring_file-v2"
        yield log, ["--keyring", keys] if "encrypted" in log.name else []


def keys_of(folder: Path) -> list[str | Path]:
    for name, option in (("component_keyring_file", "--keyring"), ("keys.txt", "--mariadb-keys")):
        if (folder / name).is_file():
            return [option, folder / name]
    return []


def plaintext(lab: Lab, tool: Binlogsec, log: Path, keys: list[str | Path]) -> Path:
    plain = lab.scratch("plain") / log.name
    done = tool.run("decrypt", log, *keys, "-o", plain)
    if done.returncode == 0:
        return plain
    plain.write_bytes(log.read_bytes())
    return plain


def listing(lab: Lab, writer: str, plain: Path) -> Finished:
    if writer.startswith("mysql"):
        return lab.mysqlbinlog([*PRINTER, plain])
    command = ["mariadb-binlog", "--no-defaults", *PRINTER, str(plain)]
    return subprocess.run(command, capture_output=True)
