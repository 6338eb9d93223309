"""The pages: every command of `binlogsec` that stands in one is a command, and every link leads somewhere."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from lab import MARIADB, MIXED, ROOT, Check, Lab, equal

FENCE = re.compile(r"^( *)```(\w+)?[^\n]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
SHELLS = {"sh", "bash", "console"}
# What ends a command in a shell, as shlex gives it.
ENDS = {"|", "||", "&&", "&", ";", ";;", "(", ")", "{", "}", "do", "then", "else", "$("}
REDIRECTIONS = {">", ">>", "<", "<<", "<<<", ">&", "2>", "2>>", "2>&1", ">&2"}
# clap's own words for what it does not know.
REFUSALS = (
    "unexpected argument",
    "unrecognized subcommand",
    "invalid value",
    "required arguments were not provided",
    "cannot be used with",
    "a value is required",
    "requires a subcommand",
)
NOBODY = 65534
# By the manifest of the log's folder.
PLAINTEXT_OF_3 = "248fdd06fde29e0968fe65ac5584181f6a046a46a4c42a7ff8834c4bef6452b9"


def pages() -> list[Path]:
    found = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
    return found + sorted((ROOT / "docs").rglob("*.md"))


def checks(lab: Lab) -> Iterator[Check]:
    yield from first_lines(lab)
    yield from commands(lab)
    yield from links()
    yield from book()
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    # But for the command that is there to be copied whole.
    wide = [line for line in readme if len(line) > 100 and not line.startswith("cargo run ")]
    yield equal("README.md fits 100 columns", [], wide)


def first_lines(lab: Lab) -> Iterator[Check]:
    """What the README promises in its first lines, run as it stands there."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("binlogsec decrypt binlog.000042 -o - ")]
    yield equal("the README shows both products", ["mysqlbinlog -", "mariadb-binlog -"], [line.split(" | ")[1] for line in lines])
    mariadb = MARIADB / "logs" / "binlog.000003"
    manifest = json.loads((MARIADB / "manifest.json").read_text(encoding="utf-8"))
    plain = next(log for log in manifest["logs"] if log["file"] == f"logs/{mariadb.name}")
    sums = [PLAINTEXT_OF_3, plain["plain_file_sha256"]]
    for line, log, expected in zip(lines, (MIXED / "binlog.000003", mariadb), sums, strict=True):
        place = lab.folder / "readme"
        place.mkdir()
        shutil.copy(log, place / "binlog.000042")
        for key in (MIXED / "component_keyring_file", MARIADB / "keys.txt"):
            shutil.copy(key, place)
            (place / key.name).chmod(0o600)
        reader = lab.folder / "bin" / line.split(" | ")[1].split()[0]
        reader.write_text("#!/bin/sh\nexec sha256sum\n")
        reader.chmod(0o755)
        done = lab.bash(f"set -o pipefail; {line}", place)
        yield equal(f"{reader.name} gets the plaintext from the README's line", (0, f"{expected}  -\n", ""), (done.returncode, done.stdout, done.stderr))
        yield equal("and nothing else is on the disk", 3, len(list(place.iterdir())))
        shutil.rmtree(place)


def commands(lab: Lab) -> Iterator[Check]:
    # Nothing of this machine can be changed: an empty folder, and a user without rights.
    place = lab.folder / "empty"
    place.mkdir()
    lab.folder.chmod(0o755)
    program = lab.folder / "program"
    shutil.copy(lab.binlogsec, program)
    program.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(place, NOBODY, NOBODY)
    for page in pages():
        found = list(invocations(page.read_text(encoding="utf-8")))
        refused = [text for words in found if (text := refusal(program, words, place))]
        if found:
            yield equal(f"{page.relative_to(ROOT)}: {len(found)} commands are commands", [], refused)


def invocations(text: str) -> Iterator[list[str]]:
    """The arguments of each `binlogsec …` in the page's shell blocks."""
    for match in FENCE.finditer(text):
        block = match[3]
        if match[2] is None:
            # Output, or commands as they stand.
            block = "\n".join(line for line in block.splitlines() if line.startswith("binlogsec "))
        elif match[2] not in SHELLS:
            continue
        if match[2] == "console":
            block = re.sub(r"\\\n *> ", " ", block)
            block = "\n".join(line.lstrip()[2:] for line in block.splitlines() if line.lstrip().startswith("$ "))
        for line in block.replace("\\\n", " ").splitlines():
            yield from in_line(line)


def in_line(line: str) -> Iterator[list[str]]:
    try:
        # `<log>` stands for a name.
        line = re.sub(r"<([a-z][\w -]*)>", lambda found: found[1].replace(" ", "-"), line)
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words = list(lexer)
    except ValueError:
        # A quotation over several lines holds no command of ours.
        return
    at = 0
    while at < len(words):
        starts = at == 0 or words[at - 1] in ENDS or words[at - 1] in {"sudo", "exec", "time", "if", "!", "while"} or "=" in words[at - 1]
        if words[at].rsplit("/", 1)[-1] == "binlogsec" and starts:
            arguments = []
            at += 1
            while at < len(words) and words[at] not in ENDS and not set(words[at]) <= set(";|&()"):
                if words[at] in REDIRECTIONS or set(words[at]) <= set("<>&"):
                    at += 2
                    continue
                arguments.append(words[at])
                at += 1
            # `PATH…` and `[OPTIONS]` stand for others: that is a synopsis, no command.
            if arguments and not any("…" in word or word.startswith("[") for word in arguments):
                yield arguments
        else:
            at += 1


def refusal(program: Path, words: list[str], place: Path) -> str | None:
    """What the program does not understand of a command. That its files are not there is no matter."""
    who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    done = subprocess.run(
        [program, *words],
        cwd=place,
        env={"PATH": "/usr/bin:/bin", "HOME": str(place), "NO_COLOR": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        **who,  # type: ignore[arg-type]
    )
    said = done.stderr.decode(errors="replace")
    # What a variable or another command gives cannot be known here.
    unknown = any("$" in word for word in words) and "invalid value" in said
    if done.returncode == 2 and any(word in said for word in REFUSALS) and not unknown:
        return f"binlogsec {shlex.join(words)}: {said.splitlines()[0]}"
    return None


def anchor(heading: str) -> str:
    """As GitHub and mdBook make it."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        name, number = anchor(heading), 0
        while (unique := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(unique)
    return found | set(re.findall(r'<a (?:id|name)="([^"]+)"', text))


def links() -> Iterator[Check]:
    total, broken = 0, []
    for page in [*pages(), *sorted((ROOT / "tests").rglob("*.md")), ROOT / "CHANGELOG.md"]:
        text = FENCE.sub("", page.read_text(encoding="utf-8"))
        text = re.sub(r"`[^`\n]*`", "", text)
        for target in re.findall(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", text, re.MULTILINE):
            target = target[0] or target[1]
            if re.match(r"[a-z]+:", target):
                continue
            total += 1
            name, _, fragment = unquote(target).partition("#")
            there = (page.parent / name).resolve() if name else page
            if not there.exists():
                broken.append(f"{page.relative_to(ROOT)}: {target} is not there")
            elif fragment and there.suffix == ".md" and fragment not in anchors(there):
                broken.append(f"{page.relative_to(ROOT)}: {target}: no such heading")
    yield equal("there are links", True, total > 100)
    yield equal(f"{total} links lead somewhere", [], broken)


def book() -> Iterator[Check]:
    """Every page of docs/ is in the book's contents, and once."""
    folder = ROOT / "docs"
    summary = folder / "SUMMARY.md"
    listed = [(folder / target).resolve() for target in re.findall(r"\]\(([^)\s]+)\)", summary.read_text(encoding="utf-8"))]
    own = {page for page in folder.rglob("*.md") if page != summary}
    yield equal("every page is in the book", set(), {str(page.relative_to(ROOT)) for page in own - set(listed)})
    yield equal("no page is in it twice", len(listed), len(set(listed)))
