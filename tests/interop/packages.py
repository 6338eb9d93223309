"""Python packages that a lab needs: fetched once by pip into a folder of the cache, and nowhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sysroot import LabUnavailable, cache_folder, say


def folder_of(name: str, *requirements: str) -> Path:
    """The folder with these packages; the interpreter that runs this one runs them."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    folder = cache_folder() / f"python-{version}-{name}"
    if folder.is_dir():
        return folder
    part = folder.with_name(f"{folder.name}.{os.getpid()}")
    say(f"fetching {', '.join(requirements)}")
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-compile", "--target", str(part)]
    if subprocess.run([*command, *requirements], capture_output=True).returncode != 0:
        raise LabUnavailable(f"no {', '.join(requirements)}: needs pip and its index")
    part.rename(folder)
    return folder


def environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
