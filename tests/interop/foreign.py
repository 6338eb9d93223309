"""Logs under the key of another server, as those of a clone's source are.

The server has that key in its keyring, reads the logs, and never deletes the key, as it is not its
own. So the headers under it can be put back at any time: `rekey` then has all its work before it.
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

from bench import Bench
from checks import Check, exit_status

HEADER_SIZE = 512
SERVER = "0f1e2d3c-4b5a-11ef-8a69-7887a6b5c4d3"
IN_USE = f"MySQLReplicationKey_{SERVER}"
KEY = f"{IN_USE}_1"


def headers(bench: Bench, logs: list[str]) -> Generator[Check, None, dict[str, bytes]]:
    """Put all logs under the key; the headers of these, for `put_back`."""
    server = bench.server
    server.stop()
    added = bench.tool.run("keyring", "add-key", server.keyring_path, "--server-uuid", SERVER)
    yield exit_status("keyring add-key for another server", 0, added)
    done = bench.tool.run(*bench.of_the_index("rekey"), "--key-id", KEY)
    yield exit_status("rekey of a stopped server's logs to that key", 0, done)
    drop_entry(server.keyring_path, IN_USE)
    server.start()
    return {log: header(server.log_path(log)) for log in logs}


def drop_entry(keyring: Path, name: str) -> None:
    """Without the number that says that the other server's key is in use, only the server's own is."""
    content = json.loads(keyring.read_text(encoding="utf-8"))
    content["elements"] = [entry for entry in content["elements"] if entry["data_id"] != name]
    keyring.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")


def header(log: Path) -> bytes:
    with log.open("rb") as file:
        return file.read(HEADER_SIZE)


def put_back(bench: Bench, before: dict[str, bytes]) -> None:
    """The file password and the body never change, so an earlier header fits."""
    for name, content in before.items():
        with bench.server.log_path(name).open("r+b") as file:
            file.write(content)
