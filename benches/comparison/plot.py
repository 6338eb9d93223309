"""One scenario as bars: an SVG that reads on light and dark pages."""

from __future__ import annotations

import statistics
from html import escape
from pathlib import Path

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 720, 190, 90, 18, 10, 44
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.title { font-weight: 600 }
.other { fill: #8c959f } .ours { fill: #0969da } .floor { fill: #d0d7de }
.spread { stroke: #24292f; stroke-width: 1.5 }
.one { stroke: #cf222e; stroke-dasharray: 4 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .floor { fill: #484f58 } .ours { fill: #58a6ff }
  .spread { stroke: #e6edf3 } .one { stroke: #ff7b72 }
}"""


def kind(name: str) -> str:
    if name.startswith(("decrypt", "encrypt")):
        return "ours"
    return "floor" if name.startswith("floor") else "other"


def draw(scene: dict, path: Path) -> None:
    """Medians as ratios to the first contender, with the spread from the fastest to the slowest."""
    contenders = sorted(scene["contenders"], key=lambda c: statistics.median(c["seconds"]))
    first = scene["contenders"][0]
    base = statistics.median(first["seconds"])
    ratios = [(c["name"], statistics.median(c["seconds"]) / base,
               min(c["seconds"]) / base, max(c["seconds"]) / base) for c in contenders]
    longest = max(median for _, median, _, _ in ratios)
    scale = (WIDTH - LEFT - RIGHT) / longest
    height = TOP + len(ratios) * (BAR + GAP) + 6

    def x(ratio: float) -> float:
        return LEFT + min(ratio, longest * 1.02) * scale

    parts = [f'<text class="title" x="8" y="20">{escape(scene["title"])}: time as a multiple of '
             f'{escape(first["name"])} (bar: median; line: fastest to slowest run)</text>']
    for number, (name, median, low, high) in enumerate(ratios):
        y = TOP + number * (BAR + GAP)
        middle = y + BAR / 2
        label = max(x(median), x(high)) + 6
        parts += [
            f'<text x="{LEFT - 8}" y="{middle + 4.5}" text-anchor="end">{escape(name)}</text>',
            f'<rect class="{kind(name)}" x="{LEFT}" y="{y}" width="{median * scale:.1f}" height="{BAR}" rx="2"/>',
            f'<line class="spread" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{middle}" y2="{middle}"/>',
            f'<text x="{label:.1f}" y="{middle + 4.5}">{median:.2f}</text>',
        ]
    parts.append(f'<line class="one" x1="{x(1):.1f}" x2="{x(1):.1f}" y1="{TOP - 8}" y2="{height - 6}"/>')
    body = "\n".join(parts)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(scene["title"])}, times relative to {escape(first["name"])}">\n'
        f"<style>{STYLE}</style>\n{body}\n</svg>\n")
