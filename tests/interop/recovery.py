"""What the scenarios of `recover` share: the command with the keys of an archive, and replays."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import text
from busy import Server, tables
from checks import Check, Finished, equal, exit_status, true
from lab import Lab
from mariadb_lab import MariadbServer
from server import MysqlServer
from tool import Binlogsec

BEGINNING = ("--from", "beginning")
Argument = str | Path


@dataclass(frozen=True)
class Recovery:
    """`recover`, always over the same archives and with the same keys."""

    lab: Lab
    tool: Binlogsec
    archives: tuple[Path, ...]
    keys: tuple[Argument, ...]

    def of(self, *archives: Path) -> Recovery:
        return Recovery(self.lab, self.tool, archives, self.keys)

    def run(self, *arguments: Argument, zone: str = "UTC") -> Finished:
        return self.tool.run("recover", *self.archives, *arguments, *self.keys, TZ=zone)

    def plan(self, *arguments: Argument) -> dict[str, Any]:
        done = self.run(*arguments, "--plan", "--format", "json")
        found: dict[str, Any] = json.loads(done.stdout or b"{}")
        return found or {"error": text(done.stderr)}

    def to_file(self, what: str, *arguments: Argument, zone: str = "UTC") -> Iterator[Check]:
        """Write a stream; the caller takes it from `stream`."""
        done = self.run(*arguments, "-o", self.stream(what), zone=zone)
        yield exit_status(f"recover {what}", 0, done)

    def stream(self, what: str) -> Path:
        return self.lab.folder / ("stream-" + "".join(c if c.isalnum() else "-" for c in what))


def replay(lab: Lab, stream: Path, server: Server, what: str) -> Iterator[Check]:
    """By one reader of logs and one client, the server's own, as the pages have it."""
    scratch = lab.scratch("load")
    if isinstance(server, MysqlServer):
        inside = f"--local-load={server.chroot.inside(scratch)}"
        done = lab.mysqlbinlog([inside, stream])
        command = [*server.client(), "--binary-mode", "--local-infile=1"]
        yield exit_status(f"mysqlbinlog reads {what}", 0, done)
        replayed = server.chroot.run(*command, stdin=done.stdout)
    else:
        [program, *_] = server.client("mariadb-binlog")
        reader = [program, "--no-defaults", f"--local-load={scratch}", str(stream)]
        done = subprocess.run(reader, capture_output=True)
        yield exit_status(f"mariadb-binlog reads {what}", 0, done)
        command = [*server.client("mariadb"), "--binary-mode", "--local-infile=1"]
        replayed = subprocess.run(command, input=done.stdout, capture_output=True)
    yield exit_status(f"a server takes {what}", 0, replayed)


def same_tables(what: str, expected: dict[str, str], got: dict[str, str]) -> Check:
    differ = {name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name)}
    return true(
        f"{what}: all {len(expected)} tables and what belongs to them",
        not differ,
        "the same",
        f"{sorted(differ)}",
    )


def restored(lab: Lab, stream: Path, server: Server, what: str, expected: dict[str, str]) -> Iterator[Check]:
    yield from replay(lab, stream, server, what)
    yield same_tables(what, expected, tables(server))


def what_stands_in_the_way(recovery: Recovery, middle: str, to: tuple[Argument, ...]) -> Iterator[Check]:
    """A log that is missing or damaged, a key that is not there: it is told, and nothing is written."""
    [archive] = recovery.archives
    broken = recovery.lab.scratch("broken")
    shutil.copytree(archive, broken, dirs_exist_ok=True)
    log, here = broken / middle, recovery.of(broken)
    sound = log.read_bytes()
    log.unlink()
    done = here.run(*BEGINNING, *to, "-o", "-")
    yield from refused("a log is missing", 1, done, middle)
    gap = here.plan(*BEGINNING, *to)["gaps"][0]
    yield equal(
        "the plan names it, too",
        (["missing", middle], True),
        ([gap["kind"], *gap["logs"]], bool(gap["first"])),
    )
    at = len(sound) // 2
    log.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
    done = here.run(*BEGINNING, *to, "-o", "-")
    yield from refused("a log is damaged", 4, done, middle)
    done = recovery.of(broken, archive).run(*BEGINNING, *to, "-o", "-")
    yield exit_status("another copy of it will do", 0, done)
    done = recovery.tool.run("recover", archive, *BEGINNING, *to, "-o", "-")
    yield from refused("there is no key", 3, done)


def refused(what: str, code: int, done: Finished, name: str = "") -> Iterator[Check]:
    yield exit_status(what, code, done)
    yield equal(f"{what}: nothing is written", b"", done.stdout)
    said = text(done.stderr)
    yield true(f"{what}: it is told", bool(said) and name in said, name or "a word", said)


def flushed(server: Server) -> list[Path]:
    """All logs but the one that is being written."""
    server.sql("FLUSH BINARY LOGS")
    if isinstance(server, MariadbServer):
        return [server.datadir / name for name in server.binlogs()[:-1]]
    return [server.log_path(entry.name) for entry in server.binlogs()[:-1]]


def set_aside(lab: Lab, server: Server, name: str) -> Path:
    """An archive: copies of the server's closed logs."""
    folder = lab.scratch(name)
    for log in flushed(server):
        shutil.copy(log, folder)
    return folder
