"""Running the programs of the server's root, from outside it."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from checks import Finished
from sysroot import SYSTEM_PATH, LabError, private_mounts

# The server refuses to run as root. A bare number needs no account on either side.
SERVER_USER = 990
SECONDS = 120
ENVIRONMENT = {"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8", "HOME": "/"}


@dataclass(frozen=True)
class Chroot:
    """The server's root: its paths have one name inside and another one outside."""

    root: Path

    def inside(self, path: Path) -> str:
        return "/" + str(path.resolve().relative_to(self.root))

    def contains(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.root)

    def run(
        self,
        *argv: str,
        stdin: bytes | IO[bytes] | None = None,
        seconds: float = SECONDS,
    ) -> Finished:
        """Run a client program to its end; stdin may be bytes or another program's pipe."""
        source, given = (None, stdin) if isinstance(stdin, bytes) else (stdin or subprocess.DEVNULL, None)
        return subprocess.run(
            ["chroot", str(self.root), *argv],
            env=ENVIRONMENT,
            stdin=source,
            input=given,
            capture_output=True,
            timeout=seconds,
        )

    def start_client(self, *argv: str) -> subprocess.Popen[bytes]:
        """A client that is fed by its stdin for as long as the caller likes."""
        return subprocess.Popen(
            ["chroot", str(self.root), *argv],
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def start_server(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a server whose process id is the one returned: every wrapper here execs.

        The kernel ends it when the calling thread dies, even if this program is
        killed outright; therefore start servers from the main thread. A session
        of its own keeps the terminal's Ctrl-C away from it: the lab stops it.
        """
        user = str(SERVER_USER)
        drop = ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs"]
        return subprocess.Popen(
            [*self._with_proc, "chroot", str(self.root), *drop, "--pdeathsig", "KILL", *argv],
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @cached_property
    def _with_proc(self) -> list[str]:
        """Some builds want /proc. It is mounted in the server's own namespace, so the
        kernel unmounts it with the process; where that is not allowed, go without."""
        return private_mounts(f"--mount-proc={self.root / 'proc'}")

    def give_to_server(self, path: Path) -> None:
        """Make a file or a whole tree the server's, and nobody else's."""
        for found in [path, *path.rglob("*")] if path.is_dir() else [path]:
            os.chown(found, SERVER_USER, SERVER_USER, follow_symlinks=False)

    def require(self, done: Finished, doing: str) -> Finished:
        """For steps that are not the thing tested: a failure there is the lab's."""
        if done.returncode != 0:
            raise LabError(f"{doing}: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
        return done
