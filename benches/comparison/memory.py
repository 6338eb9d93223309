"""Free memory that is there when it is wanted.

A virtual machine may give free pages back to its host, and gets them back one slow fault at a time.
Whoever takes such pages pays for it, by chance: `cp` of one gigabyte took 0.3 s and 1.6 s. So all free
memory is touched before each run, and what would be too much to touch each time is held meanwhile.
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


@contextmanager
def late_write_back(size: int) -> Iterator[bool]:
    """Lets so many bytes lie in the page cache unwritten, and puts the old limits back at the end.
    Gives whether that could be done."""
    limits = {name: Path("/proc/sys/vm") / name for name in
              ("dirty_background_bytes", "dirty_bytes", "dirty_background_ratio", "dirty_ratio")}
    old = {name: path.read_text().strip() for name, path in limits.items()}
    try:
        limits["dirty_bytes"].write_text(str(2 * size))
        limits["dirty_background_bytes"].write_text(str(size))
    except OSError:
        yield False
        return
    try:
        yield True
    finally:
        # Of bytes and ratio one is always 0, and is set by the other.
        for name, value in old.items():
            if value != "0":
                limits[name].write_text(value)
