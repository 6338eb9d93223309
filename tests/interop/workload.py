"""What a small shop writes into its binary logs."""

from __future__ import annotations

import contextlib
import random
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from server import MysqlServer
from sysroot import LabError

TABLES = """
CREATE DATABASE shop;
CREATE TABLE shop.customer (
    id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(80) NOT NULL, note TEXT) CHARACTER SET utf8mb4;
CREATE TABLE shop.purchase (
    id INT PRIMARY KEY AUTO_INCREMENT, customer INT NOT NULL, amount DECIMAL(10, 2), at DATETIME(6),
    CONSTRAINT buyer FOREIGN KEY (customer) REFERENCES shop.customer (id));
CREATE TABLE shop.attachment (id INT PRIMARY KEY AUTO_INCREMENT, content LONGBLOB);
"""
CUSTOMER = (
    "INSERT INTO shop.customer (name, note) VALUES ('Ågot Ødegård', REPEAT('regular ', 20)), ('Bo', NULL);"
)
PURCHASE = (
    "BEGIN;"
    "INSERT INTO shop.purchase (customer, amount, at) SELECT id, 10 * id, NOW(6) FROM shop.customer;"
    "UPDATE shop.purchase SET amount = amount + 1 ORDER BY id DESC LIMIT 3;"
    "DELETE FROM shop.purchase ORDER BY id LIMIT 1;"
    "COMMIT;"
)
ATTACHMENT = "INSERT INTO shop.attachment (content) VALUES (CONCAT(RANDOM_BYTES(1024), REPEAT('x', {size})));"
ATTACHMENT_SIZE = 200_000
PAUSE_SECONDS = 0.02


class Sql(Protocol):
    """A server of either family."""

    def sql(self, text: str) -> object: ...


def create_tables(server: Sql) -> None:
    server.sql(TABLES + CUSTOMER)


def trade(server: Sql, rounds: int = 10) -> None:
    """A few transactions that insert, update and delete."""
    server.sql((CUSTOMER + PURCHASE) * rounds)


def trade_compressed(server: MysqlServer) -> None:
    """Transactions in the form of one compressed event each."""
    attachment = ATTACHMENT.format(size=20_000)
    server.sql("SET binlog_transaction_compression = ON;" + (PURCHASE + attachment) * 5)


def import_attachments(server: MysqlServer, megabytes: int) -> None:
    """One transaction of that many megabytes, which no compression makes smaller."""
    kilobytes = ", ".join(["RANDOM_BYTES(1024)"] * 64)
    statement = f"INSERT INTO shop.attachment (content) VALUES (CONCAT({kilobytes}));"
    server.sql("BEGIN;" + statement * (16 * megabytes) + "COMMIT;")


def write_small_logs(server: MysqlServer, count: int) -> None:
    """So many closed logs of one transaction each, no two of them alike."""
    server.sql((CUSTOMER + "FLUSH BINARY LOGS;") * count)


class Writer:
    """Commits one transaction after another in the background.

    Each adds a fifth of a megabyte, so that the log grows under whoever copies it.
    It ends quietly if the server dies: that is one use.
    """

    def __init__(self, server: MysqlServer) -> None:
        self._client = server.chroot.start_client(*server.client())
        self._statement = ATTACHMENT.format(size=ATTACHMENT_SIZE).encode() + b"\n"
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._feed, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _feed(self) -> None:
        pipe = self._client.stdin
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError), pipe:
            while not self._enough.wait(PAUSE_SECONDS):
                pipe.write(self._statement)
                pipe.flush()

    def stop(self) -> None:
        self._enough.set()
        self._thread.join()
        try:
            self._client.wait(60)
        except subprocess.TimeoutExpired:
            self._client.kill()
            self._client.wait()


@contextlib.contextmanager
def writing(server: MysqlServer) -> Iterator[Writer]:
    writer = Writer(server)
    writer.start()
    try:
        yield writer
    finally:
        writer.stop()


@dataclass
class Rotations:
    """How many rotations of the key the server made, and what it said of those that failed."""

    done: int = 0
    failed: list[str] = field(default_factory=list)


def rotate_key(server: MysqlServer, rotations: Rotations) -> None:
    """One rotation, after which no key is left but the newest."""
    try:
        server.sql("ALTER INSTANCE ROTATE BINLOG MASTER KEY")
        rotations.done += 1
    except LabError as error:
        rotations.failed.append(str(error))


@contextlib.contextmanager
def rotating_keys(server: MysqlServer, pause_seconds: float = 0.0) -> Iterator[Rotations]:
    """Rotate the binary log key over and over, with a random pause of up to that long before each."""
    rotations = Rotations()
    enough = threading.Event()

    def rotate() -> None:
        while not enough.wait(random.uniform(0, pause_seconds)):
            rotate_key(server, rotations)

    thread = threading.Thread(target=rotate, daemon=True)
    thread.start()
    try:
        yield rotations
    finally:
        enough.set()
        thread.join()
