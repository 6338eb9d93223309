"""The command under test, and the logs it is shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures" / "mysql-9.7"
MIXED = FIXTURES / "mixed-key3-running"
KEYRING = MIXED / "component_keyring_file"
SECONDS = 170
SHOWN = 400

Finished = subprocess.CompletedProcess[bytes]


@dataclass(frozen=True)
class Check:
    """One claim, and what was seen."""

    what: str
    passed: bool
    got: str = ""

    def line(self, suite: str) -> str:
        shown = self.got if len(self.got) <= SHOWN else self.got[:SHOWN] + " …"
        return f"ok {suite}: {self.what}" if self.passed else f"FAIL {suite}: {self.what}: {shown}"


def equal(what: str, expected: Any, got: Any) -> Check:
    return Check(what, expected == got, f"expected {expected!r:.180}, got {got!r:.180}")


def said(what: str, done: Finished, code: int, word: str = "") -> Check:
    text = done.stderr.decode(errors="replace")
    return Check(what, done.returncode == code and word in text, f"exit {done.returncode}: {text}")


def each(*sections: Callable[[], Iterable[Check]]) -> Iterator[Check]:
    """One section after the other; one that breaks does not hide the next."""
    for section in sections:
        try:
            yield from section()
        except Exception as error:  # noqa: BLE001
            name = getattr(section, "__name__", getattr(getattr(section, "func", None), "__name__", "?"))
            yield Check(f"{name} runs", False, f"{type(error).__name__}: {error}")


@dataclass(frozen=True)
class Binlogsec:
    """Runs `binlogsec` with what a store needs in its environment, and with nothing else of it."""

    path: Path
    variables: dict[str, str]

    def with_variables(self, **more: str) -> Binlogsec:
        return Binlogsec(self.path, {**self.variables, **more})

    def run(self, *arguments: str | Path) -> Finished:
        return subprocess.run(
            self.command(*arguments),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(*arguments),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def report(self, *arguments: str | Path) -> Any:
        done = self.run(*arguments, "--format", "json")
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise AssertionError(done.stderr.decode(errors="replace")) from None

    def command(self, *arguments: str | Path) -> list[str]:
        return [str(self.path), *map(str, arguments)]

    def environment(self) -> dict[str, str]:
        foreign = ("BINLOGSEC_", "AWS_", "AZURE_", "AZURITE_", "GOOGLE_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        return {**kept, "LC_ALL": "C.UTF-8", **self.variables}


def note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
