"""Runs the commands of pages as they are printed there, each block in a shell of its own.

The word behind a block's language is the place where it runs: a folder in which the files that the
block names are, made by a scenario. What a page calls a folder of the machine, a time or a GTID is
exchanged for what there is in the place. A block of a shell without such a word is not run.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chroot import Chroot
from sysroot import SYSTEM_PATH, LabError
from tool import environment

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECONDS = 120


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    number: int
    language: str
    place: str
    text: str

    @property
    def title(self) -> str:
        lines = self.text.splitlines()
        first = next((line for line in lines if not line.startswith(("set ", "export "))), "")
        return f"{self.page}, block {self.number}: {first[:60]}"


@dataclass
class Place:
    """Where blocks run."""

    folder: Path
    # What a page names, and what it is here.
    names: Mapping[str, object] = field(default_factory=dict)
    # What runs the blocks that are SQL.
    sql: Callable[[str], object] | None = None
    # The exit code, where it is not 0.
    expected: int = 0
    # Where the server's own programs are, if blocks need them.
    root: Chroot | None = None

    def here(self, text: str) -> str:
        for name in sorted(self.names, key=len, reverse=True):
            text = text.replace(name, str(self.names[name]))
        return text


def of_page(page: str) -> Iterator[Block]:
    """Every block of a page."""
    for number, match in enumerate(FENCE.finditer((ROOT / page).read_text(encoding="utf-8")), 1):
        language, _, place = match[1].partition(" ")
        yield Block(page, number, language, place, match[2])


def run(block: Block, place: Place, programs: Path) -> subprocess.CompletedProcess[bytes]:
    """As a user who has set what a careful one sets. `programs` is the folder that has the command."""
    text = place.here(block.text)
    if block.language == "sql":
        if place.sql is None:
            raise LabError(f"{block.title}: nobody runs SQL in {block.place}")
        place.sql(text)
        return subprocess.CompletedProcess([], 0, b"", b"")
    if place.root is not None:
        return inside(text, place, programs, place.root)
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=place.folder,
        env=environment() | {"PATH": f"{programs}:{os.environ.get('PATH', '')}", "HOME": str(place.folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
    )


def inside(text: str, place: Place, programs: Path, root: Chroot) -> subprocess.CompletedProcess[bytes]:
    """Where the server's own programs are."""
    folder = root.inside(place.folder)
    variables = [f"HOME={folder}", f"PATH={root.inside(programs)}:{SYSTEM_PATH}"]
    shell = ["bash", "-euo", "pipefail", "-c", f"cd {folder}\n{text}"]
    return root.run("env", *variables, *shell, seconds=SECONDS)
