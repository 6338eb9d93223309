"""Where the real server comes from.

The stable Debian releases carry no MySQL, so the server lives in a folder of
its own, made once by debootstrap from Debian sid and kept in the user's cache.
Nothing is installed on the machine itself but debootstrap.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT_VARIABLE = "BINLOGSEC_MYSQL_ROOT"
SUITE = "sid"
PACKAGES = ("mysql-server-core", "mysql-client-core")
MARKER = ".binlogsec-complete"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUILD_SECONDS = 1800


class LabUnavailable(Exception):
    """This machine cannot have the lab: a reason to skip, not a failure."""


class LabError(Exception):
    """The lab is there and something in it went wrong."""


def say(message: str) -> None:
    """Progress goes to stderr, so that stdout holds check results alone."""
    print(f"interop: {message}", file=sys.stderr, flush=True)


def obtain() -> Path:
    """The folder with the server: the one named by the user, else the cached one."""
    require_privileges()
    named = os.environ.get(ROOT_VARIABLE)
    if named:
        return named_root(Path(named))
    return cached_root(cache_folder() / f"mysql-{SUITE}")


def require_privileges() -> None:
    """chroot and debootstrap both need root on Linux; say so before trying."""
    if not sys.platform.startswith("linux"):
        raise LabUnavailable("needs Linux")
    if os.geteuid() != 0:
        raise LabUnavailable("needs root, for chroot")
    for tool in ("chroot", "setpriv"):
        if find_tool(tool) is None:
            raise LabUnavailable(f"needs the command {tool}")


def find_tool(name: str) -> str | None:
    """Look in the system folders too: a user's PATH often lacks the sbin ones."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":" + SYSTEM_PATH)


def named_root(root: Path) -> Path:
    """A root that the user names is used as it is and never rebuilt or removed."""
    if not holds_server(root):
        raise LabError(f"{ROOT_VARIABLE}={root}: no usr/sbin/mysqld in it")
    return root.resolve()


def holds_server(root: Path) -> bool:
    return (root / "usr/sbin/mysqld").is_file() and (root / "usr/bin/mysqlbinlog").is_file()


def cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "binlogsec"


def cached_root(root: Path) -> Path:
    """Reuse the cached root, or make it; two runs at once make it only once."""
    root.parent.mkdir(parents=True, exist_ok=True)
    with locked(root.with_name(root.name + ".lock")):
        remove_partial(root)
        if not is_complete(root):
            build(root)
    return root.resolve()


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def is_complete(root: Path) -> bool:
    """The marker is written last, so a root without it was never finished."""
    return (root / MARKER).is_file() and holds_server(root)


def remove_partial(root: Path) -> None:
    """Clear what an interrupted run left; called under the lock, so nobody uses it."""
    for leftover in root.parent.glob(root.name + ".partial-*"):
        remove_tree(leftover)
    if root.exists() and not is_complete(root):
        remove_tree(root)


def remove_tree(folder: Path) -> None:
    """Delete a tree, but never through a mount: a bind mount would lose its source."""
    mounted = [point for point in mount_points() if point.is_relative_to(folder.resolve())]
    if mounted:
        raise LabError(f"{folder} is not removed: {mounted[0]} is mounted in it")
    shutil.rmtree(folder)


def mount_points() -> list[Path]:
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [Path(line.split()[4].replace("\\040", " ")) for line in lines]


def build(root: Path) -> None:
    """Build under a temporary name and rename: the final name is never half-made."""
    tool = debootstrap()
    partial = root.with_name(f"{root.name}.partial-{os.getpid()}")
    say(f"making the server's root {root} (once; about 650 MB)")
    started = time.monotonic()
    try:
        bootstrap(tool, partial)
        write_marker(partial)
        partial.rename(root)
    except BaseException:
        if partial.exists():
            remove_tree(partial)
        raise
    say(f"made in {time.monotonic() - started:.0f} s")


def debootstrap() -> str:
    """Find debootstrap or install it, with the key ring that proves the packages."""
    found = find_tool("debootstrap")
    if found:
        return found
    install("debootstrap", "debian-archive-keyring", "gpgv")
    found = find_tool("debootstrap")
    if found is None:
        raise LabUnavailable("debootstrap is missing and could not be installed")
    return found


def install(*packages: str) -> None:
    """Install packages of this machine's Debian, if it is one; whether they came is to be looked at."""
    apt = find_tool("apt-get")
    if apt is None:
        return
    say(f"installing {packages[0]}")
    command = [apt, "install", "-y", "--no-install-recommends", *packages]
    if not quietly(command):
        quietly([apt, "update"])
        quietly(command)


def quietly(command: list[str]) -> bool:
    """Run a package tool that must neither ask questions nor write on stdout."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=BUILD_SECONDS
    )
    return done.returncode == 0


def bootstrap(tool: str, target: Path) -> None:
    """Run debootstrap so that its mounts and its children end with it, and it with us.

    It starts many programs. In a process namespace of its own the kernel ends
    all of them at once, however this program is stopped.
    """
    ends_with_us = ["setpriv", "--pdeathsig", "KILL"]
    contained = private_mounts("--mount-proc", "--pid", "--fork", "--kill-child=KILL")
    command = [tool, "--force-check-gpg", "--variant=minbase", "--include=" + ",".join(PACKAGES)]
    command += [SUITE, str(target), *apt_mirror()]
    done = subprocess.run(
        ends_with_us + contained + command,
        env={**os.environ, "PATH": SYSTEM_PATH},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=BUILD_SECONDS,
    )
    if done.returncode != 0:
        lines = done.stdout.decode(errors="replace").strip().splitlines()
        last = lines[-1] if lines else "no output"
        raise LabUnavailable(f"debootstrap failed ({last}); is a Debian mirror within reach?")


def private_mounts(*mount_option: str) -> list[str]:
    """A command prefix that gives a mount namespace of its own, where that is allowed."""
    prefix = ["unshare", "--mount", *mount_option, "--"]
    if find_tool("unshare") is None:
        return []
    probe = subprocess.run([*prefix, "true"], env={"PATH": SYSTEM_PATH}, capture_output=True)
    return prefix if probe.returncode == 0 else []


def apt_mirror() -> list[str]:
    """The machine's own Debian mirror, if it has one; else debootstrap's default."""
    apt = find_tool("apt-get")
    if apt is None:
        return []
    form = "$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(REPO_URI)"
    listed = subprocess.run([apt, "indextargets", "--format", form], capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        origin, label, component, uri = line.split("|", 3)
        if (origin, label, component) == ("Debian", "Debian", "main") and uri.startswith("http"):
            return [uri]
    return []


def write_marker(root: Path) -> None:
    """Last step of a build: says that it was finished, and what it holds."""
    if not holds_server(root):
        raise LabError(f"debootstrap succeeded, but {root} holds no server")
    said = {"suite": SUITE, "packages": PACKAGES, "made": time.strftime("%Y-%m-%d")}
    (root / MARKER).write_text(json.dumps(said) + "\n", encoding="utf-8")
