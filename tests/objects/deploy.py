"""The recipes of docs/deploy that work by shards. The others: tests/recipes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tool import FIXTURES, KEYRING, ROOT, SECONDS, Binlogsec, Check, Finished, each, equal, note

DEPLOY = ROOT / "docs" / "deploy"
SHARDS = 5


def sections(path: Path, folder: Path) -> Iterator[Check]:
    home = folder / "deploy"
    home.mkdir()
    tool = Binlogsec(path, {})
    whole = tool.run("check", FIXTURES, "--keyring", KEYRING)
    yield from each(partial(parallel, tool, home, whole), partial(slurm, tool, home, whole))


def script(tool: Binlogsec, name: str, *arguments: str | Path, **variables: str) -> Finished:
    environment = {**os.environ, "BINLOGSEC": str(tool.path), **variables}
    command = [str(DEPLOY / name), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS)


def same_report(name: str, whole: Finished, done: Finished) -> Iterator[Check]:
    yield equal(f"{name} gives the report of one run", whole.stdout, done.stdout)
    yield equal(f"{name} ends with its code", whole.returncode, done.returncode)


def parallel(tool: Binlogsec, home: Path, whole: Finished) -> Iterator[Check]:
    if shutil.which("parallel") is None:
        note("deploy: NOT RUN: parallel.sh (GNU parallel is not installed)")
        return
    done = script(tool, "parallel.sh", FIXTURES, home / "parallel", str(SHARDS), "--keyring", KEYRING)
    yield from same_report("parallel.sh", whole, done)
    yield equal("parallel.sh makes a report a shard", SHARDS, len(list((home / "parallel").glob("*/shard-*.json"))))


def slurm(tool: Binlogsec, home: Path, whole: Finished) -> Iterator[Check]:
    """Slurm's part is played: it gives each task its number."""
    common = {
        "TARGET": str(FIXTURES),
        "FOLDER": str(home / "slurm"),
        "KEYRING": str(KEYRING),
        "BINLOGSEC_SHARDS": str(SHARDS),
    }
    syntax = subprocess.run(["sh", "-n", DEPLOY / "slurm.sh"], capture_output=True, timeout=SECONDS)
    yield equal("slurm.sh is a script", 0, syntax.returncode)
    for task in range(SHARDS):
        done = script(tool, "slurm.sh", **common, SLURM_ARRAY_TASK_ID=str(task), SLURM_ARRAY_TASK_COUNT="1")
        yield Check(f"slurm.sh does task {task}", done.returncode == 0, done.stderr.decode())
    yield from same_report("slurm.sh merge", whole, script(tool, "slurm.sh", "merge", **common))
