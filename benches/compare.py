#!/usr/bin/env python3
"""Decryption side by side with what moves the same bytes: cp, dd, openssl, Python, a floor program.

It needs the `time` command of GNU (Debian package `time`). Every contender runs once a round, in turn, so that a slow moment of the machine hits them all. The
medians, their spread and the ratio to `cp` are printed as a table and, with --json, written as JSON.

    cargo build --release --examples && cargo build --release --bins
    benches/compare.py --size 1G --runs 7
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXTURE = ROOT / "fixtures/mysql-9.7/mixed-key3-running"
KEYRING = FIXTURE / "component_keyring_file"
KEY, IV = "5a" * 32, "00" * 16
PYTHON_DECRYPTOR = """
import sys
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
cipher = Cipher(algorithms.AES(bytes.fromhex(sys.argv[3])), modes.CTR(bytes(16))).decryptor()
with open(sys.argv[1], "rb") as source, open(sys.argv[2], "wb") as target:
    source.seek(512)
    while piece := source.read(1 << 20):
        target.write(cipher.update(piece))
"""


@dataclass
class Contender:
    """One command that reads INPUT and writes OUTPUT; a shell line where pipes are measured."""

    name: str
    command: list[str] | str


def size_of(text: str) -> int:
    units = {"K": 10, "M": 20, "G": 30}
    return int(text[:-1]) << units[text[-1]] if text[-1] in units else int(text)


def openssl(*arguments: str, data: bytes) -> bytes:
    return subprocess.run(["openssl", *arguments], input=data, check=True, capture_output=True).stdout


def file_key() -> tuple[bytes, bytes, bytes]:
    """Header, file key and nonce of a real closed log, so that the big one opens like it."""
    log = (FIXTURE / "binlog.000003").read_bytes()
    header, fields, at = log[:512], {}, 5
    while header[at]:
        kind = header[at]
        length = {1: header[at + 1], 2: 32, 3: 16}[kind]
        at += 2 if kind == 1 else 1
        fields[kind] = header[at : at + length]
        at += length
    keys = {e["data_id"]: e["data"] for e in json.loads(KEYRING.read_text())["elements"]}
    password = openssl("enc", "-aes-256-cbc", "-d", "-nopad", "-K", keys[fields[1].decode()],
                       "-iv", fields[3].hex(), data=fields[2])
    digest = hashlib.sha512(password).digest()
    return header, digest[:32], digest[32:40]


def make_log(path: Path, size: int) -> None:
    """A log of a real server's bytes, repeated to the size and encrypted by OpenSSL."""
    header, key, nonce = file_key()
    iv = (nonce + bytes(8)).hex()
    one = openssl("enc", "-aes-256-ctr", "-d", "-K", key.hex(), "-iv", iv,
                  data=(FIXTURE / "binlog.000003").read_bytes()[512:])
    with path.open("wb") as target:
        target.write(header)
        target.flush()
        child = subprocess.Popen(["openssl", "enc", "-aes-256-ctr", "-K", key.hex(), "-iv", iv],
                                 stdin=subprocess.PIPE, stdout=target)
        assert child.stdin
        left = size - len(header)
        while left > 0:
            left -= child.stdin.write(one[:left])
        child.stdin.close()
        if child.wait() != 0:
            sys.exit("openssl failed")


def contenders(binary: Path, log: Path, out: Path, threads: int) -> list[Contender]:
    decrypt = [str(binary), "decrypt", str(log), "--keyring", str(KEYRING), "-q"]
    floor = ROOT / "target/release/examples/floor"
    enc = f"openssl enc -aes-256-ctr -d -K {KEY} -iv {IV}"
    found = [
        Contender("cp", ["cp", str(log), str(out)]),
        Contender("dd bs=1M", ["dd", f"if={log}", f"of={out}", "bs=1M", "status=none"]),
        Contender("openssl enc", f"{enc} -in {log} -out {out}"),
    ]
    for jobs in sorted({1, 2, threads} & set(range(1, threads + 1))):
        found.append(Contender(f"binlogsec -j{jobs}", [*decrypt, "-o", str(out), "-j", str(jobs)]))
        if floor.exists():
            found.append(Contender(f"floor -j{jobs}", [str(floor), str(log), str(out), str(jobs), "mapped"]))
            found.append(Contender(f"floor -j{jobs}, read", [str(floor), str(log), str(out), str(jobs), "positioned"]))
    if subprocess.run([sys.executable, "-c", "import cryptography"], capture_output=True).returncode == 0:
        found.append(Contender("Python, cryptography",
                               [sys.executable, "-c", PYTHON_DECRYPTOR, str(log), str(out), KEY]))
    pipe = f"{binary} decrypt - -o - --keyring {KEYRING} -q"
    found += [
        Contender("pipe: cat", f"cat {log} | cat | cat > /dev/null"),
        Contender("pipe: openssl enc", f"cat {log} | {enc} | cat > /dev/null"),
        Contender("pipe: binlogsec", f"cat {log} | {pipe} | cat > /dev/null"),
        Contender("to null: openssl enc", f"{enc} -in {log} > /dev/null"),
        Contender("to null: binlogsec", [*decrypt, "-o", "-"]),
    ]
    return found


def run(contender: Contender, log: Path, out: Path, cold: bool) -> tuple[float, int]:
    """Seconds, and the peak resident set of the process in KiB, mapped pages included."""
    out.unlink(missing_ok=True)
    os.sync()
    # Pages that a virtual machine has given back to its host come slowly the first time: whoever
    # ran after a pause would pay for that. An untimed copy pays for everybody.
    shutil.copyfile(log, out)
    out.unlink()
    if cold:
        with log.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    # GNU time starts the contender from a small process: a fork of this one would count as its own.
    figure = log.with_suffix(".rss")
    line = contender.command
    command = ["sh", "-c", line] if isinstance(line, str) else line
    started = time.perf_counter()
    status = subprocess.run(["/usr/bin/time", "-o", str(figure), "-f", "%M", *command],
                            stdout=subprocess.DEVNULL).returncode
    seconds = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{contender.name} failed: {contender.command}")
    return seconds, int(figure.read_text().split()[-1])


def check(binary: Path, log: Path, out: Path) -> None:
    """The figures are worth nothing unless the output is the plaintext."""
    header, key, nonce = file_key()
    command = [str(binary), "decrypt", str(log), "-o", str(out), "--keyring", str(KEYRING), "-q", "--force"]
    subprocess.run(command, check=True)
    ours = subprocess.run(["sha256sum", str(out)], check=True, capture_output=True).stdout.split()[0]
    line = f"tail -c +{len(header) + 1} {log} | openssl enc -aes-256-ctr -d -K {key.hex()} -iv {(nonce + bytes(8)).hex()} | sha256sum"
    theirs = subprocess.run(line, shell=True, check=True, capture_output=True).stdout.split()[0]
    if ours != theirs:
        sys.exit("binlogsec and openssl disagree on the plaintext")


def table(results: dict[str, list[float]], memory: dict[str, int], size: int) -> list[dict[str, object]]:
    base = statistics.median(results["cp"])
    rows = []
    for name, seconds in results.items():
        median = statistics.median(seconds)
        rows.append({
            "name": name, "median_s": round(median, 4), "min_s": round(min(seconds), 4),
            "max_s": round(max(seconds), 4), "gib_per_s": round(size / median / (1 << 30), 2),
            "ratio_to_cp": round(median / base, 3), "peak_rss_mib": round(memory[name] / 1024, 1),
        })
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="1G", help="of the log, e.g. 64K, 64M, 1G (default 1G)")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--dir", type=Path, default=ROOT / "target", help="where to work: ext4, tmpfs …")
    parser.add_argument("--cold", action="store_true", help="drop the input from the page cache before each run")
    parser.add_argument("--only", help="contenders whose name contains this, beside cp")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/binlogsec")
    options = parser.parse_args()
    threads = len(os.sched_getaffinity(0))
    work = Path(tempfile.mkdtemp(prefix="compare-", dir=options.dir))
    try:
        log, out = work / "binlog.000001", work / "out"
        make_log(log, size_of(options.size))
        check(options.binary, log, out)
        field = contenders(options.binary, log, out, threads)
        if options.only:
            field = [c for c in field if c.name == "cp" or options.only in c.name]
        results: dict[str, list[float]] = {c.name: [] for c in field}
        memory = dict.fromkeys(results, 0)
        for _ in range(options.runs):
            for contender in field:
                seconds, peak = run(contender, log, out, options.cold)
                results[contender.name].append(seconds)
                memory[contender.name] = max(memory[contender.name], peak)
        rows = table(results, memory, log.stat().st_size)
    finally:
        shutil.rmtree(work)
    print(f"{options.size}, {'cold' if options.cold else 'warm'}, {options.runs} runs, {threads} threads, {platform.machine()}")
    print(f"{'':22} {'median':>9} {'min':>9} {'max':>9} {'GiB/s':>7} {'to cp':>7} {'MiB':>7}")
    for row in rows:
        print(f"{row['name']:22} {row['median_s']:>8.4f}s {row['min_s']:>8.4f}s {row['max_s']:>8.4f}s"
              f" {row['gib_per_s']:>7.2f} {row['ratio_to_cp']:>7.2f} {row['peak_rss_mib']:>7.1f}")
    if options.json:
        options.json.write_text(json.dumps({"size": options.size, "cold": options.cold, "runs": options.runs,
                                            "threads": threads, "results": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
