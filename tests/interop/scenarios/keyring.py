"""Keyrings that binlogsec writes, loaded and changed by the server.

The server's migration tool cannot be the judge: it moves keys between different
components only, and the free server has one.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import workload
from bench import Bench
from checks import Check, each, equal, exit_status, same_bytes, true
from lab import Lab
from tool import Binlogsec


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    with lab.server("keyring", binlog_encryption="OFF") as server:
        bench = Bench(lab, Binlogsec(binlogsec), server)
        yield from each(
            partial(a_new_keyring_is_loaded, bench),
            partial(the_next_generation_is_taken_into_use, bench),
            partial(through_the_plugin_format_and_back, bench),
        )


def key_ids(bench: Bench) -> list[str]:
    """Of each log of the server, as its header says."""
    logs = [bench.server.log_path(name).read_bytes() for name in bench.server.indexed()]
    encrypted = [log for log in logs if log.startswith(b"\xfdbin")]
    return [log[7 : 7 + log[6]].decode() for log in encrypted]


def put(bench: Bench, keyring: Path) -> None:
    shutil.copyfile(keyring, bench.server.keyring_path)
    bench.server.chroot.give_to_server(bench.server.keyring_path)


def entries(keyring: Path) -> list[tuple[str, ...]]:
    elements = json.loads(keyring.read_text(encoding="utf-8"))["elements"]
    return sorted(tuple(str(e[name]) for name in ("user", "data_id", "data_type", "data")) for e in elements)


def a_new_keyring_is_loaded(bench: Bench) -> Iterator[Check]:
    """The server encrypts under the key that binlogsec made, and makes none itself."""
    server = bench.server
    [[uuid]] = server.sql("SELECT @@server_uuid")
    server.stop()
    made = bench.lab.scratch("new") / "keyring"
    yield exit_status("keyring new", 0, bench.tool.run("keyring", "new", made, "--server-uuid", uuid))
    put(bench, made)
    server.start(binlog_encryption="ON")
    workload.create_tables(server)
    workload.trade(server)
    yield equal("the server has the key of binlogsec in use", {f"MySQLReplicationKey_{uuid}_1"}, set(key_ids(bench)))
    yield equal("and its keyring as it was made", entries(made), entries(server.keyring_path))


def the_next_generation_is_taken_into_use(bench: Bench) -> Iterator[Check]:
    server = bench.server
    [[uuid]] = server.sql("SELECT @@server_uuid")
    server.stop()
    before = server.keyring_path.stat()
    done = bench.tool.run("keyring", "add-key", server.keyring_path)
    yield exit_status("keyring add-key", 0, done)
    after = server.keyring_path.stat()
    yield equal("it belongs to the server still", (before.st_uid, before.st_gid), (after.st_uid, after.st_gid))
    server.start()
    workload.trade(server)
    yield equal("the log begun since is under it", f"MySQLReplicationKey_{uuid}_2", key_ids(bench)[-1])
    server.sql("ALTER INSTANCE ROTATE BINLOG MASTER KEY")
    yield equal("and the server counts on from it", {f"MySQLReplicationKey_{uuid}_3"}, set(key_ids(bench)))


def through_the_plugin_format_and_back(bench: Bench) -> Iterator[Check]:
    """The way of a server of MySQL 8.0 that moves on to 8.4: its plugin keyring becomes JSON."""
    server = bench.server
    into = bench.lab.scratch("served")
    plain = {name: server.served(name, into) for name in server.indexed()[:-1]}
    server.stop()
    folder = bench.lab.scratch("convert")
    whole = server.keyring_path.read_bytes()
    away = bench.tool.run("keyring", "convert", server.keyring_path, folder / "plugin", "--as", "plugin")
    yield exit_status("keyring convert --as plugin", 0, away)
    back = bench.tool.run("keyring", "convert", folder / "plugin", folder / "json", "--as", "component")
    yield exit_status("keyring convert --as component", 0, back)
    yield same_bytes("which is the server's own file to the byte", whole, (folder / "json").read_bytes())
    put(bench, folder / "json")
    server.start()
    for name, content in plain.items():
        yield same_bytes(f"the server serves {name} as before", content, server.served(name, into))
    server.sql("ALTER INSTANCE ROTATE BINLOG MASTER KEY; FLUSH LOGS")
    yield true("and rotates", len(key_ids(bench)) > 1, "logs under one key", str(key_ids(bench)))
