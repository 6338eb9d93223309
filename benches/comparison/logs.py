"""Logs to measure with, and the proof that what is measured is right."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
FIXTURE = ROOT / "fixtures/mysql-9.7/mixed-key3-running"
KEYRING = FIXTURE / "component_keyring_file"
SMALL_LOG = FIXTURE / "binlog.000003"
TINY_LOG = ROOT / "fixtures/mysql-9.7/compressed/binlog.000008"
EXAMPLES = ROOT / "target/dist/examples"
HEADER = 512


def size_of(text: str) -> int:
    """Bytes of a figure like 64K, 64M, 1G."""
    units = {"K": 10, "M": 20, "G": 30}
    return int(text[:-1]) << units[text[-1]] if text[-1] in units else int(text)


def openssl(*arguments: str, data: bytes) -> bytes:
    return subprocess.run(["openssl", *arguments], input=data, check=True, capture_output=True).stdout


def file_key() -> tuple[bytes, bytes]:
    """File key and nonce of the fixture, found without binlogsec: its header is on every big log."""
    log = SMALL_LOG.read_bytes()
    fields, at = {}, 5
    while log[at]:
        kind = log[at]
        length = {1: log[at + 1], 2: 32, 3: 16}[kind]
        at += 2 if kind == 1 else 1
        fields[kind] = log[at : at + length]
        at += length
    keys = {e["data_id"]: e["data"] for e in json.loads(KEYRING.read_text())["elements"]}
    password = openssl("enc", "-aes-256-cbc", "-d", "-nopad", "-K", keys[fields[1].decode()],
                       "-iv", fields[3].hex(), data=fields[2])
    digest = hashlib.sha512(password).digest()
    return digest[:32], digest[32:40]


def decrypting_openssl() -> str:
    """The command that turns a body on standard input into its plaintext."""
    key, nonce = file_key()
    return f"openssl enc -aes-256-ctr -d -K {key.hex()} -iv {(nonce + bytes(8)).hex()}"


def make_log(path: Path, size: int) -> None:
    """A log with the transactions of a real one, over and over, all checksums right; it ends with
    the event that passes the size. A small one is the beginning of the real one."""
    if size < 1 << 20:
        path.write_bytes(SMALL_LOG.read_bytes()[:size])
    else:
        subprocess.run([EXAMPLES / "make_log", SMALL_LOG, str(size >> 20), path, KEYRING], check=True)
    settle(path)


def settle(path: Path) -> None:
    """Writes a file through to the disk, so that its writing back disturbs nothing later."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def evict(path: Path) -> None:
    """Drops a file from the page cache, and makes sure that it went."""
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except BlockingIOError:
            return
    sys.exit(f"{path} stays in the page cache")


def make_many(directory: Path, source: Path, count: int) -> None:
    """A thousand copies of one file in each of as many directories as it takes."""
    content = source.read_bytes()
    for number in range(count):
        place = directory / f"{number // 1000:03}"
        if number % 1000 == 0:
            place.mkdir(parents=True)
        (place / f"binlog.{number:06}").write_bytes(content)
    os.sync()


def check_plaintext(binary: Path, log: Path, out: Path) -> None:
    """Figures are worth nothing unless OpenSSL finds the same plaintext."""
    subprocess.run([binary, "decrypt", log, "-o", out, "--keyring", KEYRING, "-q", "--force"], check=True)
    ours = subprocess.run(["sha256sum", out], check=True, capture_output=True).stdout.split()[0]
    line = f"tail -c +{HEADER + 1} {log} | {decrypting_openssl()} | sha256sum"
    theirs = subprocess.run(line, shell=True, check=True, capture_output=True).stdout.split()[0]
    if ours != theirs:
        sys.exit("binlogsec and openssl disagree on the plaintext")
    out.unlink()
