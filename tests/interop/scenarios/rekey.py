"""Logs under another key, by their headers alone, in the hands of the server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import workload
from bench import Bench
from checks import Check, each, equal, exit_status, same_bytes, true
from lab import Lab
from tool import Binlogsec

HEADER_SIZE = 512
FOREIGN = "0f1e2d3c-4b5a-11ef-8a69-7887a6b5c4d3"


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    with lab.server("rekey", binlog_encryption="ON") as server:
        bench = Bench(lab, Binlogsec(binlogsec), server)
        workload.create_tables(server)
        for _ in range(3):
            workload.trade(server)
            server.sql("FLUSH LOGS")
        into = lab.scratch("served")
        plain = {log.name: server.served(log.name, into) for log in bench.logs()[:-1]}
        yield from each(
            partial(a_log_that_is_written_is_refused, bench),
            partial(under_the_next_generation, bench, plain),
            partial(under_the_key_of_another_server, bench, plain),
            partial(to_a_keyring_that_replaces_a_lost_one, bench, plain),
            partial(the_old_header_still_opens, bench, plain),
        )


def same_as(bench: Bench, when: str, plain: dict[str, bytes]) -> Iterator[Check]:
    into = bench.lab.scratch("again")
    for name, content in plain.items():
        got = bench.server.served(name, into)
        yield same_bytes(f"{when}: {name} is served as before", content, got)


def rekey(bench: Bench, what: str, *options: str | Path) -> Iterator[Check]:
    """Of a stopped server's whole index: no body may change."""
    logs = [bench.server.log_path(name) for name in bench.server.indexed()]
    bodies = [log.read_bytes()[HEADER_SIZE:] for log in logs]
    before = [key_id(log) for log in logs]
    done = bench.tool.run("rekey", bench.server.index_path, *options)
    yield exit_status(f"rekey {what}", 0, done)
    yield true("which says what it does not do", b"old header" in done.stdout, "a note", done.stdout.decode())
    yield equal("bodies are untouched", True, bodies == [log.read_bytes()[HEADER_SIZE:] for log in logs])
    after = {key_id(log) for log in logs}
    yield equal("all are under one key", 1, len(after))
    yield true("which they were not before", set(before) != after, "other keys", str(before))


def a_log_that_is_written_is_refused(bench: Bench) -> Iterator[Check]:
    keyring = bench.server.keyring_path
    done = bench.tool.run("rekey", bench.logs()[-1], "--keyring", keyring, "--dry-run")
    yield exit_status("the log that the server writes", 2, done)


def under_the_next_generation(bench: Bench, plain: dict[str, bytes]) -> Iterator[Check]:
    server = bench.server
    server.stop()
    keyring = server.keyring_path
    yield exit_status("keyring add-key", 0, bench.tool.run("keyring", "add-key", keyring))
    yield from rekey(bench, "under the next generation", "--keyring", keyring)
    server.start()
    yield from same_as(bench, "next generation", plain)
    server.sql("ALTER INSTANCE ROTATE BINLOG MASTER KEY")
    yield from same_as(bench, "next generation, after a rotation by the server", plain)


def under_the_key_of_another_server(bench: Bench, plain: dict[str, bytes]) -> Iterator[Check]:
    """As the logs of a clone's source are, until the clone rotates."""
    server = bench.server
    server.stop()
    keyring = server.keyring_path
    added = bench.tool.run("keyring", "add-key", keyring, "--server-uuid", FOREIGN)
    yield exit_status("keyring add-key for another server", 0, added)
    key = f"MySQLReplicationKey_{FOREIGN}_1"
    own = bench.server.indexed()[0]
    named = key_id(server.log_path(own))
    yield from rekey(bench, "under the key of another server", "--keyring", keyring, "--key-id", key)
    server.start()
    yield from same_as(bench, "key of another server", plain)
    server.stop()
    yield from rekey(bench, "back", "--keyring", keyring, "--key-id", named)
    server.start()
    yield from same_as(bench, "back under its own key", plain)


def key_id(log: Path) -> str:
    """The key id in a log's header: a length byte at offset 6, then its bytes."""
    header = log.read_bytes()[:HEADER_SIZE]
    return header[7 : 7 + header[6]].decode()


def to_a_keyring_that_replaces_a_lost_one(bench: Bench, plain: dict[str, bytes]) -> Iterator[Check]:
    """A copy of the old keyring turned up; the server shall have a fresh one."""
    server = bench.server
    [[uuid]] = server.sql("SELECT @@server_uuid")
    server.stop()
    folder = bench.lab.scratch("keyrings")
    old = Path(shutil.copy(server.keyring_path, folder / "old"))
    fresh = folder / "fresh"
    made = bench.tool.run("keyring", "new", fresh, "--server-uuid", uuid)
    yield exit_status("keyring new", 0, made)
    yield from rekey(bench, "to a fresh keyring", "--keyring", old, "--new-keyring", fresh)
    replace_keyring(bench, fresh)
    server.start()
    yield from same_as(bench, "fresh keyring", plain)
    server.sql("ALTER INSTANCE ROTATE BINLOG MASTER KEY; FLUSH LOGS")
    yield from same_as(bench, "fresh keyring, after a rotation", plain)


def replace_keyring(bench: Bench, keyring: Path) -> None:
    shutil.copyfile(keyring, bench.server.keyring_path)
    bench.server.chroot.give_to_server(bench.server.keyring_path)


def the_old_header_still_opens(bench: Bench, plain: dict[str, bytes]) -> Iterator[Check]:
    """What the documentation says of rekey: true for the server, too."""
    server = bench.server
    server.stop()
    keyring = server.keyring_path
    name = next(iter(plain))
    header = bench.lab.scratch("header") / "old"
    dumped = bench.tool.run("header", "dump", server.log_path(name), "-o", header)
    yield exit_status("header dump", 0, dumped)
    yield exit_status("keyring add-key", 0, bench.tool.run("keyring", "add-key", keyring))
    yield from rekey(bench, "once more", "--keyring", keyring)
    back = bench.tool.run("header", "restore", server.log_path(name), header, "--keyring", keyring)
    yield exit_status("header restore", 0, back)
    server.start()
    yield from same_as(bench, "old header put back", plain)
