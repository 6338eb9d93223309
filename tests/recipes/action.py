"""action.yml, its steps run by bash as GitHub's runner does."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from lab import MIXED, ROOT, Check, Finished, Lab, ends, equal

ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
BASELINE = '[[finding]]\nid = "BLS001"\npath = "**/binlog.00000[12]"\nreason = "from before"\nexpires = 2099-01-31\n'


def checks(lab: Lab) -> Iterator[Check]:
    used = re.findall(r"inputs\.(\w+)", yaml.safe_dump(ACTION))
    yield equal("every input is used, and every input that is used is declared", set(ACTION["inputs"]), set(used))
    yield from paths(lab)
    yield from keys(lab)
    yield from downloads(lab)


def run(lab: Lab, workspace: Path, **inputs: str) -> Finished:
    """Both steps, in their order; the first that fails ends the run."""
    values = {name: it["default"] for name, it in ACTION["inputs"].items()} | {"binary": str(lab.binlogsec)} | inputs
    temporary = lab.folder / "runner"
    temporary.mkdir(exist_ok=True)
    said: list[str] = []
    for step in ACTION["runs"]["steps"]:
        # What is written into a script would be run; all inputs have to come by variables.
        assert "${{" not in step["run"]
        variables = {name: expanded(value, values) for name, value in step["env"].items()}
        # `shell: bash` of a composite action.
        done = lab.run(
            *("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]),
            where=workspace,
            RUNNER_TEMP=str(temporary),
            GITHUB_ACTION_PATH=str(ROOT),
            **variables,
        )
        said.append(done.stdout + done.stderr)
        if done.returncode:
            break
    return Finished([], done.returncode, "".join(said), "")


def expanded(expression: str, inputs: dict[str, str]) -> str:
    name = re.fullmatch(r"\$\{\{ inputs\.(\w+)(?: \|\| .*)? \}\}", expression)
    assert name, expression
    return inputs[name[1]] or ("https://example.invalid" if "||" in expression else "")


def paths(lab: Lab) -> Iterator[Check]:
    place = lab.folder / "workspace"
    for name in ("my backups/old", "logs/deep/er", "more", "[x]"):
        (place / name).mkdir(parents=True)
        (place / name / "binlog.000001").write_bytes((MIXED / "binlog.000001").read_bytes())
    (place / "logs" / "notes.txt").write_text("no log\n")
    everything = "FAIL: 4 logs: 4 in plaintext"
    yield ends("a workspace is checked without any input", 1, run(lab, place), everything)
    sarif = json.loads((place / "binlogsec.sarif").read_text())
    yield equal("the SARIF report has the findings", 4, len([it for it in sarif["runs"][0]["results"] if it["ruleId"] == "BLS001"]))
    one = "FAIL: 1 log: 1 in plaintext"
    two = "FAIL: 2 logs: 2 in plaintext"
    yield ends("blanks belong to a name", 1, run(lab, place, paths="my backups\n"), one)
    yield ends("blanks belong to a name in a pattern", 1, run(lab, place, paths="my back*/o?d/*"), one)
    yield ends("one path a line, indented as YAML has it", 1, run(lab, place, paths="  my backups\n\n  more\n"), two)
    yield ends("`**` reaches every depth", 1, run(lab, place, paths="logs/**/binlog.*"), one)
    yield ends("a name with brackets that is there is a name", 1, run(lab, place, paths="[x]"), one)
    yield ends("a pattern that fits nothing is no pass", 2, run(lab, place, paths="*.gone"), "*.gone")
    yield ends("nor is it one beside others", 2, run(lab, place, paths="more\nnowhere"), "nowhere")
    run(lab, place, paths="$(touch ran); touch ran\n`touch ran`")
    yield equal("no input is run", False, (place / "ran").exists())
    yield ends("what is left out is left out", 1, run(lab, place, exclude="logs\nmy backups"), two)


def keys(lab: Lab) -> Iterator[Check]:
    place = lab.mysql("data", plaintext=True)
    keyring = lab.keyring("data").rename(lab.folder / "my keyring")
    done = run(lab, place, keyring=str(keyring))
    yield ends("with a keyring, encryption is proven", 1, done, "FAIL: 6 logs: 4 encrypted (proven), 2 in plaintext")
    baseline = lab.folder / "the baseline.toml"
    baseline.write_text(BASELINE)
    yield ends("what a baseline accepts does not fail", 0, run(lab, place, keyring=str(keyring), baseline=str(baseline)), "PASS")
    policy = lab.folder / "the policy.toml"
    policy.write_text("require_proof = true\n")
    yield ends("a policy is obeyed", 2, run(lab, place, policy=str(policy), baseline=str(baseline)), "demands proof")


def downloads(lab: Lab) -> Iterator[Check]:
    place = lab.mysql("release", plaintext=False)
    name = "binlogsec-0.1.0-x86_64-unknown-linux-musl"
    archive = lab.folder / "releases" / "v0.1.0" / f"{name}.tar.gz"
    archive.parent.mkdir(parents=True)
    with tarfile.open(archive, "w:gz", compresslevel=1) as out:
        out.add(lab.binlogsec, f"{name}/binlogsec")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    # What would build notes it, and hands out the program.
    builder = lab.folder / "bin" / "cargo"
    target = "$RUNNER_TEMP/binlogsec-build/dist"
    builder.write_text(f'#!/bin/sh\ntouch built\nmkdir -p "{target}"\ncp "{lab.binlogsec}" "{target}/binlogsec"\n')
    builder.chmod(0o755)
    built = place / "built"

    def release(**inputs: str) -> Finished:
        built.unlink(missing_ok=True)
        place.joinpath("binlogsec.sarif").unlink(missing_ok=True)
        (lab.folder / "runner" / "binlogsec" / "binlogsec").unlink(missing_ok=True)
        address = {"releases": f"file://{lab.folder}/releases"}
        return run(lab, place, binary="", keyring=str(lab.keyring("release")), **address | inputs)

    passed = "PASS: 4 logs: 4 encrypted (proven)"
    yield ends("a released binary is downloaded", 0, release(version="0.1.0", sha256=digest), passed)
    yield equal("and nothing is built then", False, built.exists())
    done = release(version="0.1.0", sha256="0" * 64)
    yield ends("another sum than the one that is given ends the run", 2, done, "has another SHA-256")
    yield equal("and nothing is built in its place", False, built.exists())
    yield ends("a download without a sum is refused", 2, release(version="0.1.0"), "needs sha256")
    yield ends("a release that is not there is built", 0, release(version="9.9.9", sha256=digest), passed)
    yield equal("by cargo", True, built.exists())
    yield ends("without a version, the source is built", 0, release(), passed)
    yield equal("by cargo, too", True, built.exists())
