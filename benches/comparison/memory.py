"""Free memory that is there when it is wanted.

A virtual machine may give free pages back to its host, and gets them back one slow fault at a time.
Whoever takes such pages pays for it, by chance: `cp` of one gigabyte took 0.3 s and 1.6 s. So all free
memory is touched before each run, and what would be too much to touch each time is held meanwhile.
As root, two more things are kept from happening by chance: that the kernel writes an output back while
it is made, and that it gives memory to the host while somebody is measured.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LEFT_FREE = 3 << 30
"""Enough for a large output and what the system wants besides."""
RESERVE = 256 << 20
"""Not touched, so that nothing has to make room."""


def free() -> int:
    found = re.search(r"MemFree: +(\d+) kB", Path("/proc/meminfo").read_text())
    return int(found[1]) << 10 if found else 0


def take(size: int) -> mmap.mmap:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    return mmap.mmap(-1, size, flags=flags)


def touch() -> None:
    size = min(free(), LEFT_FREE + RESERVE) - RESERVE
    if size > 0:
        take(size).close()


def hold() -> mmap.mmap | None:
    """Takes what is free beyond LEFT_FREE, until it is closed."""
    size = free() - LEFT_FREE - RESERVE
    return take(size) if size > 0 else None


VM = Path("/proc/sys/vm")
DIRTY = ("dirty_background_bytes", "dirty_background_ratio", "dirty_bytes", "dirty_ratio")
BEFORE_REPORTED = Path("/sys/module/page_reporting/parameters/min_free_ms")
"""How long a page is free before the host is told of it; not every kernel has it."""
MINUTE_MS = 60_000


@contextmanager
def kept(unwritten: int) -> Iterator[bool]:
    """Lets so many bytes lie in the page cache unwritten, keeps the host from taking back what was
    just freed, and puts the old limits back at the end. Gives whether that could be done."""
    old = {VM / name: (VM / name).read_text().strip() for name in DIRTY}
    if BEFORE_REPORTED.exists():
        old[BEFORE_REPORTED] = BEFORE_REPORTED.read_text().strip()
    try:
        yield set_limits(unwritten)
    finally:
        for path, value in old.items():
            # Of bytes and ratio one is always 0, and is set by the other.
            if path.read_text().strip() != value and (value != "0" or path == BEFORE_REPORTED):
                path.write_text(value)


def set_limits(unwritten: int) -> bool:
    try:
        (VM / "dirty_bytes").write_text(str(2 * unwritten))
        (VM / "dirty_background_bytes").write_text(str(unwritten))
        if BEFORE_REPORTED.exists():
            BEFORE_REPORTED.write_text(str(MINUTE_MS))
    except OSError:
        return False
    return True
