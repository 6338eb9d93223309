"""What a scenario finds: one `Check` for every claim it tests."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

Finished = subprocess.CompletedProcess[bytes]
Section = Callable[[], Iterable["Check"]]
SHOWN = 300


@dataclass(frozen=True)
class Check:
    """One claim about the product, held against what the real server does."""

    what: str
    passed: bool
    expected: str = ""
    got: str = ""

    def line(self, scenario: str) -> str:
        if self.passed:
            return f"ok {scenario}: {self.what}"
        return f"FAIL {scenario}: {self.what}, expected {shorten(self.expected)}, got {shorten(self.got)}"


def shorten(text: str) -> str:
    """One line a check, whatever a program printed."""
    flat = " | ".join(part.strip() for part in text.splitlines() if part.strip())
    return flat if len(flat) <= SHOWN else flat[:SHOWN] + " …"


def equal(what: str, expected: Any, got: Any) -> Check:
    return Check(what, expected == got, repr(expected), repr(got))


def true(what: str, holds: bool, expected: object, got: object) -> Check:
    return Check(what, holds, str(expected), str(got))


def none_of(what: str, found: Collection[str], among: Collection[str]) -> Check:
    """How many there are says more than their names, of which the first will do."""
    got = f"{len(found)} of {len(among)}, {', '.join(sorted(found)[:5])}"
    return Check(what, not found, "none", got)


def exit_status(what: str, expected: int, done: Finished) -> Check:
    """A wrong exit status is explained by what the program said, so show that too."""
    said = done.stderr.decode(errors="replace")
    return Check(what, done.returncode == expected, f"exit {expected}", f"exit {done.returncode}: {said}")


def same_bytes(what: str, expected: bytes, got: bytes) -> Check:
    return Check(what, expected == got, f"{len(expected)} bytes", difference(expected, got))


def same_list(what: str, expected: list[int], got: list[int]) -> Check:
    """Long lists: the first place where they part says more than either of them."""
    pairs = enumerate(zip(expected, got, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(expected), len(got)))
    return Check(what, expected == got, around(expected, at), around(got, at))


def around(values: list[int], at: int) -> str:
    return f"{len(values)} of them, from index {at} on {values[at : at + 3]}"


def difference(expected: bytes, got: bytes) -> str:
    """The first differing offset, found in large steps: logs have many megabytes."""
    step = 1 << 16
    for start in range(0, min(len(expected), len(got)), step):
        left, right = expected[start : start + step], got[start : start + step]
        if left != right:
            pairs = enumerate(zip(left, right, strict=False))
            at = next((i for i, (a, b) in pairs if a != b), min(len(left), len(right)))
            return f"{len(got)} bytes, the first difference at offset {start + at}"
    return f"{len(got)} bytes, the same as far as both go"


def each(*sections: Section) -> Iterator[Check]:
    """Run the sections one after the other; one that breaks does not hide the next."""
    for section in sections:
        try:
            yield from section()
        except Exception as error:  # a broken section is a failed check, whatever broke it
            yield Check(
                f"{title(section)} runs to its end", False, "no error", f"{type(error).__name__}: {error}"
            )


def title(section: Section) -> str:
    """A section is a function or a partial of one; its name says what it is about."""
    function = section.func if isinstance(section, partial) else section
    return str(getattr(function, "__name__", "section")).replace("_", " ")
