#!/usr/bin/env python3
"""Counts instructions of the command's CPU work under valgrind, against a recorded baseline.

Times are noisy where others share the machine; counts are not. Each figure is the difference of two
runs of different size, so that starting up does not count but where it is what is counted.
Valgrind's processor has AES-NI, PCLMULQDQ and AVX2 and neither VAES nor AVX-512, so these are the
counts of that path, whatever the machine has.

    benches/instructions.py             fails where a count has grown by more than the tolerance;
                                        another compiler than the baseline's makes other code, and
                                        so nothing is compared
    benches/instructions.py --record    writes the baseline anew
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASELINE = Path(__file__).with_suffix(".json")
FIXTURE = ROOT / "fixtures/mysql-9.7/mixed-key3-running"
KEYRING = FIXTURE / "component_keyring_file"
LOG = FIXTURE / "binlog.000003"
TOLERANCE = 0.1
COPIES = 20


@dataclass
class Work:
    """What is counted: the larger run, less the smaller one, for each unit."""

    name: str
    unit: str
    units: int
    larger: list[object]
    smaller: list[object] | None = None


def works(place: Path) -> list[Work]:
    def key(*arguments: object) -> list[object]:
        return [*arguments, "--keyring", KEYRING, "-q", "-j", "1"]

    sizes = {}
    for mebibytes in (1, 9):
        # The rest is a hole: it decrypts to noise, which is as much work.
        sizes[mebibytes] = place / f"log-{mebibytes}"
        sizes[mebibytes].write_bytes(LOG.read_bytes()[: 64 << 10])
        os.truncate(sizes[mebibytes], mebibytes << 20)
    copies = place / "copies"
    copies.mkdir()
    for number in range(COPIES):
        shutil.copyfile(LOG, copies / f"binlog.{number:06}")
    one = copies / "binlog.000000"
    logs = sorted(copies.iterdir())
    return [
        Work("start: keyring", "run", 1, ["keyring", KEYRING]),
        Work("inspect", "log", COPIES - 1, key("inspect", *logs), key("inspect", one)),
        Work("decrypt", "KiB", 8 << 10, key("decrypt", sizes[9], "-o", "-"), key("decrypt", sizes[1], "-o", "-")),
        Work("verify", "log of 100 KiB", COPIES - 1, key("verify", *logs), key("verify", one)),
        Work("events", "log of 100 KiB", COPIES - 1, key("events", *logs), key("events", one)),
    ]


def count(binary: Path, arguments: list[object]) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", str(binary), *map(str, arguments)]
    run = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    found = re.search(r"Collected : (\d+)", run.stderr)
    # Copies of one log do not follow one another, which verify reports.
    if run.returncode not in (0, 1) or not found:
        sys.exit(f"{' '.join(command)} ended with {run.returncode}:\n{run.stderr}")
    return int(found[1])


def measure(binary: Path) -> dict[str, int]:
    with tempfile.TemporaryDirectory() as place:
        counts = {}
        for work in works(Path(place)):
            total = count(binary, work.larger) - (count(binary, work.smaller) if work.smaller else 0)
            counts[f"{work.name}, a {work.unit}"] = total // work.units
        return counts


def compiler() -> str:
    version = subprocess.run(["rustc", "--version"], check=True, capture_output=True, text=True, cwd=ROOT)
    return version.stdout.split()[1]


def compare(counts: dict[str, int], baseline: dict) -> bool:
    """Prints both; whether nothing has grown too much."""
    fine = counts.keys() == baseline["instructions"].keys()
    for name, now in counts.items():
        before = baseline["instructions"].get(name)
        change = now / before - 1 if before else 0.0
        verdict = "" if before else "not in the baseline"
        if change > TOLERANCE:
            fine, verdict = False, "MORE THAN BEFORE"
        elif change < -TOLERANCE:
            verdict = "less: record it with --record"
        print(f"{name:32} {now:>12,} {before or 0:>12,} {change:>+7.1%}  {verdict}")
    return fine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/dist/binlogsec")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    if platform.machine() != "x86_64":
        print(f"NOT RUN: the baseline is of x86_64, this is {platform.machine()}")
        return
    baseline = json.loads(BASELINE.read_text())
    if not options.record and compiler() != baseline["rustc"]:
        print(f"NOT RUN: the baseline is of rustc {baseline['rustc']}, this is {compiler()}; --record makes one")
        return
    if not shutil.which("valgrind"):
        print("NOT RUN: valgrind is not installed")
        return
    counts = measure(options.binary)
    if options.record:
        BASELINE.write_text(json.dumps({"rustc": compiler(), "instructions": counts}, indent=1) + "\n")
        print(f"{BASELINE.name}: {counts}")
    elif not compare(counts, baseline):
        sys.exit(1)


if __name__ == "__main__":
    main()
