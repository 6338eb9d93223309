"""The command under test, as a user runs it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from checks import Finished
from sysroot import private_mounts

SECONDS = 300


@dataclass(frozen=True)
class Binlogsec:
    """Runs `binlogsec`, always with the same environment, whoever calls."""

    path: Path
    # What starts it, if not we ourselves.
    prefix: tuple[str, ...] = ()

    def apart(self) -> Binlogsec:
        """The same in a process namespace of its own, as in another container: it sees no server.

        It is killed with the process that starts it.
        """
        prefix = private_mounts("--mount-proc", "--pid", "--fork", "--kill-child=KILL")
        return Binlogsec(self.path, tuple(prefix))

    def run(self, *arguments: str | Path, **variables: str) -> Finished:
        return subprocess.run(
            self.command(*arguments),
            env=environment() | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
        )

    def start(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """For pipes: the caller reads stdout while the command is still writing it."""
        return subprocess.Popen(
            self.command(*arguments),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def start_quietly(self, *arguments: str | Path) -> subprocess.Popen[bytes]:
        """For kills: nobody reads what it says, and it never waits for a reader."""
        return subprocess.Popen(
            self.command(*arguments),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def command(self, *arguments: str | Path) -> list[str]:
        return [*self.prefix, str(self.path), *map(str, arguments)]


def environment() -> dict[str, str]:
    """A caller's BINLOGSEC_* variables name keys and options that would change the outcome."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BINLOGSEC_")}
    return {**kept, "LC_ALL": "C.UTF-8"}
