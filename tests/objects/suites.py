"""The suites: the same conformance for every store, faults, and fleets of objects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import conformance
import deploy
import faults
import figures
import fleets
import google_xml
import races
import stores
from tool import Check


def run(binlogsec: Path, folder: Path, only: list[str] | None) -> Iterator[tuple[str, Check]]:
    def wanted(name: str) -> bool:
        return not only or name in only

    with ExitStack() as stack:
        disk = stores.Disk(folder / "disk")
        if wanted("disk"):
            yield from (("disk", check) for check in conformance.sections(binlogsec, disk, folder))
        if wanted("s3") or wanted("faults") or wanted("races"):
            s3 = stack.enter_context(stores.s3(folder))
        if wanted("s3"):
            yield from (("s3", check) for check in conformance.sections(binlogsec, s3, folder))
        if wanted("azure") or wanted("races"):
            azure = stack.enter_context(stores.azure(folder))
        if wanted("azure"):
            yield from (("azure", check) for check in conformance.sections(binlogsec, azure, folder))
        if wanted("google") or wanted("races"):
            protocol = stack.enter_context(google_xml.google(folder))
        if wanted("google"):
            yield from (("google", check) for check in conformance.sections(binlogsec, protocol, folder))
        if wanted("faults"):
            yield from (("faults", check) for check in faults.sections(binlogsec, s3, folder))
        if wanted("races"):
            for store in (s3, azure, protocol):
                name = f"races on {store.name}"
                yield from ((name, check) for check in races.sections(binlogsec, store, folder))
        if wanted("deploy"):
            yield from (("deploy", check) for check in deploy.sections(binlogsec, folder))
        if only and "figures" in only:
            yield from (("figures", check) for check in figures.sections(binlogsec, folder))
        if wanted("fleets"):
            yield from (("fleets", check) for check in fleets.sections(binlogsec, folder))

