"""Logs from before `binlog_encryption=ON`, encrypted by binlogsec, back in the server's hands.

The yardstick is what the server served of each log while it was plaintext.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import workload
from bench import Bench, read
from checks import Check, each, equal, exit_status, same_bytes, true
from lab import Lab
from tool import Binlogsec

HEADER_SIZE = 512
TABLES = "CHECKSUM TABLE shop.customer, shop.purchase, shop.attachment"


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    with lab.server("encrypt", binlog_encryption="OFF") as server:
        bench = Bench(lab, Binlogsec(binlogsec), server)
        workload.create_tables(server)
        workload.trade(server)
        server.sql("FLUSH LOGS")
        workload.trade_compressed(server)
        server.sql("FLUSH LOGS")
        workload.import_attachments(server, 4)
        yield from each(partial(a_log_in_use_is_refused, bench))
        server.sql("SET GLOBAL binlog_encryption = ON")
        workload.trade(server)
        server.sql("FLUSH LOGS")
        plain = served(bench)
        yield from each(
            partial(earlier_logs_are_encrypted_under_a_running_server, bench, plain),
            partial(they_survive_restart_and_rotation, bench, plain),
            partial(a_replica_reads_them_from_the_first_on, bench),
            partial(single_logs_are_put_in_place, bench, plain),
            partial(a_crashed_server_recovers_a_log_encrypted_meanwhile, bench),
        )


def served(bench: Bench) -> dict[str, bytes]:
    """Every closed log as the server sends it."""
    into = bench.lab.scratch("served")
    return {log.name: bench.server.served(log.name, into) for log in bench.logs()[:-1]}


def same_as(bench: Bench, when: str, plain: dict[str, bytes]) -> Iterator[Check]:
    into = bench.lab.scratch("again")
    for name, content in plain.items():
        got = bench.server.served(name, into)
        yield same_bytes(f"{when}: {name} is served as in plaintext", content, got)


def a_log_in_use_is_refused(bench: Bench) -> Iterator[Check]:
    """The server has it open to write; what it writes on would be lost."""
    keyring = bench.lab.scratch("other") / "keyring"
    uuid = bench.server.sql("SELECT @@server_uuid")[0][0]
    made = bench.tool.run("keyring", "new", keyring, "--server-uuid", uuid)
    yield exit_status("keyring new for the server's UUID", 0, made)
    log = bench.logs()[-1]
    before = log.stat()
    for options in ([], ["--allow-in-use"]):
        done = bench.tool.run("encrypt", "--in-place", log, "--keyring", keyring, *options)
        what = " ".join(["the open log in place", *options])
        yield exit_status(what, 2, done)
        yield true(f"{what}: says that it is refused", b" is refused: " in done.stderr, "refused", done.stderr.decode())
    yield equal("and the file is the same", (before.st_ino, before.st_size), (log.stat().st_ino, log.stat().st_size))


def earlier_logs_are_encrypted_under_a_running_server(bench: Bench, plain: dict[str, bytes]) -> Iterator[Check]:
    before = {entry.name: entry for entry in bench.server.binlogs()}
    owners = {log.name: (log.stat().st_uid, log.stat().st_gid, log.stat().st_mode) for log in bench.logs()}
    earlier = [name for name, entry in before.items() if not entry.encrypted]
    yield equal("the server has plaintext logs from before", 3, len(earlier))
    arguments = ["encrypt", "--in-place", bench.server.index_path, "--keyring", bench.server.keyring_path]
    rehearsal = bench.tool.run(*arguments, "--dry-run", "--format", "json")
    yield exit_status("the dry run", 0, rehearsal)
    told = [file for file in json.loads(rehearsal.stdout)["files"] if file["status"] == "would-encrypt"]
    yield equal("which names the plaintext logs", earlier, [Path(file["path"]).name for file in told])
    yield exit_status("encrypt --in-place of the index of the running server", 0, bench.tool.run(*arguments))
    after = {entry.name: entry for entry in bench.server.binlogs()}
    yield equal("the server lists all as encrypted", [True] * len(after), [e.encrypted for e in after.values()])
    grown = {name: after[name].size - before[name].size for name in earlier}
    yield equal("each is 512 bytes longer", dict.fromkeys(earlier, HEADER_SIZE), grown)
    now = {log.name: (log.stat().st_uid, log.stat().st_gid, log.stat().st_mode) for log in bench.logs()}
    yield equal("owner and mode are as before", owners, now)
    yield from same_as(bench, "encrypted in place", plain)
    events = {name: [event.position for event in bench.server.events(name)] for name in earlier}
    yield true("and events are listed", all(events.values()), "some in each", str(events))


def they_survive_restart_and_rotation(bench: Bench, plain: dict[str, bytes]) -> Iterator[Check]:
    [[executed]] = bench.server.sql("SELECT @@GLOBAL.gtid_executed")
    bench.server.restart(binlog_encryption="ON")
    [[again]] = bench.server.sql("SELECT @@GLOBAL.gtid_executed")
    yield equal("after a restart the executed GTIDs are the same", executed, again)
    yield from same_as(bench, "after a restart", plain)
    bench.server.sql("ALTER INSTANCE ROTATE BINLOG MASTER KEY")
    yield from same_as(bench, "after ROTATE BINLOG MASTER KEY", plain)
    for name, content in plain.items():
        done = bench.decrypt(bench.server.log_path(name), bench.lab.scratch("rotated"))
        yield done.succeeded(f"decrypt of {name} after the rotation")
        yield same_bytes(f"{name} decrypts to its plaintext", content, read(done.file))


def a_replica_reads_them_from_the_first_on(bench: Bench) -> Iterator[Check]:
    with bench.lab.replica_of(bench.server, "reader", binlog_encryption="ON") as replica:
        bench.lab.catch_up(bench.server, replica)
        yield equal("a fresh replica has the same rows", bench.server.sql(TABLES), replica.sql(TABLES))


def single_logs_are_put_in_place(bench: Bench, plain: dict[str, bytes]) -> Iterator[Check]:
    """The way by another directory, and by pipes, of a log that the server itself encrypted."""
    folder = bench.lab.scratch("single")
    bench.server.stop()
    keyring = ["--keyring", bench.server.keyring_path]
    for number, (name, content) in enumerate(plain.items()):
        (folder / "plain").write_bytes(content)
        done = bench.tool.run("encrypt", folder / "plain", "-o", folder / name, *keyring)
        yield exit_status(f"encrypt of the plaintext of {name}", 0, done)
        if number % 2 == 0:
            with bench.tool.start("encrypt", folder / "plain", "-o", "-", *keyring) as producer:
                (folder / name).write_bytes(producer.stdout.read())
        bench.server.install(folder / name, name)
    bench.server.start()
    yield from same_as(bench, "encrypted anew", plain)
    bench.server.sql("ALTER INSTANCE ROTATE BINLOG MASTER KEY")
    yield from same_as(bench, "encrypted anew, after a rotation", plain)


def a_crashed_server_recovers_a_log_encrypted_meanwhile(bench: Bench) -> Iterator[Check]:
    """The flag of a log in use stays in the plaintext, and the server clears it in recovery."""
    server = bench.server
    server.sql("SET GLOBAL binlog_encryption = OFF")
    workload.trade(server)
    log = bench.logs()[-1]
    whole = server.served(log.name, bench.lab.scratch("before"))
    server.kill9()
    refused = bench.tool.run("encrypt", "--in-place", log, "--keyring", server.keyring_path)
    yield exit_status("the log of a killed server is refused", 2, refused)
    done = bench.tool.run("encrypt", "--in-place", log, "--keyring", server.keyring_path, "--allow-in-use")
    yield exit_status("and encrypted with --allow-in-use", 0, done)
    server.start()
    yield same_bytes(
        "the server recovers and serves it", whole, server.served(log.name, bench.lab.scratch("after"))[: len(whole)]
    )
