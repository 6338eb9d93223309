#!/usr/bin/env python3
"""binlogsec side by side with what moves the same bytes: cp, dd, openssl, Python, a floor program.

Every contender runs once a round, in turn, so that a slow moment of the machine hits them all. Each
has one more run before, for its peak memory. It needs the command `time` of GNU, and `openssl`.

    cargo build --profile dist --examples && cargo build --profile dist --bins
    benches/compare.py                       every scenario; prints tables and targets
    benches/compare.py --scenario disk-1g    that one; more may be named, separated by commas
    benches/compare.py --all                 every scenario; rewrites docs/performance.{md,json,svg}
    benches/compare.py --render              rewrites the page and the plot from the JSON

With --update the results of single scenarios take their place in docs/performance.json.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from comparison import memory, plot, report  # noqa: E402
from comparison.logs import ROOT, size_of  # noqa: E402
from comparison.measure import rounds, threads  # noqa: E402
from comparison.scenarios import ALL, Field, Scenario, named  # noqa: E402

DATA = ROOT / "docs/performance.json"
PAGE = ROOT / "docs/performance.md"
PLOT = ROOT / "docs/performance.svg"
PLOTTED = "disk-1g"
UNWRITTEN = 4 << 30
"""More than a run of the common scenarios writes."""


def machine() -> dict[str, object]:
    processor = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                      if line.startswith("model name")), platform.machine())
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    openssl = subprocess.run(["openssl", "version"], check=True, capture_output=True, text=True).stdout
    return {"processor": processor, "threads": threads(), "memory_gib": round(pages / (1 << 30)),
            "kernel": platform.release().split("-")[0], "openssl": " ".join(openssl.split()[:2])}


def measure(scenario: Scenario, made: Path, options: argparse.Namespace) -> dict[str, object]:
    place = options.tmpfs if scenario.in_memory else options.dir
    with tempfile.TemporaryDirectory(prefix="compare-", dir=place) as work:
        contenders = scenario.make(Field(options.binary.resolve(), Path(work), made, scenario))
        if options.only:
            contenders = contenders[:1] + [c for c in contenders[1:] if options.only in c.name]
        runs = options.runs or scenario.runs
        rounds(contenders, runs, Path(work))
    return {
        "title": scenario.title, "runs": runs, "bytes": size_of(scenario.size) if scenario.size else 0,
        "contenders": [{"name": c.name, "seconds": [round(s, 6) for s in c.seconds], "peak_kib": c.peak_kib}
                       for c in contenders],
    }


def as_json(data: dict) -> str:
    """With a contender's times on one line."""
    text = json.dumps(data, indent=1)
    return re.sub(r"\[[\s\d.,e-]+\]", lambda found: " ".join(found[0].split()), text) + "\n"


def write(data: dict) -> None:
    """Page and plot, from the JSON."""
    report.splice(PAGE, report.markdown(data))
    if PLOTTED in data["scenarios"]:
        plot.draw(data["scenarios"][PLOTTED], PLOT)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", help=f"of {', '.join(s.name for s in ALL)}; disk-8g")
    parser.add_argument("--runs", type=int, help="rounds; by default 7 or more")
    parser.add_argument("--only", help="contenders whose name contains this (--only=-j2), beside the first one; no targets")
    parser.add_argument("--dir", type=Path, default=ROOT / "target", help="where to work, on a disk")
    parser.add_argument("--tmpfs", type=Path, default=Path("/dev/shm"), help="where to work, in memory")
    parser.add_argument("--logs", type=Path, help="keep the logs that are made here, on the same disk, and take them from here")
    parser.add_argument("--binary", type=Path, default=ROOT / "target/dist/binlogsec")
    parser.add_argument("--json", type=Path, help="write the results here")
    parser.add_argument("--update", action="store_true", help="put the results into docs/performance.json")
    parser.add_argument("--all", action="store_true", help="every scenario, into the documentation")
    parser.add_argument("--render", action="store_true", help="measure nothing; rewrite page and plot")
    parser.add_argument("--targets", action="store_true", help="exit with 1 if a target is missed")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    data = {"date": datetime.date.today().isoformat(), "machine": machine(), "scenarios": {}}
    if options.render:
        data = json.loads(DATA.read_text())
    else:
        if options.update and DATA.exists():
            data["scenarios"] = json.loads(DATA.read_text())["scenarios"]
        chosen = list(named(options.scenario.split(","))) if options.scenario else ALL
        held = memory.hold()
        with memory.kept(UNWRITTEN) as calm, tempfile.TemporaryDirectory(prefix="compare-", dir=options.dir) as made:
            if not calm:
                print("Not root: the kernel may write outputs back, and give memory to a host, while somebody is measured.", file=sys.stderr)
            for scenario in chosen:
                made_logs = options.logs or Path(made)
                made_logs.mkdir(parents=True, exist_ok=True)
                data["scenarios"][scenario.name] = measure(scenario, made_logs, options)
                print(report.scene_text(data["scenarios"][scenario.name]), flush=True)
        if held:
            held.close()
    met = True
    if not options.only:
        text, met = report.targets_text(data["scenarios"], data["machine"]["threads"])
        print(text)
    if options.json:
        options.json.write_text(as_json(data))
    if options.all or options.update:
        DATA.write_text(as_json(data))
    if options.all or options.render:
        write(data)
    if options.targets and not met:
        sys.exit(1)


if __name__ == "__main__":
    main()
