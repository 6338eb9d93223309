"""`decrypt` on a replica's encrypted relay logs.

No client can fetch a relay log, so the yardstick is what the replica itself
lists of it with SHOW RELAYLOG EVENTS.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import workload
from bench import Bench, same_events
from checks import Check, equal, exit_status
from lab import Lab
from server import MysqlServer
from tool import Binlogsec

ENCRYPTED = {"binlog_encryption": "ON"}


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    with (
        lab.server("source", **ENCRYPTED) as source,
        lab.replica_of(source, "replica", relay_log_purge="OFF", **ENCRYPTED) as replica,
    ):
        workload.create_tables(source)
        workload.trade(source)
        workload.trade_compressed(source)
        lab.catch_up(source, replica)
        yield from relay_logs_decrypt(Bench(lab, Binlogsec(binlogsec), replica), replica)
        yield equal("source and replica have the same rows", total(source), total(replica))


def relay_logs_decrypt(bench: Bench, replica: MysqlServer) -> Iterator[Check]:
    into = bench.lab.scratch("relay")
    logs = replica.relay_logs()
    yield equal("the replica has relay logs", True, len(logs) > 0)
    for log in logs:
        refused = bench.lab.mysqlbinlog([log])
        yield exit_status(f"mysqlbinlog refuses the encrypted {log.name}", 1, refused)
        decrypted = bench.decrypt(log, into)
        yield decrypted.succeeded(f"decrypt of {log.name}")
        done = bench.lab.mysqlbinlog([decrypted.file])
        yield exit_status(f"mysqlbinlog reads the decrypted {log.name}", 0, done)
        listed = replica.events(log.name, "RELAYLOG")
        yield from same_events(f"mysqlbinlog on the decrypted {log.name}", listed, done.stdout)


def total(server: MysqlServer) -> list[list[str]]:
    return server.sql("SELECT COUNT(*), SUM(amount) FROM shop.purchase")
