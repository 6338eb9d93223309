"""What scenarios share: a server and the command side by side, and looking into logs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from checks import Check, equal, same_bytes, same_list, true
from lab import Lab
from server import Event, MysqlServer
from tool import Binlogsec

IN_USE_OFFSET = 21
IN_USE_BIT = 0x01


@dataclass(frozen=True)
class Bench:
    """What every section needs: the lab, the command, the server and a place for files."""

    lab: Lab
    tool: Binlogsec
    server: MysqlServer

    def logs(self) -> list[Path]:
        return [self.server.log_path(entry.name) for entry in self.server.binlogs()]

    def of_the_index(self, *command: str, keyring: Path | None = None) -> list[str | Path]:
        """The arguments of a command on all logs of the server, with a report."""
        keys = keyring or self.server.keyring_path
        return [*command, self.server.index_path, "--keyring", keys, "--format", "json"]

    def decrypt(self, log: Path, into: Path, keyring: Path | None = None) -> Decrypted:
        """Decrypt one log into a folder of its own."""
        done = self.tool.run(
            "decrypt", log, "--keyring", keyring or self.server.keyring_path, "--output-dir", into
        )
        file = into / log.name
        return Decrypted(file, done.returncode, done.stderr.decode(errors="replace"))


@dataclass(frozen=True)
class Decrypted:
    """Where one decryption went and how it ended."""

    file: Path
    status: int
    said: str

    def succeeded(self, what: str) -> Check:
        return true(what, self.status == 0, "exit 0", f"exit {self.status}: {self.said}")


def in_use(log: bytes) -> bool:
    return len(log) > IN_USE_OFFSET and bool(log[IN_USE_OFFSET] & IN_USE_BIT)


def closed(log: bytes) -> bytes:
    """The same log with the in-use bit cleared, as a clean close clears it."""
    if not in_use(log):
        return log
    return log[:IN_USE_OFFSET] + bytes([log[IN_USE_OFFSET] & ~IN_USE_BIT]) + log[IN_USE_OFFSET + 1 :]


def is_prefix(what: str, whole: bytes, part: bytes) -> Check:
    """A part must hold something: nothing at all is the beginning of everything."""
    if not part:
        return true(what, False, "some bytes", "none")
    return same_bytes(what, whole[: len(part)], closed(part))


def same_events(what: str, listed: list[Event], listing: bytes) -> Iterator[Check]:
    """Hold mysqlbinlog's listing of a plaintext log against the server's of the encrypted one."""
    yield same_list(
        f"{what}: {len(listed)} events, all where the server has them", physical(listed), positions(listing)
    )
    yield equal(
        f"{what}: as many with those in compressed transactions", len(listed), listing.count(b"\n# at ")
    )


def physical(listed: list[Event]) -> list[int]:
    """Positions of the events that stand in the file themselves.

    The server lists the content of a compressed transaction too, as does
    mysqlbinlog, but with made-up positions, and the two disagree on them.
    """
    found, packed = [], False
    for event in listed:
        if not packed:
            found.append(event.position)
        packed = event.kind == "Transaction_payload" or (packed and event.kind != "Xid")
    return found


def positions(listing: bytes) -> list[int]:
    """Where mysqlbinlog found events: its lines `# at POSITION`, but those of packed ones."""
    found, packed = [], False
    for line in listing.splitlines():
        if line.startswith(b"# at ") and not packed:
            found.append(int(line[5:]))
        packed = line.startswith(b"# Start of compressed") or (
            packed and not line.startswith(b"# End of compressed")
        )
    return found


def read(path: Path) -> bytes:
    """A file that was not written compares as empty, with the check saying so."""
    return path.read_bytes() if path.exists() else b""


def text(said: bytes) -> str:
    return said.decode(errors="replace").strip()
