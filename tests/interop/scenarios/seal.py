"""`seal` beside servers that write, rotate and rekey: no alarm for what they do, and every attack found.

Logs are sealed again and again while a server writes and rotates its logs and its key, which
writes the headers of all logs anew; nothing of that is a change. Then somebody edits, cuts, swaps
and deletes logs of the stopped server, each of which must be found.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mariadb_lab
from checks import Check, equal, exit_status
from lab import Lab
from mariadb_lab import MariadbServer
from tool import Binlogsec

ROTATIONS = 60
ROUNDS = 6


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    yield from mysql(lab, tool)
    yield from mariadb(lab, tool)


def report(done: Any) -> Any:
    return json.loads(done.stdout or b"{}")


def mysql(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    work = lab.scratch("seal")
    manifest, key = work / "m", work / "key"
    yield exit_status("keygen", 0, tool.run("seal", "keygen", key))
    public = ["--public-key", work / "key.pub"]
    with lab.server("sealed", binlog_encryption="ON") as server:
        index = server.datadir / "binlog.index"
        server.sql("CREATE DATABASE s; CREATE TABLE s.t (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)")
        for round_ in range(ROUNDS):
            for _ in range(ROTATIONS // ROUNDS):
                server.sql("INSERT INTO s.t (v) VALUES (REPEAT('x', 500)); FLUSH BINARY LOGS")
            keys = ["--keyring", server.keyring_path]
            sealed = tool.run("seal", index, "-o", manifest, "--sign-key", key, *keys, "--format", "json")
            yield exit_status(f"round {round_}: the closed logs of a running server are sealed", 0, sealed)
            server.sql("ALTER INSTANCE ROTATE BINLOG MASTER KEY")
            held = tool.run("seal", "verify", manifest, index, *public, *keys, "--format", "json")
            yield exit_status(f"round {round_}: after a rotation of the key nothing is changed", 0, held)
        summary = report(held)["summary"]
        logs = summary["unchanged"]
        yield equal(f"{logs} logs under new headers are unchanged", (True, 0, 0, 0),
                    (logs >= ROTATIONS, summary["changed"], summary["missing"], summary["added"]))
        anchor = tool.run("seal", "anchor", manifest).stdout.decode().strip()
        yield exit_status("the anchor holds", 0, tool.run("seal", "verify", manifest, index, "--anchor", anchor))
        first = server.binlogs()[5].name
        server.sql(f"PURGE BINARY LOGS TO '{first}'")
        gone = tool.run("seal", "verify", manifest, index, *public, "--format", "json")
        yield exit_status("purged logs are missing", 1, gone)
        yield equal("five of them", 5, report(gone)["summary"]["missing"])
        purged = tool.run("seal", "verify", manifest, index, *public, "--purged-to", first)
        yield exit_status("and are none where that is said", 0, purged)
        names = [log.name for log in server.binlogs()]
        server.stop()
        held_with = [manifest, index, *public, *keys, "--purged-to", first]
        yield from attacked(tool, server.datadir, names, held_with)


def attacked(tool: Binlogsec, datadir: Path, names: list[str], verify: list[str | Path]) -> Iterator[Check]:
    one, other, last = (datadir / names[at] for at in (3, 7, len(names) - 3))
    kept = {path: path.read_bytes() for path in (one, other, last)}

    def found() -> list[str]:
        logs = report(tool.run("seal", "verify", *verify, "--format", "json"))["logs"]
        return [log["name"] for log in logs if log["status"] in {"changed", "missing", "added"}]

    edits = [
        ("a bit flipped", {one: flipped(kept[one])}, [one.name]),
        ("an end cut off", {last: kept[last][:-40]}, [last.name]),
        ("two logs exchanged", {one: kept[other], other: kept[one]}, sorted([one.name, other.name])),
        ("an older log under a newer name", {last: kept[one]}, [last.name]),
        ("the header of another log", {one: kept[other][:512] + kept[one][512:]}, [one.name]),
    ]
    for what, changes, expected in edits:
        for path, content in changes.items():
            path.write_bytes(content)
        yield equal(f"{what}: found, and nothing else", expected, sorted(found()))
        for path in changes:
            path.write_bytes(kept[path])
    moved = one.with_name("away")
    shutil.move(one, moved)
    yield equal("a log deleted: found, and nothing else", [one.name], found())
    shutil.move(moved, one)
    yield equal("all put back: nothing is found", [], found())


def flipped(content: bytes) -> bytes:
    at = len(content) - 60
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def mariadb(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    """Relay logs and binary logs of MariaDB, encrypted: a manifest that anybody can check."""
    home = lab.folder / "sealed-m"
    work = lab.scratch("seal-m")
    manifest, key = work / "m", work / "key"
    tool.run("seal", "keygen", key)
    with MariadbServer(home, 71, mariadb_lab.with_keys(home, mariadb_lab.ENCRYPTED)) as server:
        server.sql("CREATE DATABASE s; CREATE TABLE s.t (id INT PRIMARY KEY AUTO_INCREMENT, v TEXT)")
        index = server.datadir / "binlog.index"
        keys = mariadb_lab.key_arguments(server)
        for _ in range(20):
            server.sql("INSERT INTO s.t (v) VALUES (REPEAT('x', 500)); FLUSH BINARY LOGS")
        sealed = tool.run("seal", index, "-o", manifest, "--sign-key", key, *keys, "--format", "json")
        yield exit_status("MariaDB: the closed logs are sealed", 0, sealed)
        public = ["--public-key", work / "key.pub"]
        held = tool.run("seal", "verify", manifest, index, *public, "--format", "json")
        yield exit_status("MariaDB: without a key of the logs nothing is changed", 0, held)
        yield equal("MariaDB: 20 logs", 20, report(held)["summary"]["unchanged"])
