"""Runs the commands of docs/guide-secure-replication.md as they are printed.

A fenced block says after its language where it belongs: ```sql db1, ```ini both,
```json FILE, ```sh audit. The ```text block after a report is what must come out.
Addresses and folders are exchanged for those of the lab, and back.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from checks import Check, equal, true
from sysroot import LabError
from tool import SECONDS, environment

GUIDE = Path(__file__).resolve().parents[2] / "docs/guide-secure-replication.md"
# Set, the reports in the guide are written anew instead of compared.
WRITE = "BINLOGSEC_WRITE_GUIDE"
FENCE = re.compile(r"^```(\S+)(?: ([^\n]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# Of the same length as `db1.example`, with a port of five digits: tables keep their columns.
ADDRESSES = {"db1": "127.0.10.1", "db2": "127.0.10.2"}
CLIENT = "127.0.0.1"


class Server(Protocol):
    port: int
    datadir: Path

    def sql(self, text: str) -> list[list[str]]: ...
    def restart(self, **options: str) -> None: ...


@dataclass(frozen=True)
class Block:
    """A fenced block, and where in the file its text is."""

    language: str
    place: str
    text: str
    span: tuple[int, int]
    number: int


@dataclass
class Setup:
    """Two servers of the lab in the place of the guide's."""

    servers: Mapping[str, Server]
    binlogsec: Path
    owner: str
    # What the guide calls a folder or file, and what it is here: for this machine, for the server.
    host_paths: Mapping[str, Path]
    server_paths: Mapping[str, str]
    settle: Callable[[], None]
    # Whether these are the servers whose reports the guide prints.
    is_printed: bool = True
    reports: list[tuple[Block, str]] = field(default_factory=list)

    @property
    def addresses(self) -> dict[str, str]:
        return {name: f"{ADDRESSES[name]}:{server.port}" for name, server in self.servers.items()}

    def here(self, text: str, paths: Mapping[str, Any]) -> str:
        for name, address in self.addresses.items():
            text = text.replace(f"{name}.example:3306", address)
            text = text.replace(f"DNS:{name}.example", f"IP:{ADDRESSES[name]}")
        text = re.sub(r"(SOURCE|MASTER)_PORT = 3306", rf"\1_PORT = {self.servers['db1'].port}", text)
        text = re.sub(r"(?<=@')(db2|monitor)\.example(?=')", CLIENT, text)
        for name, address in ADDRESSES.items():
            text = text.replace(f"{name}.example", address)
        for there, here in paths.items():
            text = text.replace(there, str(here))
        return text.replace("chown mysql:", f"chown {self.owner}")

    def as_printed(self, text: str) -> str:
        for name, address in self.addresses.items():
            text = text.replace(address, f"{name}.example:3306")
        text = re.sub(r"connection \d+ of repl from 127\.0\.0\.1", "connection 12 of repl from db2.example", text)
        text = re.sub(r"KILL \d+", "KILL 12", text)
        text = text.replace(f"'audit'@'{CLIENT}'", "'audit'@'monitor.example'")
        text = text.replace(f"'repl'@'{CLIENT}'", "'repl'@'db2.example'")
        for name, address in ADDRESSES.items():
            text = text.replace(address, f"{name}.example")
        for there, here in self.server_paths.items():
            text = text.replace(here, there)
        return text

    def shell(self, text: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.binlogsec.parent}:{os.environ.get('PATH', '')}"
        return subprocess.run(
            ["bash", "-euc", self.here(text, self.host_paths)],
            env={**environment(), "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )

    def of(self, place: str) -> list[Server]:
        return list(self.servers.values()) if place == "both" else [self.servers[place]]


def blocks(heading: str) -> Iterator[Block]:
    """The blocks below a heading of the second level."""
    text = GUIDE.read_text(encoding="utf-8")
    start = text.index(f"\n## {heading}\n")
    end = text.find("\n## ", start + 1)
    for number, match in enumerate(FENCE.finditer(text, start, end if end > 0 else len(text))):
        yield Block(match[1], match[2] or "", match[3], match.span(3), number)


def follow(heading: str, setup: Setup, what: str | None = None) -> Iterator[Check]:
    """Every block in its order. A step that fails ends the walk: the next would mean nothing."""
    printed, status, what = "", -1, what or heading
    for block in blocks(heading):
        title = f"{what}: block {block.number}, {block.language} {block.place}".rstrip()
        if block.language == "text":
            yield from compare(title, block, printed, setup)
            continue
        done = step(block, setup)
        if block.place == "audit":
            printed, status = setup.as_printed(done.stdout), done.returncode
            expected = [0, 1]
        else:
            expected = [0]
        holds = done.returncode in expected
        yield true(title, holds, f"exit {expected}", f"exit {done.returncode}: {done.stderr}")
        if not holds:
            raise LabError(f"the guide cannot be followed from {title} on")
    yield equal(f"{what}: the last report finds nothing that counts", 0, status)
    if os.environ.get(WRITE) and setup.is_printed:
        write(setup.reports)


def step(block: Block, setup: Setup) -> subprocess.CompletedProcess[str]:
    done = subprocess.CompletedProcess([], 0, "", "")
    match block.language:
        case "sql":
            for server in setup.of(block.place):
                server.sql(setup.here(block.text, setup.server_paths))
        case "ini":
            for server in setup.of(block.place):
                server.restart(**options(setup.here(block.text, setup.server_paths)))
        case "json":
            for server in setup.of("both"):
                write_json(server, block, setup)
        case "sh":
            if block.place == "audit":
                setup.settle()
            done = setup.shell(block.text)
        case other:
            raise LabError(f"nobody knows how to run a block of {other}")
    setup.settle()
    return done


def options(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if "=" in line]
    return {name.strip(): value.strip() for name, value in (line.split("=", 1) for line in lines)}


def write_json(server: Server, block: Block, setup: Setup) -> None:
    """What the guide puts beside the program, the lab puts into each data directory."""
    value = json.loads(block.text)
    if "path" in value:
        value["path"] = server.keyring_inside  # type: ignore[attr-defined]
    path = server.datadir / Path(block.place).name
    path.write_text(json.dumps(value), encoding="utf-8")


def compare(title: str, block: Block, printed: str, setup: Setup) -> Iterator[Check]:
    if not setup.is_printed:
        return
    if os.environ.get(WRITE):
        setup.reports.append((block, printed))
    else:
        yield equal(f"{title}: the report is the printed one", block.text, printed)


def write(reports: list[tuple[Block, str]]) -> None:
    text = GUIDE.read_text(encoding="utf-8")
    for block, printed in sorted(reports, key=lambda report: -report[0].span[0]):
        start, end = block.span
        text = text[:start] + printed + text[end:]
    GUIDE.write_text(text, encoding="utf-8")
