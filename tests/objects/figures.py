"""What plans need: requests, memory and time by concurrency. Takes minutes, so it is run when named."""

from __future__ import annotations

import json
import os
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.request import urlopen

from fleets import KEYS, fleet
from tool import MIXED, Binlogsec, Check, each, equal, note, said

LATENCY_MS = 20
MIB = 1 << 20
WINDOW = 4 * MIB
PART = 8 * MIB
LARGE = 32 * MIB
LARGE_OBJECTS = 64
LARGE_LOGS = 3
EVENT = 64 << 10
IGNORABLE = 28
HEADER = 512
LOGS = 1_000
FEW, MANY = 20_000, 100_000
# What one object in work may take: windows, parts, and what the crates below keep.
BOUND_MIB = 80
BASE_MIB = 120


def sections(path: Path, folder: Path) -> Iterator[Check]:
    home = folder / "figures"
    (home / "plain").mkdir(parents=True)
    tool = Binlogsec(path, {})
    tool.run("keyring", "new", home / "theirs", "--server-uuid", "01234567-89ab-cdef-0123-456789abcdef")
    # A fleet in order: every log under the key at hand, each with a file password of its own.
    first = home / "plain" / "binlog.000000"
    tool.run("decrypt", MIXED / "binlog.000003", "-o", first, *KEYS)
    for number in range(1, LOGS):
        (home / "plain" / f"binlog.{number:06}").write_bytes(first.read_bytes())
    done = tool.run("encrypt", home / "plain", "--output-dir", home / "logs", *KEYS)
    yield said("a fleet is made", done, 0)
    (home / "large-plain").mkdir()
    for number in range(LARGE_LOGS):
        (home / "large-plain" / f"binlog.{number:06}").write_bytes(large_log(first.read_bytes()))
    done = tool.run("encrypt", home / "large-plain", "--output-dir", home / "large", *KEYS)
    yield said("and one of large logs", done, 0)
    yield from each(*(partial(section, path, home) for section in (statuses, kept, transfers)))


def large_log(log: bytes) -> bytes:
    """The first event of a log, and then events of 64 KiB with right positions and checksums."""
    server = log[9:13]
    first = int.from_bytes(log[13:17], "little")
    pieces = [log[: 4 + first]]
    at = len(pieces[0])
    while at < LARGE:
        length = min(EVENT, LARGE - at)
        if LARGE - at - length < EVENT:
            length = LARGE - at
        at += length
        header = bytes(4) + bytes([IGNORABLE]) + server + length.to_bytes(4, "little")
        event = header + at.to_bytes(4, "little") + bytes(2) + os.urandom(length - 23)
        pieces.append(event + zlib.crc32(event).to_bytes(4, "little"))
    return b"".join(pieces)


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
        with fleet(count, LATENCY_MS, logs=(home / "logs",)) as variables:
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
        with fleet(count, 0, logs=(home / "logs",)) as variables:
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
    source = "s3://logs/fleet/"
    decrypt = ("decrypt", source, "--output-dir", "s3://logs/out", *KEYS)
    recipient = "age1tag1qt8lw0ual6avlwmwatk888yqnmdamm7xfd0wak53ut6elz5c4swx2yqdj4e"
    for command, parts in (
        (decrypt, LARGE // PART),
        ((*decrypt, "--recipient", recipient), LARGE // PART + 1),
        (("rekey", source, *KEYS, "--new-keyring", home / "theirs"), LARGE // PART + 1),
        (("verify", source, *KEYS), 0),
    ):
        name = command[0] + (" --recipient" if "--recipient" in command else "")
        for concurrency in (1, 8, 32):
            with fleet(LARGE_OBJECTS, 0, LARGE + HEADER, (home / "large",)) as variables:
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
            # Copies of a few logs do not follow each other: verify finds gaps, and nothing else.
            yield equal(f"{what}: it is done", int(name == "verify"), run.code)
            reads = 2 * (LARGE // WINDOW) if name == "verify" else LARGE // WINDOW
            yield Check(f"{what}: reads by windows", made["GET"] <= reads + 2, str(made))
            wanted = {"PUT": parts, "POST": 2, "HEAD": 2} if parts else {}
            yield equal(f"{what}: writes by parts", wanted, {kind: int(made[kind]) for kind in wanted})
            again = made["bytes read"] / (LARGE + HEADER)
            yield Check(f"{what}: reads little twice", again < 1.25, f"{again:.2f} of what is there")
