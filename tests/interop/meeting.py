"""Makes a server and the command meet at a chosen point: each waits at one of its system calls.

What a race leaves to chance, in a window of microseconds, happens every time.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from functools import cache

from server import MysqlServer
from sysroot import LabError, find_tool, install
from tool import Binlogsec

# How a file gets a name that another one had, and one that none had.
RENAMES = "rename,renameat,renameat2"
LINKS = "linkat"
QUIET = ["strace", "-f", "-o", "/dev/null"]


@cache
def can_trace() -> bool:
    """Whether there is a strace, and it may do its work."""
    if find_tool("strace") is None:
        install("strace")
    if find_tool("strace") is None:
        return False
    return subprocess.run([*QUIET, "true"], capture_output=True).returncode == 0


@contextlib.contextmanager
def server_waits(server: MysqlServer, log: str, opening: int, seconds: float) -> Iterator[None]:
    """The server waits before it opens the log, counted from 1.

    In a rotation of the key it opens each log to read its header, and then by name to write it.
    """
    wait = f"inject=openat:delay_enter={round(seconds * 1e6)}:when={opening}"
    command = [*QUIET, "-P", f"./{log}", "-e", "trace=openat", "-e", wait, "-p", str(server.pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        try:
            if b" attached" not in (tracer.stderr.readline() if tracer.stderr else b""):
                raise LabError(f"strace cannot trace {server.name}")
            yield
        finally:
            tracer.terminate()
            tracer.communicate()


def command_waits(tool: Binlogsec, calls: str, moment: str, seconds: float) -> Binlogsec:
    """The command waits at the first of these system calls: at `enter` before it is done, at `exit` after it."""
    wait = f"inject={calls}:delay_{moment}={round(seconds * 1e6)}:when=1"
    return Binlogsec(tool.path, (*tool.prefix, *QUIET, "-e", f"trace={calls}", "-e", wait))
