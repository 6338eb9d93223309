"""The scenarios: every module here is one, named after itself, with

def run(lab: Lab, binlogsec: Path) -> Iterator[Check]

It starts the servers it needs, drives them and the command under test, and
yields a check for each claim.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from pathlib import Path

from checks import Check
from lab import Lab

Scenario = Callable[[Lab, Path], Iterator[Check]]


def names() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Scenario:
    scenario: Scenario = importlib.import_module(f"{__name__}.{name}").run
    return scenario
