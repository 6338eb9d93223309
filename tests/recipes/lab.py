"""A folder with logs of real servers, and the program on the PATH, for recipes to work on."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "docs" / "deploy"
FIXTURES = ROOT / "fixtures"
# Six logs: two in plaintext from before encryption, four encrypted.
MIXED = FIXTURES / "mysql-9.7" / "mixed-key3-running"
MARIADB = FIXTURES / "mariadb-10.11" / "cbc128-crc32-row"
SECONDS = 120
SHOWN = 600

Finished = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Check:
    """One claim, and what was seen."""

    what: str
    passed: bool
    got: object = ""

    def line(self, section: str) -> str:
        return f"ok   {section}: {self.what}" if self.passed else f"FAIL {section}: {self.what}: {str(self.got)[:SHOWN]}"


def equal(what: str, expected: object, got: object) -> Check:
    return Check(what, expected == got, f"expected {expected!r}, got {got!r}")


def ends(what: str, code: int, done: Finished, word: str = "") -> Check:
    """A command ended with this code, and said this word on one of its outputs."""
    text = done.stdout + done.stderr
    return Check(what, done.returncode == code and word in text, f"exit {done.returncode}: {text}")


@dataclass(frozen=True)
class Lab:
    """Where a section works. The command is on the PATH as `binlogsec`."""

    folder: Path
    binlogsec: Path

    def __post_init__(self) -> None:
        (self.folder / "bin").mkdir()
        (self.folder / "bin" / "binlogsec").symlink_to(self.binlogsec)
        (self.folder / "home").mkdir()

    def environment(self, **more: str) -> dict[str, str]:
        kept = ("LANG", "LC_ALL", "CARGO_HOME", "RUSTUP_HOME", "XDG_CACHE_HOME")
        return {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder / "home"),
            "NO_COLOR": "1",
            **more,
        }

    def bash(self, script: str, where: Path, **variables: str) -> Finished:
        return self.run("bash", "-c", script, where=where, **variables)

    def run(self, *command: str | Path, where: Path | None = None, **variables: str) -> Finished:
        return subprocess.run(
            [str(word) for word in command],
            cwd=where or self.folder,
            env=self.environment(**variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def mysql(self, name: str, plaintext: bool) -> Path:
        """A data directory of MySQL, with the keyring beside it as NAME.keyring."""
        place = self.folder / name
        place.mkdir(parents=True)
        numbers = range(1, 7) if plaintext else range(3, 7)
        for number in numbers:
            shutil.copy(MIXED / f"binlog.{number:06}", place)
            (place / f"binlog.{number:06}").chmod(0o600)
        keyring = self.keyring(name)
        shutil.copy(MIXED / "component_keyring_file", keyring)
        keyring.chmod(0o600)
        return place

    def keyring(self, name: str) -> Path:
        return self.folder / f"{name}.keyring"


def lacks(program: str) -> bool:
    """Says so, if it is not there."""
    if shutil.which(program):
        return False
    print(f"NOT RUN: {program} is not installed", flush=True)
    return True
