"""A MySQL server's keyring and logs, for the scenarios over key stores."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import workload
from checks import Check, exit_status, same_bytes
from lab import Lab
from sysroot import LabError, install
from tool import Binlogsec


PLUGIN = Path("/usr/lib/mysql/plugin/hashicorp_key_management.so")
MARIADB_WORK = """
CREATE DATABASE IF NOT EXISTS shop;
CREATE TABLE IF NOT EXISTS shop.item (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80));
INSERT INTO shop.item (name) VALUES ('Bo'), (REPEAT('x', 33));
FLUSH BINARY LOGS;
"""


@dataclass(frozen=True)
class Shop:
    """A MySQL server's keyring and logs, each as the server serves it."""

    lab: Lab
    tool: Binlogsec
    keyring: Path
    logs: dict[Path, bytes]


def a_server(lab: Lab, tool: Binlogsec) -> Shop:
    with lab.server("keystores", binlog_encryption="ON") as server:
        workload.create_tables(server)
        workload.trade(server)
        server.sql("FLUSH LOGS")
        workload.trade(server)
        server.sql("ALTER INSTANCE ROTATE BINLOG MASTER KEY")
        into = lab.scratch("keystores-served")
        kept = lab.scratch("keystores-logs")
        logs = {}
        for name in server.indexed()[:-1]:
            copy = kept / name
            shutil.copyfile(server.log_path(name), copy)
            logs[copy] = server.served(name, into)
        keyring = kept / "component_keyring_file"
        shutil.copyfile(server.keyring_path, keyring)
        keyring.chmod(0o600)
    return Shop(lab, tool, keyring, logs)


def entries(keyring: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(keyring.read_text())["elements"]
    return found


def decrypts(shop: Shop, what: str, keyring: Path) -> Iterator[Check]:
    into = shop.lab.scratch("keystores-plain")
    for log, plain in shop.logs.items():
        target = into / log.name
        done = shop.tool.run("decrypt", log, "-o", target, "--force", "--keyring", keyring, "--allow-http")
        yield exit_status(f"{what}: decrypt of {log.name}", 0, done)
        got = target.read_bytes() if target.exists() else b""
        yield same_bytes(f"{what}: {log.name} is what the server serves", plain, got)


def mariadb_with_vault(url: str, token: str) -> dict[str, str]:
    """Options of a server that takes its keys from a Vault, and notices a new version at once."""
    if not PLUGIN.exists():
        install("mariadb-plugin-hashicorp-key-management")
    if not PLUGIN.exists():
        raise LabError("no mariadb-plugin-hashicorp-key-management")
    return {
        "plugin-load-add": "hashicorp_key_management",
        "hashicorp-key-management-vault-url": url,
        "hashicorp-key-management-token": token,
        "hashicorp-key-management-cache-version-timeout": "1",
        "encrypt-binlog": "ON",
    }


def version_of(path: Path) -> int:
    """Of the key, in the event that starts encryption in a log of MariaDB."""
    log = path.read_bytes()
    event = 4 + int.from_bytes(log[13:17], "little")
    return int.from_bytes(log[event + 20 : event + 24], "little")
