"""`encrypt --in-place` and `rekey`, killed outright while the server rotates its key.

A kill comes at a random moment, or within the milliseconds after the first log has changed: then
the server may delete the key that the command has just used. After each kill the server rotates
once more, and every log must be there: under the server's key, or as whole plaintext, by its own
name or in a file that the next run puts back. `run --kills N` says how often.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import foreign
import workload
from bench import Bench, text
from checks import Check, each, equal, true
from lab import Lab
from standing import differing, leftovers, standing, still_plain
from sysroot import LabError
from tool import Binlogsec

LOGS = 60
ENOUGH_LEFT = 20
PAUSE_SECONDS = 0.1
USUAL_SECONDS = 0.3
SHARPNESS_SECONDS = 0.004
RUNS_FOR_A_KILL = 5
PATIENCE_SECONDS = 60
KILLED = -signal.SIGKILL


@dataclass
class Tally:
    """What came of the kills."""

    kills: int = 0
    runs: int = 0
    rotations: int = 0
    # After a kill: rotations that the server refused, logs whose plaintext lay beside them.
    refused: int = 0
    beside: int = 0
    lost: set[str] = field(default_factory=set)
    # After the next run, which nothing disturbs.
    unclean: list[str] = field(default_factory=list)

    def wants(self, kills: int) -> bool:
        return self.kills < kills and self.runs < RUNS_FOR_A_KILL * kills

    def figures(self) -> str:
        return (
            f"{self.kills} kills in {self.runs} runs, {self.rotations} rotations, {self.refused} of them refused, "
            f"{self.beside} times a log whole, but beside its name"
        )


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    yield from each(
        partial(encrypt_in_place_is_killed, lab, tool, lab.kills - lab.kills // 2),
        partial(rekey_is_killed, lab, tool, lab.kills // 2),
    )


@dataclass(frozen=True)
class Victim:
    """A command that is to be killed, and by what one sees that it has begun to change logs."""

    tool: Binlogsec
    arguments: list[str | Path]
    state: Callable[[], object]
    delay_seconds: float


def verdict(command: str, tally: Tally, kills: int) -> Iterator[Check]:
    yield true(f"{command}: {tally.figures()}", tally.kills >= kills, f"{kills} kills", tally.figures())
    yield true(f"{command}: no log is lost", not tally.lost, "none", f"{len(tally.lost)}: {sorted(tally.lost)[:5]}")
    yield equal(f"{command}: the run after a kill puts all in order", [], tally.unclean)


# -- one kill -----------------------------------------------------------------


def kill_one(bench: Bench, tally: Tally, victim: Victim, plain: dict[str, bytes]) -> None:
    """Start, rotate, kill, rotate; then hold every log against its plaintext."""
    with workload.rotating_keys(bench.server, PAUSE_SECONDS) as rotations:
        time.sleep(random.uniform(0, victim.delay_seconds))
        state = victim.state()
        process = victim.tool.start_quietly(*victim.arguments)
        if tally.runs % 2:
            await_change(process, victim, state)
        else:
            time.sleep(random.uniform(0, USUAL_SECONDS))
        process.kill()
        process.wait()
    workload.rotate_key(bench.server, rotations)
    found = standing(bench, plain)
    tally.runs += 1
    tally.kills += process.returncode == KILLED
    tally.rotations += rotations.done + len(rotations.failed)
    tally.refused += len(rotations.failed)
    tally.beside += len(found.beside)
    tally.lost.update(found.lost)


def await_change(process: subprocess.Popen[bytes], victim: Victim, state: object) -> None:
    """Up to a few milliseconds after the first log was touched."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and victim.state() == state:
        if time.monotonic() > deadline:
            raise LabError(f"{victim.arguments[0]} changes nothing and does not end")
    time.sleep(random.uniform(0, SHARPNESS_SECONDS))


def next_run(bench: Bench, tally: Tally, victim: Victim, plain: dict[str, bytes]) -> None:
    done = victim.tool.run(*victim.arguments)
    if done.returncode != 0:
        tally.unclean.append(f"exit {done.returncode}: {text(done.stderr)}")
    tally.unclean += [f"{file.name} is left" for file in leftovers(bench)]
    opens = standing(bench, plain).opens
    tally.unclean += [f"{name} does not open" for name in plain if name not in opens]
    tally.unclean += [f"{name} is served differently" for name in differing(bench, plain)]


# -- encrypt --in-place -------------------------------------------------------


def encrypt_in_place_is_killed(lab: Lab, tool: Binlogsec, kills: int) -> Iterator[Check]:
    tally = Tally()
    with lab.server("encrypt", binlog_encryption="OFF") as server:
        bench = Bench(lab, tool, server)
        workload.create_tables(server)
        while tally.wants(kills):
            kill_on_fresh_logs(bench, tally, kills)
    yield from verdict("encrypt --in-place", tally, kills)


def kill_on_fresh_logs(bench: Bench, tally: Tally, kills: int) -> None:
    """Plaintext logs, kills until few of them are left, and a run to the end."""
    server = bench.server
    server.sql("SET GLOBAL binlog_encryption = OFF; FLUSH BINARY LOGS")
    server.sql(f"PURGE BINARY LOGS TO '{server.indexed()[-1]}'")
    workload.write_small_logs(server, LOGS)
    plain = server.served_each(server.indexed()[:-1], bench.lab.scratch("plain"))
    server.sql("SET GLOBAL binlog_encryption = ON")
    paths = [server.log_path(name) for name in plain]
    victim = Victim(
        bench.tool,
        bench.of_the_index("encrypt", "--in-place"),
        lambda: [path.stat().st_ino for path in paths],
        delay_seconds=PAUSE_SECONDS,
    )
    while tally.wants(kills) and len(still_plain(bench, plain)) > ENOUGH_LEFT:
        kill_one(bench, tally, victim, plain)
    next_run(bench, tally, victim, plain)


# -- rekey --------------------------------------------------------------------


def rekey_is_killed(lab: Lab, tool: Binlogsec, kills: int) -> Iterator[Check]:
    """In a container of its own, where it cannot see that the server runs."""
    tally = Tally()
    with lab.server("rekey", binlog_encryption="ON") as server:
        bench = Bench(lab, tool, server)
        workload.create_tables(server)
        workload.write_small_logs(server, LOGS)
        plain = server.served_each(server.indexed()[:-1], lab.scratch("plain"))
        headers = yield from foreign.headers(bench, list(plain))
        victim = Victim(
            tool.apart(), bench.of_the_index("rekey", "--recover"), lambda: leftovers(bench), delay_seconds=0
        )
        while tally.wants(kills):
            foreign.put_back(bench, headers)
            kill_one(bench, tally, victim, plain)
            next_run(bench, tally, victim, plain)
    yield from verdict("rekey", tally, kills)
