"""What plans need: requests, memory and time by concurrency. Takes minutes, so it is run when named."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.request import urlopen

from fleets import KEYS, fleet
from tool import MIXED, Binlogsec, Check, each, equal, note

LATENCY_MS = 20
MIB = 1 << 20
WINDOW = 4 * MIB
PART = 8 * MIB
LARGE = 32 * MIB
LARGE_OBJECTS = 64
FEW, MANY = 20_000, 100_000
# What one object in work may take: windows, parts, and what the crates below keep.
BOUND_MIB = 80
BASE_MIB = 120


def sections(path: Path, folder: Path) -> Iterator[Check]:
    home = folder / "figures"
    home.mkdir()
    Binlogsec(path, {}).run(
        *("keyring", "new", home / "theirs", "--server-uuid", "01234567-89ab-cdef-0123-456789abcdef")
    )
    yield from each(*(partial(section, path, home) for section in (statuses, kept, transfers)))


@dataclass
class Run:
    """What one command took."""

    code: int
    seconds: float
    mib: float
    requests: dict[str, int]


def measure(tool: Binlogsec, *arguments: str | Path) -> Run:
    counts = tool.variables["AWS_ENDPOINT"] + "/counts"

    def requests() -> dict[str, int]:
        with urlopen(counts, timeout=30) as answer:
            return json.load(answer)

    before = requests()
    began = time.monotonic()
    process = tool.start(*arguments)
    peak = 0
    while process.poll() is None:
        peak = max(peak, resident(process.pid))
        time.sleep(0.01)
    seconds = time.monotonic() - began
    made = {name: count - before.get(name, 0) for name, count in requests().items()}
    return Run(process.returncode, seconds, peak / 1024, made)


def resident(pid: int) -> int:
    """The most that a process has had resident, in KiB."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    found = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(found[0]) if found else 0


def statuses(path: Path, home: Path) -> Iterator[Check]:
    """One small read an object, by how many are on their way at once."""
    for concurrency, count in ((1, 400), (8, 2_000), (64, 10_000), (256, 10_000)):
        with fleet(count, LATENCY_MS) as variables:
            tool = Binlogsec(path, variables)
            run = measure(
                tool, "check", "s3://logs/fleet/", "-q", "--concurrency", str(concurrency), *KEYS
            )
        each_ms = run.seconds / count * 1000
        note(
            f"figures: check, {LATENCY_MS} ms latency, {concurrency} at once: {each_ms:.3f} ms an"
            f" object, {count / run.seconds:.0f} a second, {run.mib:.0f} MiB"
        )
        yield equal(f"{concurrency} at once: one read an object", count, run.requests["GET"])
        yield equal(f"{concurrency} at once: a listing a thousand", -(-count // 1000), run.requests["LIST"])
        yield Check(f"{concurrency} at once: memory is bounded", run.mib < BASE_MIB, f"{run.mib:.0f}")


def kept(path: Path, home: Path) -> Iterator[Check]:
    """What a run keeps of every log, and a merge of all of them."""
    mib = {}
    for count in (FEW, MANY):
        with fleet(count, 0) as variables:
            tool = Binlogsec(path, variables)
            run = measure(tool, "check", "s3://logs/fleet/", "-q", "--concurrency", "256", *KEYS)
            mib[count] = run.mib
            note(f"figures: check of {count} objects: {count / run.seconds:.0f} a second, {run.mib:.0f} MiB")
            reports = [home / f"{count}-{index}.json" for index in range(4)]
            for index, report in enumerate(reports):
                which = (f"--shard={index}/4", "--report", f"json={report}")
                tool.run("check", "s3://logs/fleet/", "-q", *KEYS, *which)
            merge = measure(tool, "report", "merge", *reports, "-q", "--report", f"json={home / 'all'}")
        size = sum(report.stat().st_size for report in reports)
        mib[-count] = merge.mib
        note(
            f"figures: merge of {count} objects: {merge.seconds:.2f} s, {merge.mib:.0f} MiB, of reports"
            f" of {size / count:.0f} bytes an object"
        )
        yield Check(f"{count} objects are merged", merge.code in (0, 1), str(merge.code))
    for what, sign in (("a run", 1), ("a merge", -1)):
        bytes_each = (mib[sign * MANY] - mib[sign * FEW]) * MIB / (MANY - FEW)
        note(f"figures: {what} keeps {bytes_each:.0f} bytes an object")
        yield Check(f"{what} keeps little of an object", bytes_each < 4096, f"{bytes_each:.0f}")


def transfers(path: Path, home: Path) -> Iterator[Check]:
    """Whole logs from a store to a store."""
    parts = LARGE // PART
    rewritten = {"PUT": parts + 1, "POST": 2, "HEAD": 2}
    replaced = {"PUT": parts, "POST": 2, "HEAD": 2}
    source = "s3://logs/fleet/"
    decrypt = ("decrypt", source, "--output-dir", "s3://logs/out", *KEYS)
    recipient = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e"
    for command, written in (
        (decrypt, replaced),
        ((*decrypt, "--recipient", recipient), rewritten),
        (("rekey", source, *KEYS, "--new-keyring", home / "theirs"), replaced),
        (("verify", source, *KEYS), {}),
    ):
        name = command[0] + (" --recipient" if "--recipient" in command else "")
        for concurrency in (1, 8, 32):
            with fleet(LARGE_OBJECTS, 0, LARGE) as variables:
                tool = Binlogsec(path, variables)
                run = measure(tool, *command, "-q", "--concurrency", str(concurrency))
            rate = run.requests.get("bytes read", 0) / MIB / run.seconds
            made = {kind: round(count / LARGE_OBJECTS, 2) for kind, count in run.requests.items()}
            note(
                f"figures: {name}, {concurrency} at once: {rate:.0f} MiB a second read, {run.mib:.0f} MiB,"
                f" requests an object {made}"
            )
            what = f"{name}, {concurrency} at once"
            bound = BASE_MIB + concurrency * BOUND_MIB
            yield Check(f"{what}: memory is bounded", run.mib < bound, f"{run.mib:.0f}")
            if concurrency == 1:
                yield Check(f"{what}: reads by windows", made["GET"] <= LARGE // WINDOW + 2, str(made))
