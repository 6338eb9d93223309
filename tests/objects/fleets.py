"""Many objects: how fast, and spread over processes."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from fleet import LENGTH
from tool import KEYRING, MIXED, Binlogsec, Check, each, equal, note

OBJECTS = 20_000
LATENCY_MS = 20
LATE_OBJECTS = 10_000
ONE_BY_ONE = 400
# What is asked for. On a quiet machine it is many times more: the note has the figure.
TIMES_FASTER = 5
SHARDS = 8
PLANNED = 10_000
PLAN_LATENCY_MS = 10
PLAN_SECONDS = 60
UUID = ("aaaaaaaa", "aaaa", "aaaa", "aaaa", "aaaaaaaaaaaa")
KEYS = ("--keyring", KEYRING)


def sections(path: Path, folder: Path) -> Iterator[Check]:
    home = folder / "fleets"
    home.mkdir()
    yield from each(partial(latency, path, home), partial(shards, path, home), partial(plan, path, home))


TWO_LOGS = (MIXED / "binlog.000001", MIXED / "binlog.000004")


@contextmanager
def fleet(
    count: int, milliseconds: float, length: int = LENGTH, logs: tuple[Path, ...] = TWO_LOGS
) -> Iterator[dict[str, str]]:
    program = Path(__file__).parent / "fleet.py"
    command = [sys.executable, "-B", str(program), *map(str, logs), str(count), str(milliseconds), str(length)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield {
            "AWS_ENDPOINT": f"http://127.0.0.1:{port}",
            "AWS_ALLOW_HTTP": "true",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
        }
    finally:
        process.terminate()
        process.wait()


def latency(path: Path, home: Path) -> Iterator[Check]:
    seconds = {}
    for count, concurrency in ((ONE_BY_ONE, 1), (LATE_OBJECTS, 256)):
        with fleet(count, LATENCY_MS) as variables:
            tool = Binlogsec(path, variables)
            began = time.monotonic()
            report = tool.report("check", "s3://logs/fleet/", "--concurrency", str(concurrency), *KEYS)
            seconds[concurrency] = (time.monotonic() - began) / count
            yield equal(f"{count} objects are seen by {concurrency}", count, report["summary"]["logs"])
    faster = seconds[1] / seconds[256]
    note(
        f"fleets: {LATENCY_MS} ms latency: one by one {seconds[1] * 1000:.2f} ms an object,"
        f" 256 at once {seconds[256] * 1000:.3f} ms: {faster:.1f} times faster"
    )
    yield Check(f"many at once are {TIMES_FASTER} times faster", faster >= TIMES_FASTER, f"{faster:.1f}")


def plan(path: Path, home: Path) -> Iterator[Check]:
    """A recovery over an archive that nobody would read to the end."""
    with fleet(PLANNED, PLAN_LATENCY_MS, 0, (MIXED / "binlog.000002",)) as variables:
        tool = Binlogsec(path, variables)
        began = time.monotonic()
        report = tool.report("recover", "s3://logs/fleet/", "--from", f"{'-'.join(UUID)}:1-5000", "--plan")
        took = time.monotonic() - began
        note(f"fleets: a plan over {PLANNED} objects, {PLAN_LATENCY_MS} ms latency: {took:.1f} s")
        yield Check(f"a plan over {PLANNED} objects takes less than {PLAN_SECONDS} s", took < PLAN_SECONDS, f"{took:.1f}")
        yield equal("and is complete", (True, PLANNED - 4999), (report["complete"], len(report["slices"])))


def timeless(report: bytes) -> list[bytes]:
    """A report but for when it was made."""
    return [line for line in report.splitlines() if not line.startswith(b'  "time": ')]


def shards(path: Path, home: Path) -> Iterator[Check]:
    with fleet(OBJECTS, 0) as variables:
        tool = Binlogsec(path, variables)
        arguments = ("check", "s3://logs/fleet/", *KEYS)
        began = time.monotonic()
        whole = tool.run(*arguments, "--format", "json")
        took = time.monotonic() - began
        note(f"fleets: {OBJECTS} objects in {took:.1f} s: {OBJECTS / took:.0f} a second")
        reports = [home / f"shard-{index}.json" for index in range(SHARDS)]

        def shard(index: int) -> subprocess.Popen[bytes]:
            report = f"json={reports[index]}"
            which = f"{index}/{SHARDS}"
            return tool.start(*arguments, "-q", "--shard", which, "--report", report, "--resume")

        for indices, killed in (((0, 1, 2, 3), 2), ((4, 5, 6, 7), 5)):
            processes = {index: shard(index) for index in indices}
            time.sleep(0.5)
            processes[killed].kill()
            for process in processes.values():
                process.communicate()
        there = [report.exists() for report in reports]
        yield equal("a killed shard leaves no report", [n not in (2, 5) for n in range(SHARDS)], there)
        times = [report.stat().st_mtime_ns for report in reports if report.exists()]
        merged = tool.run("report", "merge", *(report for report in reports if report.exists()))
        yield equal("and without it nothing is merged", 2, merged.returncode)
        for index in (2, 5):
            shard(index).communicate()
        merged = tool.run("report", "merge", *reports, "--format", "json")
        yield Check(f"{SHARDS} shards, two of them killed and resumed, are the very report of one run",
                    timeless(merged.stdout) == timeless(whole.stdout), merged.stderr.decode()[:300])
        yield equal("with its exit code", whole.returncode, merged.returncode)
        found = {finding for finding in ("BLS001", "BLS006") if finding.encode() in merged.stdout}
        yield equal("which finds something across shards", {"BLS001", "BLS006"}, found)
        yield equal("the others were left alone", len(times), SHARDS - 2)
