"""How logs stand after a run that was stopped, killed or overtaken by the server: is one lost?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from bench import Bench
from checks import Finished

PLAIN_MAGIC = b"\xfebin"
ENCRYPTED_MAGIC = b"\xfdbin"
OURS = ".binlogsec-*"


@dataclass
class Standing:
    """The logs of a server by how their content can be had, with the keyring as it is now."""

    opens: list[str] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)
    # Not by its own name: its plaintext lies whole in a file that the command left.
    beside: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def standing(bench: Bench, plain: dict[str, bytes]) -> Standing:
    """Hold every log against its plaintext. Nobody may be rotating keys meanwhile."""
    found = Standing()
    opening = opening_logs(bench)
    kept = {file.read_bytes() for file in leftovers(bench) if file.is_file()}
    for name, content in plain.items():
        if name in opening:
            found.opens.append(name)
        elif bench.server.log_path(name).read_bytes() == content:
            found.plain.append(name)
        elif content in kept:
            found.beside.append(name)
        else:
            found.lost.append(name)
    return found


def opening_logs(bench: Bench) -> set[str]:
    """The encrypted logs of the index whose key is in the keyring, and fits."""
    index, keyring = bench.server.index_path, bench.server.keyring_path
    done = bench.tool.run("inspect", index, "--keyring", keyring, "--format", "json")
    files = json.loads(done.stdout)["files"]
    return {
        Path(file["path"]).name
        for file in files
        if file["kind"] == "mysql-encrypted" and file["key_status"] == "present"
    }


def differing(bench: Bench, plain: dict[str, bytes]) -> list[str]:
    """The logs that the server itself does not serve as what they were in plaintext."""
    served = bench.server.served_each(list(plain), bench.lab.scratch("served"))
    return [name for name, content in plain.items() if served.get(name) != content]


def still_plain(bench: Bench, plain: dict[str, bytes]) -> list[str]:
    return [name for name in plain if magic(bench.server.log_path(name)) == PLAIN_MAGIC]


def magic(log: Path) -> bytes:
    with log.open("rb") as file:
        return file.read(len(PLAIN_MAGIC))


def leftovers(bench: Bench) -> list[Path]:
    """What the command has made beside the logs and not removed."""
    return sorted(bench.server.datadir.glob(OURS))


def told(done: Finished) -> dict[str, str]:
    """What a run's report says of each log; nothing, if it has none."""
    files = json.loads(done.stdout)["files"] if done.stdout else []
    return {Path(file["path"]).name: file["status"] for file in files}
