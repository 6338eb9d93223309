"""The results as tables, for a terminal and for the documentation."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from .targets import Results, targets

BEGIN = "<!-- benches/compare.py writes from here -->"
END = "<!-- benches/compare.py writes up to here -->"


def rows(scene: dict) -> list[list[str]]:
    """A row for each contender; the first one is what the others are compared with."""
    base = statistics.median(scene["contenders"][0]["seconds"])
    found = []
    for contender in scene["contenders"]:
        seconds = contender["seconds"]
        median = statistics.median(seconds)
        rate = f"{scene['bytes'] / median / (1 << 30):.2f}" if scene["bytes"] else ""
        found.append([contender["name"], time(median), time(min(seconds)), time(max(seconds)),
                      rate, f"{median / base:.2f}", f"{contender['peak_kib'] / 1024:.1f}"])
    return found


def time(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds >= 0.1 else f"{seconds * 1000:.2f} ms"


def head(scene: dict) -> list[str]:
    first = scene["contenders"][0]["name"]
    return ["", "median", "min", "max", "GiB/s", f"to {first}", "peak MiB"]


def markdown_table(header: list[str], body: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def terminal_table(header: list[str], body: list[list[str]]) -> str:
    widths = [max(len(line[column]) for line in [header, *body]) for column in range(len(header))]
    def line(cells: list[str]) -> str:
        first, *rest = (cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(cells, widths)))
        return "  ".join([first, *rest])
    return "\n".join(line(cells) for cells in [header, *body])


def scene_text(scene: dict) -> str:
    return f"{scene['title']}, {scene['runs']} runs\n{terminal_table(head(scene), rows(scene))}\n"


def targets_text(results: Results, threads: int) -> tuple[str, bool]:
    """The table, and whether all are met."""
    found = targets(results, threads)
    body = [list(target.line()) for target in found]
    return terminal_table(["", "found", "target", ""], body), all(target.is_met for target in found)


def markdown(data: dict) -> str:
    """Everything, for docs/performance.md."""
    machine = data["machine"]
    found = targets(data["scenarios"], machine["threads"])
    parts = [
        "![Times for 1 GiB as multiples of cp's](performance.svg)",
        f"Measured on {data['date']}: {machine['threads']} threads of an {machine['processor']}, "
        f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, {machine['openssl']}.",
        markdown_table(["", "found", "target", ""], [list(target.line()) for target in found]),
    ]
    for scene in data["scenarios"].values():
        parts.append(f"### {scene['title']}")
        parts.append(f"{scene['runs']} runs.")
        parts.append(markdown_table(head(scene), rows(scene)))
    return "\n\n".join(parts)


def splice(page: Path, text: str) -> None:
    """Puts the text between the two marks of a page."""
    before, begin, rest = page.read_text().partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{page} has no place for the tables: {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
