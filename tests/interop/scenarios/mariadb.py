"""MariaDB's encrypted logs: `inspect`, `decrypt`, `verify` and `encrypt` against a real server.

The yardstick is what the server sends in the clear, which must be the decrypted
file byte for byte, and what it lists and replicates of logs that were encrypted
by the command and put in the place of its own.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from checks import Check, equal, exit_status, same_bytes
from lab import Lab
from mariadb_lab import MariadbServer
from tool import Binlogsec

PASSWORD = "made-up and secret to nobody"
WORK = """
CREATE DATABASE IF NOT EXISTS shop;
CREATE TABLE IF NOT EXISTS shop.item (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80), content LONGBLOB);
INSERT INTO shop.item (name, content) VALUES ('Bo', NULL), (REPEAT('x', 33), RANDOM_BYTES(700));
UPDATE shop.item SET name = CONCAT(name, '!');
INSERT INTO shop.item (content) VALUES (REPEAT('long ', 200000));
DELETE FROM shop.item ORDER BY id LIMIT 1;
FLUSH BINARY LOGS;
"""
CASES = {
    "cbc-crc32": {"file-key-management-encryption-algorithm": "AES_CBC", "binlog-checksum": "CRC32"},
    "cbc-none": {"file-key-management-encryption-algorithm": "AES_CBC", "binlog-checksum": "NONE"},
    "ctr-crc32": {"file-key-management-encryption-algorithm": "AES_CTR", "binlog-checksum": "CRC32"},
    "ctr-none": {"file-key-management-encryption-algorithm": "AES_CTR", "binlog-checksum": "NONE"},
    "compressed": {"binlog-checksum": "CRC32", "log-bin-compress": "ON"},
}


def run(lab: Lab, binlogsec: Path) -> Iterator[Check]:
    tool = Binlogsec(binlogsec)
    for number, (name, options) in enumerate(CASES.items()):
        yield from one_server(lab, tool, number, name, options)
    yield from encrypted_keys_and_a_replica(lab, tool)
    yield from encrypted_by_the_command(lab, tool)


def key_file(lab: Lab, name: str, length: int) -> Path:
    path = lab.folder / f"{name}.keys"
    path.write_text(f"# made for this run\n1;{secrets.token_hex(length)}\n2;{secrets.token_hex(16)}\n")
    return path


def encryption(keys: Path) -> dict[str, str]:
    return {
        "plugin-load-add": "file_key_management",
        "file-key-management-filename": str(keys),
        "encrypt-binlog": "ON",
        "binlog-format": "ROW",
    }


def one_server(lab: Lab, tool: Binlogsec, number: int, name: str, options: dict[str, str]) -> Iterator[Check]:
    keys = key_file(lab, name, (16, 24, 32)[number % 3])
    with MariadbServer(lab.folder / name, 200 + number, {**encryption(keys), **options}) as server:
        server.sql(WORK)
        yield from logs_decrypt(lab, tool, name, server, ["--mariadb-keys", str(keys)])
        found = tool.run("inspect", server.datadir, "--keyring", keys)
        yield exit_status(f"{name}: inspect of the running server's directory", 0, found)


def logs_decrypt(
    lab: Lab, tool: Binlogsec, name: str, server: MariadbServer, keys: list[str]
) -> Iterator[Check]:
    into = lab.scratch(f"{name}-plain")
    for log in server.binlogs()[:-1]:
        target = into / log
        done = tool.run("decrypt", server.datadir / log, "-o", target, "--force", *keys)
        yield exit_status(f"{name}: decrypt of {log}", 0, done)
        served = server.served(log, into)
        yield same_bytes(f"{name}: {log} is what the server serves", served, target.read_bytes())
        yield exit_status(f"{name}: verify of {log}", 0, tool.run("verify", server.datadir / log, *keys))
        read = subprocess.run(["mariadb-binlog", "--no-defaults", target], capture_output=True)
        yield exit_status(f"{name}: mariadb-binlog reads the decrypted {log}", 0, read)


def encrypted_keys_and_a_replica(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    plain = key_file(lab, "sealed", 32)
    password = lab.folder / "password"
    password.write_text(PASSWORD + "\n")
    sealed = lab.folder / "sealed.enc"
    command = ["openssl", "enc", "-aes-256-cbc", "-md", "sha1", "-in", plain, "-out", sealed]
    subprocess.run([*command, "-pass", f"file:{password}"], check=True, capture_output=True)
    options = {**encryption(sealed), "file-key-management-filekey": f"FILE:{password}"}
    with (
        MariadbServer(lab.folder / "source", 301, {**options, "binlog-checksum": "CRC32"}) as source,
        MariadbServer(lab.folder / "replica", 302, {**options, "binlog-checksum": "NONE"}) as replica,
    ):
        replica.replicate_from(source)
        source.sql(WORK)
        replica.catch_up(source)
        keys = ["--keyring", str(sealed), "--mariadb-keys-password-file", str(password)]
        yield from logs_decrypt(lab, tool, "encrypted key file", source, keys)
        into = lab.scratch("relay")
        for log in sorted(replica.datadir.glob("relay.[0-9]*")):
            done = tool.run("decrypt", log, "-o", into / log.name, *keys)
            yield exit_status(f"decrypt of the encrypted {log.name}", 0, done)
            yield exit_status(f"verify of {log.name}", 0, tool.run("verify", log, *keys))
            read = subprocess.run(["mariadb-binlog", "--no-defaults", into / log.name], capture_output=True)
            yield exit_status(f"mariadb-binlog reads the decrypted {log.name}", 0, read)
            listed = [position for position, _ in replica.events(log.name, "RELAYLOG")]
            found = positions(into / log.name)
            yield equal(f"{log.name} has every event where SHOW RELAYLOG EVENTS has it", listed, found)
        refused = tool.run("keyring", sealed)
        yield exit_status("an encrypted key file without its password is refused", 3, refused)


def positions(log: Path) -> list[int]:
    """Where the events of a plaintext log start."""
    content = log.read_bytes()
    at, found = 4, []
    while at + 19 <= len(content):
        found.append(at)
        at += int.from_bytes(content[at + 9 : at + 13], "little")
    return found


def encrypted_by_the_command(lab: Lab, tool: Binlogsec) -> Iterator[Check]:
    """Plain logs of a server, encrypted by the command and given back to it."""
    keys = key_file(lab, "given", 32)
    options = {**encryption(keys), "encrypt-binlog": "OFF", "binlog-checksum": "CRC32"}
    for mode in ("cbc", "ctr"):
        options["file-key-management-encryption-algorithm"] = f"AES_{mode.upper()}"
        with (
            MariadbServer(lab.folder / f"given-{mode}", 401, options) as server,
            MariadbServer(lab.folder / f"reader-{mode}", 402, {"binlog-checksum": "CRC32"}) as reader,
        ):
            server.sql(WORK)
            log = server.binlogs()[0]
            server.stop()
            given = server.datadir / log
            ours = lab.scratch(f"given-{mode}-out") / log
            arguments = ["--mariadb-keys", keys, "--mariadb-cipher", mode]
            done = tool.run("encrypt", given, "-o", ours, *arguments)
            yield exit_status(f"{mode}: encrypt of a plain log", 0, done)
            shutil.copyfile(ours, given)
            server.start(encrypt_binlog="ON")
            plain = ours.with_suffix(".plain")
            back = tool.run("decrypt", ours, "-o", plain, "--mariadb-keys", keys)
            yield exit_status(f"{mode}: decrypt of it, without being told the cipher", 0, back)
            listed = [position for position, _ in server.events(log)]
            yield equal(f"{mode}: SHOW BINLOG EVENTS lists every event", positions(plain), listed)
            served = server.served(log, ours.parent)
            yield same_bytes(f"{mode}: the server serves it", plain.read_bytes(), served)
            reader.replicate_from(server)
            reader.catch_up(server)
            rows = "SELECT COUNT(*), SUM(LENGTH(content)), MAX(name) FROM shop.item"
            yield equal(f"{mode}: a replica applies it", server.sql(rows), reader.sql(rows))
