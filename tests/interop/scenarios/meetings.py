"""`encrypt --in-place`, `rekey` and a rotation of the key, in each order in which they can meet.

The server reads a log's header, opens the log once more by its name, and writes the header anew. At
the end it deletes the old key. So the old key can go after it was looked at, and what gets the
log's name in between is written over. `rotation` leaves it to chance whether they meet; here each
waits for the other, by strace.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import workload
from bench import Bench
from checks import Check, each, equal, exit_status, none_of
from lab import Lab
from meeting import LINKS, RENAMES, can_trace, command_waits, server_waits
from standing import ENCRYPTED_MAGIC, differing, leftovers, magic, standing, still_plain
from sysroot import LabError, say
from tool import Binlogsec

LOGS = 3
# The command waits for less than the server, so that it comes to the end of its work in a rotation.
COMMAND_SECONDS = 1.0
SERVER_SECONDS = 3.0
PATIENCE_SECONDS = 30
TO_READ = 1
TO_WRITE = 2

Waiting = contextlib.AbstractContextManager[None]


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    if not can_trace():
        say("meetings: NOT RUN: there is no strace, or it may not trace")
        return
    meetings = (
        the_server_has_read_the_header_and_will_write_it,
        the_server_has_passed_the_plaintext,
        a_whole_rotation_comes_before_the_replacement,
        a_whole_rotation_comes_after_the_replacement,
        a_killed_run_and_the_next_meet_one_rotation,
        a_whole_rotation_comes_before_rekey_writes_a_header,
    )
    yield from each(*(partial(at_a_server, lab, Binlogsec(binlogsec), meeting) for meeting in meetings))


def at_a_server(lab: Lab, tool: Binlogsec, meeting: Callable[[Bench, str], Iterator[Check]]) -> Iterator[Check]:
    """A server of its own for each: a log that is lost lets all later rotations fail."""
    name = meeting.__name__
    with lab.server(name[:40], binlog_encryption="OFF") as server:
        workload.create_tables(server)
        workload.write_small_logs(server, LOGS)
        server.sql("SET GLOBAL binlog_encryption = ON")
        log = server.indexed()[1]
        for check in meeting(Bench(lab, tool, server), log):
            yield replace(check, what=f"{name.replace('_', ' ')}: {check.what}")


def the_server_has_read_the_header_and_will_write_it(bench: Bench, log: str) -> Iterator[Check]:
    """Plaintext that gets its name back now has the header written over it."""
    yield from meet(bench, log, "exit", server_waits(bench.server, log, TO_WRITE, SERVER_SECONDS))


def the_server_has_passed_the_plaintext(bench: Bench, log: str) -> Iterator[Check]:
    """It is with the oldest log when this one gets the name, and deletes its key then."""
    oldest = bench.server.indexed()[0]
    yield from meet(bench, log, "enter", server_waits(bench.server, oldest, TO_READ, SERVER_SECONDS))


def a_whole_rotation_comes_before_the_replacement(bench: Bench, log: str) -> Iterator[Check]:
    yield from meet(bench, log, "enter", contextlib.nullcontext())


def a_whole_rotation_comes_after_the_replacement(bench: Bench, log: str) -> Iterator[Check]:
    yield from meet(bench, log, "exit", contextlib.nullcontext())


def meet(bench: Bench, log: str, moment: str, server: Waiting) -> Iterator[Check]:
    """Start the command; when it waits, before or after it gives the log its new form, rotate the key."""
    plain = plaintext(bench, log)
    with server, command_waits(bench.tool, RENAMES, moment, COMMAND_SECONDS).start(*encrypt(bench, log)) as process:
        await_it(lambda: is_waiting(bench, log, moment))
        with rotation(bench) as rotations:
            process.communicate()
    yield from nothing_is_lost(bench, plain, rotations)


def a_killed_run_and_the_next_meet_one_rotation(bench: Bench, log: str) -> Iterator[Check]:
    """The plaintext that the killed run has left must not get its name back amid the rotation."""
    plain = plaintext(bench, log)
    tool = command_waits(bench.tool, RENAMES, "exit", PATIENCE_SECONDS)
    waiting = server_waits(bench.server, log, TO_WRITE, 3 * SERVER_SECONDS)
    with waiting, tool.start(*encrypt(bench, log)) as process:
        await_it(lambda: is_waiting(bench, log, "exit"))
        with rotation(bench) as rotations:
            await_it(lambda: b"_new" in bench.server.keyring_path.read_bytes())
            kill_traced(process)
            bench.tool.run(*encrypt(bench, log))
    yield from nothing_is_lost(bench, plain, rotations)


def a_whole_rotation_comes_before_rekey_writes_a_header(bench: Bench, _: str) -> Iterator[Check]:
    """It has read the header before. In another container it cannot see that the server runs."""
    server = bench.server
    log = server.indexed()[-1]
    server.sql("FLUSH BINARY LOGS")
    plain = server.served_each([log], bench.lab.scratch("plain"))
    # A newer key is in use from now on; the log is still under the older one.
    server.restart(binlog_rotate_encryption_master_key_at_startup="ON", binlog_encryption="ON")
    rekey: list[str | Path] = ["rekey", server.log_path(log), "--keyring", server.keyring_path]
    tool = command_waits(bench.tool.apart(), LINKS, "exit", COMMAND_SECONDS)
    with tool.start(*rekey) as process:
        await_it(lambda: bool(leftovers(bench)) or process.poll() is not None)
        with rotation(bench) as rotations:
            process.communicate()
    yield equal("the rotation succeeds", [], rotations.failed)
    yield none_of("the log is not lost", standing(bench, plain).lost, plain)
    again = bench.tool.apart().run(*rekey, "--recover")
    yield exit_status("the next run does the rest", 0, again)
    yield equal("and nothing is left beside it", [], leftovers(bench))
    workload.rotate_key(server, rotations)
    yield none_of("after one more rotation it is served as in plaintext", differing(bench, plain), plain)


def plaintext(bench: Bench, log: str) -> dict[str, bytes]:
    plain = bench.server.served_each([log], bench.lab.scratch("plain"))
    if still_plain(bench, plain) != [log]:
        raise LabError(f"{log} is not plaintext")
    return plain


def encrypt(bench: Bench, log: str) -> list[str | Path]:
    return ["encrypt", "--in-place", bench.server.log_path(log), "--keyring", bench.server.keyring_path]


def is_waiting(bench: Bench, log: str, moment: str) -> bool:
    """The new form lies beside the log, or has its name."""
    if moment == "enter":
        return bool(leftovers(bench))
    return magic(bench.server.log_path(log)) == ENCRYPTED_MAGIC


def await_it(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise LabError("the command and the server did not meet")
        time.sleep(0.001)


@contextlib.contextmanager
def rotation(bench: Bench) -> Iterator[workload.Rotations]:
    """One rotation beside the block, which ends when both have ended."""
    rotations = workload.Rotations()
    thread = threading.Thread(target=workload.rotate_key, args=(bench.server, rotations), daemon=True)
    thread.start()
    try:
        yield rotations
    finally:
        thread.join()


def kill_traced(tracer: subprocess.Popen[bytes]) -> None:
    """Kill what a tracer started, and then the tracer, which would wait on for it."""
    children = Path(f"/proc/{tracer.pid}/task/{tracer.pid}/children").read_text(encoding="ascii").split()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    tracer.kill()
    tracer.communicate()


def nothing_is_lost(bench: Bench, plain: dict[str, bytes], rotations: workload.Rotations) -> Iterator[Check]:
    [log] = plain
    yield equal("the rotation succeeds", [], rotations.failed)
    yield none_of("the log is not lost", standing(bench, plain).lost, plain)
    done = bench.tool.run(*bench.of_the_index("encrypt", "--in-place"))
    yield exit_status("the next run does the rest", 0, done)
    yield equal("then the log opens", [log], standing(bench, plain).opens)
    yield equal("and nothing is left beside it", [], leftovers(bench))
    workload.rotate_key(bench.server, rotations)
    yield none_of("after one more rotation it is served as in plaintext", differing(bench, plain), plain)
