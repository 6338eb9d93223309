#!/usr/bin/env python3
"""A preprocessor of mdBook for docs/book.toml.

It puts the help of every command of $BINLOGSEC into the page that has the mark `<!-- help -->`. Links
that leave docs/ lead to $BINLOGSEC_SOURCE (the repository's address of its files), or are shown as
text: a book has no such pages.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

MARK = "<!-- help -->"
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"^( *```.*?^ *```[^\n]*$)", re.MULTILINE | re.DOTALL)


def main() -> int:
    if sys.argv[1:2] == ["supports"]:
        return 0
    _, book = json.load(sys.stdin)
    for chapter in chapters(book.get("items", book.get("sections", []))):
        text = outside(chapter["content"], chapter["path"] or "")
        if MARK in text:
            text = text.replace(MARK, "\n".join(reference()))
        chapter["content"] = text
    json.dump(book, sys.stdout)
    return 0


def chapters(items: list[Any]) -> Iterator[dict[str, Any]]:
    for item in items:
        if isinstance(item, dict) and "Chapter" in item:
            yield item["Chapter"]
            yield from chapters(item["Chapter"]["sub_items"])


def outside(text: str, path: str) -> str:
    source = os.environ.get("BINLOGSEC_SOURCE", "").rstrip("/")

    def mend(match: re.Match[str]) -> str:
        words, target = match[1], match[2]
        if re.match(r"[a-z]+:", target) or target.startswith("#"):
            return match[0]
        there = posixpath.normpath(posixpath.join("docs", posixpath.dirname(path), target))
        if there.startswith("docs/") and not re.search(r"docs/(deploy|schema|json)/?$", there):
            # The page of a folder has another name in a book.
            return f"[{words}]({re.sub(r'README[.]md', 'index.md', target)})"
        return f"[{words}]({source}/{there})" if source else words

    # Code stays as it is: every second part is a block of it.
    parts = FENCE.split(text)
    parts[::2] = [LINK.sub(mend, part) for part in parts[::2]]
    return "".join(parts)


def reference() -> Iterator[str]:
    program = os.environ.get("BINLOGSEC")
    if not program:
        print("pages.py: BINLOGSEC is not set: the book has no help of the commands", file=sys.stderr)
        yield "`binlogsec --help` prints it."
        return
    for words in commands(program, []):
        name = " ".join(["binlogsec", *words])
        yield f"## {name}\n\n```text\n{help_of(program, words).rstrip()}\n```\n"


def help_of(program: str, words: list[str]) -> str:
    environment = {"PATH": "/usr/bin:/bin", "NO_COLOR": "1", "COLUMNS": "100"}
    command = [program, *words, "--help"]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def commands(program: str, words: list[str]) -> Iterator[list[str]]:
    """This command, and those below it, in the order of their help."""
    yield words
    section = re.search(r"^Commands:\n((?:(?:  .*)?\n)+)", help_of(program, words), re.MULTILINE)
    for name in re.findall(r"^  ([a-z][\w-]*)", section[1], re.MULTILINE) if section else []:
        if name != "help":
            yield from commands(program, [*words, name])


if __name__ == "__main__":
    sys.exit(main())
