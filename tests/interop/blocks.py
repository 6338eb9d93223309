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
from sysroot import LabError
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
    """As a user who has set what a careful one sets."""
    text = place.here(block.text)
    if block.language == "sql":
        if place.sql is None:
            raise LabError(f"{block.title}: nobody runs SQL in {block.place}")
        place.sql(text)
        return subprocess.CompletedProcess([], 0, b"", b"")
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=place.folder,
        env=environment() | {"PATH": f"{programs}:{os.environ.get('PATH', '')}", "HOME": str(place.folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
    )


def programs_of(chroot: Chroot, folder: Path, binlogsec: Path, names: tuple[str, ...]) -> Path:
    """A folder for the PATH: the command, and the server's own programs, which run in its root, in the
    same folder, with the option file that is there."""
    (folder / "binlogsec").symlink_to(binlogsec)
    for name in names:
        script = folder / name
        script.write_text(
            "#!/bin/sh\n"
            f'here="${{PWD#{chroot.root}}}"\n'
            f'HOME="${{HOME#{chroot.root}}}" exec chroot {chroot.root} /bin/sh -c '
            f'\'cd "$1" && shift && exec {name} "$@"\' sh "$here" "$@"\n'
        )
        script.chmod(0o755)
    return folder
