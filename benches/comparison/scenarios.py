"""What is compared with what."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

from . import logs, memory
from .logs import EXAMPLES, KEYRING, SMALL_LOG, TINY_LOG, size_of
from .measure import Contender, remove, threads

PYTHON_DECRYPTOR = """
import sys
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
key, iv = map(bytes.fromhex, sys.argv[3:])
cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).decryptor()
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
    source.seek(512)
    while piece := source.read(1 << 20):
        target.write(cipher.update(piece))
"""


SMALL = 1 << 20
"""Outputs up to here find memory that is there."""


@dataclass(frozen=True)
class Scenario:
    """One run of the comparison."""

    name: str
    title: str
    make: Callable[[Field], list[Contender]]
    size: str = ""
    runs: int = 7
    in_memory: bool = False
    """On tmpfs and not on the disk."""
    cold: bool = False


@dataclass
class Field:
    """What the contenders of a scenario work with and on."""

    binary: Path
    work: Path
    made: Path
    """Where large logs are kept from scenario to scenario."""
    scenario: Scenario

    @property
    def log(self) -> Path:
        return self.work / "binlog.000001"

    @property
    def out(self) -> Path:
        return self.work / "out"

    def command(self, name: str, *arguments: object) -> list[object]:
        return [self.binary, name, *arguments, "--keyring", KEYRING, "-q"]

    def fresh(self, source: Path) -> Callable[[], None]:
        """Output gone, memory there, input in the cache or not."""

        def prepare() -> None:
            remove(self.out)
            if size_of(self.scenario.size) > SMALL:
                memory.touch()
            if self.scenario.cold:
                logs.evict(source)

        return prepare


def jobs() -> list[int]:
    """1, 2, 4 … and all threads."""
    return sorted({1, threads()} | {1 << n for n in range(8) if 1 << n < threads()})


def make_log(field: Field) -> None:
    made = field.made / field.scenario.size
    if not made.exists():
        logs.make_log(made, size_of(field.scenario.size))
        logs.check_plaintext(field.binary, made, field.made / "plain")
    if field.scenario.in_memory:
        shutil.copyfile(made, field.log)
    else:
        field.log.hardlink_to(made)


def copies(field: Field) -> list[Contender]:
    """From file to file: the least that can be compared."""
    make_log(field)
    to_out = partial(Contender, prepare=field.fresh(field.log))
    decrypt = partial(field.command, "decrypt", field.log, "-o", field.out, "-j")
    found = [
        to_out("cp", ["cp", field.log, field.out]),
        to_out("openssl enc", f"{logs.decrypting_openssl()} -in {field.log} -out {field.out}"),
    ]
    found += [to_out(f"decrypt -j{number}", decrypt(number)) for number in jobs()]
    most = threads()
    found.append(to_out(f"floor -j{most}", [EXAMPLES / "floor", field.log, field.out, most, "mapped"]))
    return found


def whole_field(field: Field) -> list[Contender]:
    """The same with everybody who can copy, decrypt or encrypt a file."""
    found = copies(field)
    log, out, to_out = field.log, field.out, partial(Contender, prepare=field.fresh(field.log))
    found.append(to_out("dd bs=1M", ["dd", f"if={log}", f"of={out}", "bs=1M", "status=none"]))
    if subprocess.run([sys.executable, "-c", "import cryptography"], capture_output=True).returncode == 0:
        key, nonce = logs.file_key()
        command = [sys.executable, "-c", PYTHON_DECRYPTOR, log, out, key.hex(), (nonce + bytes(8)).hex()]
        found.append(to_out("Python, cryptography", command))
    most = threads()
    floor = EXAMPLES / "floor"
    if most > 1:
        found.append(to_out("floor -j1", [floor, log, out, 1, "mapped"]))
    found.append(to_out(f"floor -j{most}, positioned reads", [floor, log, out, most, "positioned"]))
    plain = field.work / "plain"
    subprocess.run([str(a) for a in field.command("decrypt", log, "-o", plain)], check=True)
    logs.settle(plain)
    to_out = partial(Contender, prepare=field.fresh(plain))
    found.append(to_out(f"encrypt -j{most}", field.command("encrypt", plain, "-o", out, "-j", most)))
    return found


def streams(field: Field) -> list[Contender]:
    """Through pipes, and without any output."""
    make_log(field)
    log, binary = field.log, field.binary
    openssl = logs.decrypting_openssl()
    decrypt = f"{binary} decrypt - -o - --keyring {KEYRING} -q"
    floor = EXAMPLES / "floor"
    return [
        Contender("pipe to pipe: cat", f"cat {log} | cat | cat > /dev/null"),
        Contender("pipe to pipe: openssl enc", f"cat {log} | {openssl} | cat > /dev/null"),
        Contender("pipe to pipe: decrypt", f"cat {log} | {decrypt} | cat > /dev/null"),
        Contender("file to pipe: openssl enc", f"{openssl} -in {log} | cat > /dev/null"),
        Contender("file to pipe: decrypt", f"{decrypt} < {log} | cat > /dev/null"),
        Contender("to /dev/null: openssl enc", f"{openssl} -in {log} > /dev/null"),
        Contender("to /dev/null: decrypt", f"{decrypt} < {log} > /dev/null"),
        Contender("verify", field.command("verify", log)),
        Contender("map and sum", [floor, log, "-", threads(), "sum"]),
    ]


def many(field: Field) -> list[Contender]:
    """Thousands of logs of 100 KiB."""
    tree = field.work / "logs"
    logs.make_many(tree, SMALL_LOG, 2000)
    numbers = count()

    def prepare() -> None:
        # Removed at the end: ext4 takes a file's place anew only minutes after it was removed, and
        # seeks for another one as long as it takes, for whoever comes next.
        if field.out.exists():
            field.out.rename(field.work / f"old-{next(numbers)}")
        os.sync()
        memory.touch()

    to_out = partial(Contender, prepare=prepare)
    return [
        to_out("cp -r", ["cp", "-r", tree, field.out]),
        to_out("decrypt --output-dir", field.command("decrypt", tree, "--output-dir", field.out)),
    ]


def start(field: Field) -> list[Contender]:
    """One small file: what there is besides the work."""
    return [
        Contender("true", ["true"]),
        Contender("openssl version", ["openssl", "version"]),
        Contender("inspect", [field.binary, "inspect", SMALL_LOG, "--keyring", KEYRING]),
    ]


def check(field: Field) -> list[Contender]:
    """A hundred thousand files."""
    tree = field.work / "tree"
    logs.make_many(tree, TINY_LOG, 100_000)
    return [
        Contender("find -type f", ["find", tree, "-type", "f"]),
        Contender("check", [field.binary, "check", tree, "--no-progress"], statuses=(0, 1)),
    ]


ALL = [
    Scenario("disk-1g", "1 GiB, ext4, in the page cache", whole_field, "1G"),
    Scenario("disk-64m", "64 MiB, ext4, in the page cache", whole_field, "64M"),
    Scenario("disk-64k", "64 KiB, ext4, in the page cache", whole_field, "64K", runs=21),
    Scenario("cold-1g", "1 GiB, ext4, not in the page cache", copies, "1G", cold=True),
    Scenario("tmpfs-1g", "1 GiB, tmpfs", copies, "1G", in_memory=True),
    Scenario("streams-1g", "1 GiB through pipes, and without output", streams, "1G"),
    Scenario("many", "2000 logs of 100 KiB, ext4, in the page cache", many),
    Scenario("start", "One log of 100 KiB", start, runs=31),
    Scenario("check", "100,000 encrypted logs", check),
]
LARGE = Scenario("disk-8g", "8 GiB, ext4", copies, "8G", runs=3)
"""Too long for every day: the page cache has no room for it on many machines."""


def named(names: list[str]) -> Iterator[Scenario]:
    known = {scenario.name: scenario for scenario in [*ALL, LARGE]}
    for name in names:
        if name not in known:
            sys.exit(f"no scenario is called {name}; there are: {', '.join(known)}")
        yield known[name]
