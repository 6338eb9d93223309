"""`encrypt --in-place` and `rekey` while the server rotates its key all the time.

A rotation puts the encrypted logs under a new key and deletes the old ones. What is put under an
old key behind its back is lost: so nothing may be, at whatever moment the server rotates.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import foreign
import workload
from bench import Bench, text
from checks import Check, Finished, each, equal, exit_status, none_of, true
from lab import Lab
from standing import differing, leftovers, standing, still_plain, told
from tool import Binlogsec

SMALL_LOGS = 300
BIG_LOGS = 3
BIG_MEGABYTES = 3
RUNS = 20
PAUSE_SECONDS = 0.1
REKEY_TRIALS = 3
REKEY_SECONDS = 0.3
ROTATE = "ALTER INSTANCE ROTATE BINLOG MASTER KEY"


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    yield from each(
        partial(encrypt_in_place_during_rotations, lab, tool),
        partial(a_stale_copy_of_the_keyring, lab, tool),
        partial(rekey_during_rotations, lab, tool),
    )


def encrypt_in_place_during_rotations(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    with lab.server("in-place", binlog_encryption="OFF") as server:
        bench = Bench(lab, tool, server)
        plain = write_logs(bench)
        server.sql("SET PERSIST binlog_encryption = ON")
        yield from each(
            partial(logs_are_encrypted_while_keys_rotate, bench, plain),
            partial(the_rest_is_encrypted_when_keys_rest, bench, plain),
        )


def write_logs(bench: Bench) -> dict[str, bytes]:
    """Small logs and, among them, some that take longer; what the server serves of each."""
    workload.create_tables(bench.server)
    for _ in range(BIG_LOGS):
        workload.write_small_logs(bench.server, SMALL_LOGS // BIG_LOGS)
        workload.import_attachments(bench.server, BIG_MEGABYTES)
        bench.server.sql("FLUSH BINARY LOGS")
    return bench.server.served_each(bench.server.indexed()[:-1], bench.lab.scratch("plain"))


# -- encrypt --in-place -------------------------------------------------------


def logs_are_encrypted_while_keys_rotate(bench: Bench, plain: dict[str, bytes]) -> Iterator[Check]:
    """Run after run, until all is done or there were enough of them."""
    arguments = bench.of_the_index("encrypt", "--in-place")
    runs: list[Finished] = []
    with workload.writing(bench.server), workload.rotating_keys(bench.server, PAUSE_SECONDS) as rotations:
        while still_plain(bench, plain) and len(runs) < RUNS:
            runs.append(bench.tool.run(*arguments))
    done = {name for run in runs for name, status in told(run).items() if status == "encrypted"}
    done &= set(plain)
    what = f"{len(runs)} runs, {len(done)} of {len(plain)} logs done, {rotations.done} rotations"
    some = bool(done) and rotations.done > 1
    yield true(f"the server rotates while logs are encrypted: {what}", some, "some of each", what)
    yield equal("no rotation fails", [], rotations.failed)
    yield from what_runs_say(plain, runs)
    encrypted = sorted(set(plain) - set(still_plain(bench, plain)))
    yield equal("the logs that are said to be encrypted are, and no others", sorted(done), encrypted)
    yield from nothing_is_lost(bench, "after the rotations", plain)


def what_runs_say(plain: dict[str, bytes], runs: list[Finished]) -> Iterator[Check]:
    """A run that stops says so by its exit code, and of each log whether it was done.

    One that finds the keyring amid a rotation may refuse to begin: then it names no log.
    """
    mute = [run for run in runs if not told(run) and not (run.returncode and run.stderr)]
    yield equal("a run that does nothing fails and says why", [], mute)
    wrong, unnamed = [], set()
    for run in filter(told, runs):
        statuses = told(run)
        left = [name for name in plain if statuses.get(name) not in ("encrypted", "left-out")]
        if (run.returncode == 0) != (not left):
            wrong.append((run.returncode, len(left), text(run.stderr)))
        unnamed |= set(plain) - set(statuses)
    yield equal("a run ends with 0 if no log is left to do, and only then", [], wrong)
    yield none_of("there is no log of which a report does not say what came of it", unnamed, plain)


def nothing_is_lost(bench: Bench, when: str, plain: dict[str, bytes]) -> Iterator[Check]:
    found = standing(bench, plain)
    yield none_of(f"{when}: no log is lost", found.lost, plain)
    yield none_of(f"{when}: no log is whole beside its name only", found.beside, plain)
    yield none_of(f"{when}: no log is served but as in plaintext", differing(bench, plain), plain)


def the_rest_is_encrypted_when_keys_rest(bench: Bench, plain: dict[str, bytes]) -> Iterator[Check]:
    done = bench.tool.run(*bench.of_the_index("encrypt", "--in-place"))
    yield exit_status("the next run, without rotations", 0, done)
    yield none_of("and no log is plaintext any more", still_plain(bench, plain), plain)
    yield equal("nor is anything left beside the logs", [], leftovers(bench))
    yield from nothing_is_lost(bench, "then", plain)
    bench.server.sql(ROTATE)
    yield from nothing_is_lost(bench, "after one more rotation", plain)


# -- a stale copy -------------------------------------------------------------


def a_stale_copy_of_the_keyring(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    """It has the key from before a rotation, which the server has deleted since."""
    with lab.server("stale", binlog_encryption="ON") as server:
        bench = Bench(lab, tool, server)
        workload.create_tables(server)
        workload.write_small_logs(server, 2)
        stale = Path(shutil.copy(server.keyring_path, lab.scratch("stale") / "keyring"))
        key = f"MySQLReplicationKey_{server.sql('SELECT @@server_uuid')[0][0]}_1"
        server.sql(f"{ROTATE}; SET GLOBAL binlog_encryption = OFF")
        first = len(server.indexed()) - 1
        workload.write_small_logs(server, 2)
        later = server.indexed()[first:-1]
        plain = server.served_each(later, lab.scratch("plain"))
        server.sql("SET GLOBAL binlog_encryption = ON")
        yield equal("logs are plaintext, and older ones under a newer key", later, still_plain(bench, plain))
        yield from it_is_refused(bench, stale, key, later[0])
        done = tool.run(*bench.of_the_index("encrypt", "--in-place"))
        yield exit_status("encrypt with the server's own keyring", 0, done)
        yield from nothing_is_lost(bench, "then", plain)


def it_is_refused(bench: Bench, stale: Path, key: str, log: str) -> Iterator[Check]:
    before = contents(bench)
    one = ["encrypt", "--in-place", bench.server.log_path(log), "--keyring", stale]
    for what, arguments in (
        ("encrypt of one log", one),
        ("encrypt of the index", bench.of_the_index("encrypt", "--in-place", keyring=stale)),
        ("rekey of the index", bench.of_the_index("rekey", keyring=stale)),
    ):
        # Beside the server `rekey` is refused for that alone.
        refused = (bench.tool.apart() if arguments[0] == "rekey" else bench.tool).run(*arguments)
        said = text(refused.stdout + refused.stderr)
        got = f"exit {refused.returncode}: {said}"
        yield true(f"{what} with a stale keyring", refused.returncode in (2, 3), "exit 2 or 3", got)
        yield true(f"{what} names the stale key, or its keyring", key in said or str(stale) in said, key, said)
    after = contents(bench)
    yield none_of("no log has changed", [name for name in before if after[name] != before[name]], before)


def contents(bench: Bench) -> dict[str, bytes]:
    return {name: bench.server.log_path(name).read_bytes() for name in bench.server.indexed()[:-1]}


# -- rekey --------------------------------------------------------------------


def rekey_during_rotations(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    """Refused or right. In a container of its own the command cannot see that the server runs."""
    with lab.server("rekey", binlog_encryption="ON") as server:
        bench = Bench(lab, tool, server)
        plain = write_logs(bench)
        headers = yield from foreign.headers(bench, list(plain))
        for where, command in (("beside the server", tool), ("in another container", tool.apart())):
            for trial in range(1, REKEY_TRIALS + 1):
                foreign.put_back(bench, headers)
                yield from rekey_while_keys_rotate(bench, command, f"{where}, trial {trial}", plain)


def rekey_while_keys_rotate(bench: Bench, tool: Binlogsec, when: str, plain: dict[str, bytes]) -> Iterator[Check]:
    with tool.start(*bench.of_the_index("rekey")) as process:
        time.sleep(random.uniform(0, REKEY_SECONDS))
        with workload.rotating_keys(bench.server) as rotations:
            said, _ = process.communicate()
    yield equal(f"rekey {when}: no rotation fails", [], rotations.failed)
    found = standing(bench, plain)
    yield none_of(f"rekey {when}, exit {process.returncode}: no log is lost", found.lost, plain)
    if process.returncode == 0:
        statuses = told(Finished([], 0, said))
        wrong = [name for name in plain if statuses.get(name) not in ("rekeyed", "unchanged")]
        yield none_of(f"rekey {when}: no log is left to do", wrong, plain)
    yield none_of(f"rekey {when}: no log is served but as in plaintext", differing(bench, plain), plain)
    again = tool.apart().run(*bench.of_the_index("rekey", "--recover"))
    yield exit_status(f"rekey {when}: the next run, without rotations", 0, again)
    yield equal(f"rekey {when}: then nothing is left beside the logs", [], leftovers(bench))
