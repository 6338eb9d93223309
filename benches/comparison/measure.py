"""Runs contenders in turn and keeps every run's time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Contender:
    """One command; a shell line where pipes are measured."""

    name: str
    command: list[object] | str
    prepare: Callable[[], None] = lambda: None
    """What comes before each run, untimed."""
    statuses: tuple[int, ...] = (0,)
    seconds: list[float] = field(default_factory=list)
    peak_kib: int = 0

    def argv(self) -> list[str]:
        if isinstance(self.command, str):
            return ["sh", "-c", self.command]
        return [str(argument) for argument in self.command]


def remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def once(contender: Contender, prefix: list[str]) -> float:
    contender.prepare()
    command = prefix + contender.argv()
    started = time.perf_counter()
    # Without closing descriptors the interpreter need not be copied for the child.
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, close_fds=False)
    status = child.wait()
    seconds = time.perf_counter() - started
    if status not in contender.statuses:
        sys.exit(f"{contender.name} ended with {status}: {' '.join(command)}")
    return seconds


def peak(contender: Contender, figure: Path) -> int:
    """The largest resident set, mapped pages included, in KiB; from a run of its own. GNU time is a
    small process: a child of this interpreter would have its memory counted as its own."""
    once(contender, ["/usr/bin/time", "-o", str(figure), "-f", "%M"])
    return int(figure.read_text().split()[-1])


def rounds(contenders: list[Contender], runs: int, work: Path) -> None:
    """Every contender once a round, so that a slow moment of the machine hits them all."""
    for contender in contenders:
        contender.peak_kib = peak(contender, work / "peak")
    for _ in range(runs):
        for contender in contenders:
            contender.seconds.append(once(contender, []))


def threads() -> int:
    return len(os.sched_getaffinity(0))
