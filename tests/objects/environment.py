"""The emulators, installed once into the user's cache and never into the system."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

PYTHON_PACKAGES = ["moto[server,s3]==5.2.*", "boto3", "azure-storage-blob"]
NODE_PACKAGES = ["azurite@3"]
SECONDS = 600


class Unavailable(Exception):
    """Why this machine cannot run the stores."""


def folder() -> Path:
    named = os.environ.get("BINLOGSEC_OBJECTS_CACHE")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "binlogsec" / "objects"


def azurite() -> Path:
    return folder() / "node_modules" / ".bin" / "azurite-blob"


def enter() -> None:
    """Make what is missing, and go on with the Python that has the packages."""
    if os.environ.get("BINLOGSEC_OBJECTS_INSIDE") == str(folder()):
        return
    for name in ("npm", "node"):
        if shutil.which(name) is None:
            raise Unavailable(f"{name} is missing, which Azure's emulator needs")
    python = folder() / "venv" / "bin" / "python3"
    folder().mkdir(parents=True, exist_ok=True)
    with (folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder() / "complete").exists():
            install()
            (folder() / "complete").touch()
    os.environ["BINLOGSEC_OBJECTS_INSIDE"] = str(folder())
    os.execv(python, [str(python), *sys.argv])


def install() -> None:
    print("objects: installing the emulators", file=sys.stderr)
    venv = folder() / "venv"
    step([sys.executable, "-m", "venv", "--clear", str(venv)])
    step([str(venv / "bin" / "pip"), "install", "--quiet", *PYTHON_PACKAGES])
    step(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder()), *NODE_PACKAGES])


def step(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{command[0]}: {error}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise Unavailable(f"{' '.join(command[:3])}: {said[-1] if said else done.returncode}")
