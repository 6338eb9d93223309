#!/usr/bin/env python3
"""links.py FOLDER: does every link in the HTML of a book lead to a page and a place that is there?"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Where a page leads, and what can be led to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        for name in ("href", "src"):
            if value := named.get(name):
                self.targets.add(value)
        self.places |= {value for name in ("id", "name") if (value := named.get(name))}


def main() -> int:
    root = Path(sys.argv[1]).resolve()
    # The page for what is not found names its targets from the site's root; print.html is all pages.
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in root.rglob("*.html") if path.name not in ("404.html", "print.html")}
    total, broken = 0, []
    for path, page in pages.items():
        for target in sorted(page.targets):
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            total += 1
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            fragment = unquote(parts.fragment)
            if not there.is_file():
                broken.append(f"{path.relative_to(root)}: {target} is not there")
            elif fragment and there in pages and fragment not in pages[there].places:
                broken.append(f"{path.relative_to(root)}: {target}: no such place")
    print("\n".join(broken) or f"{total} links of {len(pages)} pages lead somewhere", flush=True)
    return 1 if broken or not total else 0


if __name__ == "__main__":
    sys.exit(main())
