"""`check` and `verify`, over and over, on a directory in which a server writes, rotates and purges.

Nothing is wrong there, so nothing may be found; and what is said must be true: a log that is said
to be gone is gone. Runs for 20 seconds, or for as many as BINLOGSEC_SOAK_SECONDS says.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import workload
from checks import Check, Finished, true
from lab import Lab
from server import MysqlServer
from tool import Binlogsec

SECONDS = float(os.environ.get("BINLOGSEC_SOAK_SECONDS", "20"))
KEPT_LOGS = 12
ROTATE_SECONDS = 0.05
PAUSE_SECONDS = 0.05
# True of every server with a file keyring that writes logs readable by its group.
TRUE_NOTES = {"BLS010", "BLS013"}
GONE = re.compile(r"cannot open (\S+): No such file or directory")


@dataclass
class Tally:
    """What the loop saw."""

    rounds: Counter[str] = field(default_factory=Counter)
    logs: int = 0
    vanished: int = 0
    in_use: int = 0
    false: list[str] = field(default_factory=list)


def run(lab: Lab, path: Path) -> Iterator[Check]:
    binlogsec = Binlogsec(path)
    with lab.server("soak", binlog_encryption="ON") as server:
        workload.create_tables(server)
        server.sql("SET PERSIST_ONLY max_binlog_size = 1048576")
        with churning(server) as made, workload.writing(server):
            tally = watch(server, binlogsec)
        yield from verdict(tally, made)
    again = Tally()
    judge_check(server, binlogsec, again)
    judge_verify(server, binlogsec, again)
    yield true("nothing is found when all is quiet", not again.false, "nothing", "; ".join(again.false))


def verdict(tally: Tally, made: Counter[str]) -> Iterator[Check]:
    figures = (
        f"{tally.rounds['check']} checks and {tally.rounds['verify']} verifications of {tally.logs} logs, "
        f"{tally.vanished} vanished, {tally.in_use} in use; "
        f"{made['rotated']} logs written, {made['purged']} purges in {SECONDS:.0f} s"
    )
    few = min(tally.rounds["check"], tally.rounds["verify"]) < 3 or made["purged"] < 3
    yield true(f"the server was watched: {figures}", not few, "three rounds and purges", figures)
    for claim in tally.false:
        print(f"untrue: {claim}", file=sys.stderr)
    shown = f"{len(tally.false)}: " + "; ".join(tally.false[:5])
    yield true("no false finding and no untrue error", not tally.false, "none", shown)


@contextlib.contextmanager
def churning(server: MysqlServer) -> Iterator[Counter[str]]:
    """Starts a new log again and again, and purges all but the last few."""
    made: Counter[str] = Counter()
    enough = threading.Event()

    def churn() -> None:
        while not enough.wait(ROTATE_SECONDS):
            server.sql("FLUSH BINARY LOGS")
            made["rotated"] += 1
            logs = server.binlogs()
            if len(logs) > 2 * KEPT_LOGS:
                server.sql(f"PURGE BINARY LOGS TO '{logs[-KEPT_LOGS].name}'")
                made["purged"] += 1

    thread = threading.Thread(target=churn, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        enough.set()
        thread.join()


def watch(server: MysqlServer, binlogsec: Binlogsec) -> Tally:
    tally = Tally()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        judge_check(server, binlogsec, tally)
        judge_verify(server, binlogsec, tally)
        time.sleep(PAUSE_SECONDS)
    return tally


def report(done: Finished, command: str, tally: Tally) -> dict[str, Any] | None:
    tally.rounds[command] += 1
    try:
        parsed: dict[str, Any] = json.loads(done.stdout)
        return parsed
    except ValueError:
        tally.false.append(f"{command}: exit {done.returncode}, {done.stderr.decode(errors='replace')}")
        return None


def judge_check(server: MysqlServer, binlogsec: Binlogsec, tally: Tally) -> None:
    keyring = ["--keyring", server.keyring_path]
    done = binlogsec.run("check", server.datadir, *keyring, "--format", "json")
    found = report(done, "check", tally)
    if found is None:
        return
    for finding in found["findings"]:
        if finding["id"] not in TRUE_NOTES:
            tally.false.append(f"check: {finding['id']} {finding['path']}: {finding['message']}")
    tally.false += [f"check: {failure['message']}" for failure in found["failures"]]
    tally.false += [f"check: {log['path']} is {log['status']}" for log in unproven(found)]
    if done.returncode != 0:
        tally.false.append(f"check: exit {done.returncode}: {done.stderr.decode(errors='replace')}")
    tally.vanished += found["summary"]["vanished"]


def unproven(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [log for log in found["files"] if log["status"] != "proven"]


def judge_verify(server: MysqlServer, binlogsec: Binlogsec, tally: Tally) -> None:
    keyring = ["--keyring", server.keyring_path]
    done = binlogsec.run("verify", server.datadir, *keyring, "--format", "json")
    found = report(done, "verify", tally)
    if found is None:
        return
    for log in found["files"]:
        notes = {note["id"] for note in log["notes"]}
        tally.logs += 1
        tally.in_use += "in-use" in notes
        is_right = log["status"] == "whole" or log["status"] == "cut" and "in-use" in notes
        if not is_right:
            tally.false.append(f"verify: {log['path']} is {log['status']}: {log['damages'][:2]} {notes}")
    tally.false += [f"verify: gap: {gap['before']} {gap['after']}: {gap['reason']}" for gap in found["gaps"]]
    for failure in found["failures"]:
        gone = GONE.search(failure["message"])
        if gone and not Path(gone[1]).exists():
            tally.vanished += 1
        else:
            tally.false.append(f"verify: {failure['message']}")
    if done.returncode != (2 if found["failures"] else 0):
        tally.false.append(f"verify: exit {done.returncode}: {done.stderr.decode(errors='replace')}")
