"""What was aimed at, as ratios within one run."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

Results = dict[str, dict]
"""Scenario by name, as in the JSON."""


@dataclass
class Target:
    """A ratio, and where it should lie."""

    what: str
    found: float
    bound: float
    at_least: bool = False
    unit: str = ""

    @property
    def is_met(self) -> bool:
        return self.found >= self.bound if self.at_least else self.found <= self.bound

    def line(self) -> tuple[str, str, str, str]:
        sign = "≥" if self.at_least else "≤"
        return (self.what, f"{self.found:.2f}{self.unit}", f"{sign} {self.bound:g}{self.unit}",
                "met" if self.is_met else "missed")


class Scene:
    """One scenario's results."""

    def __init__(self, results: Results, name: str) -> None:
        self.size = results[name]["bytes"]
        self.by_name = {c["name"]: c for c in results[name]["contenders"]}

    def ratio(self, first: str, second: str) -> float:
        """The median of the rounds' ratios: what slows a round down slows both."""
        pairs = zip(self.by_name[first]["seconds"], self.by_name[second]["seconds"])
        return statistics.median(a / b for a, b in pairs)

    def openssl(self, way: str) -> float:
        return self.ratio(f"{way}: openssl enc", f"{way}: decrypt")

    def median(self, name: str) -> float:
        return statistics.median(self.by_name[name]["seconds"])


def targets(results: Results, threads: int) -> list[Target]:
    """Those that can be told from what was run."""
    found: list[Target] = []
    every = f"-j{threads}"
    if "disk-1g" in results:
        disk = Scene(results, "disk-1g")
        decrypt = f"decrypt {every}"
        peak = max(c["peak_kib"] for name, c in disk.by_name.items() if name.startswith(("decrypt", "encrypt")))
        found += [
            Target("decrypt to `cp`", disk.ratio(decrypt, "cp"), 0.9),
            Target("decrypt to the floor program", disk.ratio(decrypt, f"floor {every}"), 1.1),
            Target("`openssl enc` to decrypt", disk.ratio("openssl enc", decrypt), 2.5, at_least=True),
            Target("encrypt to decrypt", disk.ratio(f"encrypt {every}", decrypt), 1.15),
            Target("decrypt on one thread to `cp`", disk.ratio("decrypt -j1", "cp"), 1.0),
            Target("peak resident set", peak / 1024, 96, unit=" MiB"),
        ]
    if "streams-1g" in results:
        streams = Scene(results, "streams-1g")
        found += [
            Target("pipe to pipe, `openssl enc` to decrypt", streams.openssl("pipe to pipe"), 2, at_least=True),
            Target("file to pipe, `openssl enc` to decrypt", streams.openssl("file to pipe"), 2, at_least=True),
            Target("to /dev/null, `openssl enc` to decrypt", streams.openssl("to /dev/null"), 1, at_least=True),
            Target("verify", streams.size / streams.median("verify") / 1e9, 4, at_least=True, unit=" GB/s"),
            Target("verify's rate to that of map and sum", streams.ratio("map and sum", "verify"), 0.8, at_least=True),
        ]
    if "many" in results:
        many = Scene(results, "many")
        found.append(Target("many small logs to `cp -r`", many.ratio("decrypt --output-dir", "cp -r"), 1.2))
    if "start" in results:
        found.append(Target("inspect one log", Scene(results, "start").median("inspect") * 1000, 5, unit=" ms"))
    if "check" in results:
        found.append(Target("check to `find -type f`", Scene(results, "check").ratio("check", "find -type f"), 4))
    return found

