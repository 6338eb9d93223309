"""What stores and networks do at times, and what binlogsec makes of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import proxy
from proxy import Fault, Proxy, Request
from stores import S3
from tool import KEYRING, MIXED, ROOT, Binlogsec, Check, each, equal, said

EXPIRED = (
    b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>ExpiredToken</Code>'
    b"<Message>The provided token has expired.</Message></Error>"
)
LOG = "faults/binlog.000004"
KEYS = ("--keyring", KEYRING)


def sections(path: Path, store: S3, folder: Path) -> Iterator[Check]:
    home = folder / "faults"
    home.mkdir()
    store.put(LOG, (MIXED / "binlog.000004").read_bytes())
    content = (MIXED / "binlog.000004").read_bytes() + os.urandom(12 << 20)
    store.put("faults/large", content)
    names = (passing, slowness, replaced, vanished, expired, failed_upload, killed_upload, requests)
    yield from each(*(partial(section, path, store, home) for section in names))


def tool_behind(path: Path, store: S3, port: int) -> Binlogsec:
    return Binlogsec(path, store.variables(port))


def is_read(request: Request) -> bool:
    return request.method == "GET" and request.range is not None


def is_part(request: Request) -> bool:
    return request.method == "PUT" and "partNumber=" in request.path


def passing(path: Path, store: S3, home: Path) -> Iterator[Check]:
    """What goes away by itself."""
    for name, act, times, at_least in (
        ("429 with Retry-After", proxy.status(429, 1), 2, 2.0),
        ("503 with Retry-After", proxy.status(503, 1), 1, 1.0),
        ("503", proxy.status(503), 3, 0.0),
        ("connection resets", proxy.reset, 3, 0.0),
        ("a short body", proxy.short_body, 1, 0.0),
    ):
        with proxy.before(store.port) as between:
            between.faults.append(Fault(is_read, act, times))
            tool = tool_behind(path, store, between.port)
            began = time.monotonic()
            done = tool.run("inspect", store.url(LOG), *KEYS)
            took = time.monotonic() - began
            yield said(f"{name}: the log is read all the same", done, 0)
            yield Check(f"{name}: the key is proven", b"present" in done.stdout)
            yield equal(f"{name}: it happened", times, between.faults[0].seen)
            yield Check(f"{name}: the store is given its time", took >= at_least, f"{took:.2f} s")


def slowness(path: Path, store: S3, home: Path) -> Iterator[Check]:
    with proxy.before(store.port) as between:
        between.faults.append(Fault(is_read, proxy.slow(0.2)))
        tool = tool_behind(path, store, between.port).with_variables(AWS_TIMEOUT="2s")
        done = tool.run("inspect", store.url(LOG), *KEYS)
        yield said("an answer that drips is asked for again", done, 0)
        yield Check("with more than one request", between.count("GET") > 1, str(between.count("GET")))


def replaced(path: Path, store: S3, home: Path) -> Iterator[Check]:
    other = store.get("faults/large")[::-1]
    store.put("faults/changing", store.get("faults/large"))
    with proxy.before(store.port) as between:
        later = lambda request: is_read(request) and not (request.range or "").startswith("bytes=0-")
        act = proxy.first(lambda: store.put("faults/changing", other))
        between.faults.append(Fault(later, act))
        tool = tool_behind(path, store, between.port)
        output = home / "mixture"
        done = tool.run("decrypt", store.url("faults/changing"), "-o", output, *KEYS)
        yield said("an object replaced between two reads is an error", done, 2, "was replaced")
        yield Check("and no mixture", not output.exists())


def vanished(path: Path, store: S3, home: Path) -> Iterator[Check]:
    log = (MIXED / "binlog.000003").read_bytes()
    for number in range(20):
        store.put(f"vanishing/binlog.{number:06}", log)
    gone = "vanishing/binlog.000013"
    with proxy.before(store.port) as between:
        wanted = lambda request: is_read(request) and request.path.endswith(gone)
        between.faults.append(Fault(wanted, proxy.first(lambda: store.delete(gone))))
        report = tool_behind(path, store, between.port).report("check", store.url("vanishing/"), *KEYS)
        yield equal("an object deleted while others are read is counted", 1, report["summary"]["vanished"])
        yield equal("and the others are checked", 19, report["summary"]["logs"])


def expired(path: Path, store: S3, home: Path) -> Iterator[Check]:
    with proxy.before(store.port) as between:
        act = proxy.status(403, body=EXPIRED)
        between.faults.append(Fault(lambda _: True, act, times=1000))
        tool = tool_behind(path, store, between.port)
        done = tool.run("inspect", store.url(LOG), *KEYS)
        yield said("expired credentials are an error that says so", done, 2, "ExpiredToken")
        yield Check("that is not tried again and again", between.count("GET") == 1, str(between.count("GET")))
        done = tool.run("check", store.url("faults/"), *KEYS)
        yield Check("and no check passes", done.returncode in (1, 2), str(done.returncode))


def failed_upload(path: Path, store: S3, home: Path) -> Iterator[Check]:
    with proxy.before(store.port) as between:
        second = lambda request: is_part(request) and "partNumber=2" in request.path
        between.faults.append(Fault(second, proxy.status(403, body=EXPIRED), times=100))
        tool = tool_behind(path, store, between.port)
        done = tool.run("decrypt", store.url("faults/large"), "-o", store.url("failed/plain"), *KEYS)
        yield said("an upload that fails is an error", done, 2)
        yield equal("with nothing under the name", [], store.keys("failed/"))
        yield equal("and no part left in the store", [], store.unfinished())


def killed_upload(path: Path, store: S3, home: Path) -> Iterator[Check]:
    with proxy.before(store.port) as between:
        hold = proxy.first(lambda: time.sleep(3))
        between.faults.append(Fault(is_part, hold, times=100))
        tool = tool_behind(path, store, between.port)
        process = tool.start("decrypt", store.url("faults/large"), "-o", store.url("killed/plain"), *KEYS)
        deadline = time.monotonic() + 20
        while not any(is_part(request) for request in between.requests) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        yield equal("SIGTERM ends it", 128 + signal.SIGTERM, process.returncode)
        time.sleep(4)
        yield equal("with nothing under the name it was to have", [], store.keys("killed/"))
        yield equal("and no part of it left in the store", [], store.unfinished())


def requests(path: Path, store: S3, home: Path) -> Iterator[Check]:
    """What a status costs: one read of the first kilobyte, with the same result as of a file."""
    logs = [MIXED / f"binlog.00000{number}" for number in (1, 2, 3, 4)]
    for number in range(60):
        store.put(f"counted/binlog.{number:06}", logs[number % 4].read_bytes())
    for command in ("check", "inspect"):
        for keys in ((), KEYS):
            what = f"{command} with {len(keys) // 2} keyrings"
            with proxy.before(store.port) as between:
                tool = tool_behind(path, store, between.port)
                tool.run(command, store.url("counted/"), *keys)
                reads = [request for request in between.requests if request.range]
            yield equal(f"{what}: one read an object", 60, len(reads))
            yield equal(f"{what}: of its first bytes", {"bytes=0-1023"}, {read.range for read in reads})
            yield equal(f"{what}: which are all that comes", 60 * 1024, sum(read.answered for read in reads))
            yield equal(f"{what}: and one listing", 61, len(between.requests))
    # The key of MariaDB's logs is proven by as many events as there are.
    folder = ROOT / "fixtures" / "mariadb-10.11" / "cbc128-crc32-row"
    store.put("events/binlog.000002", (folder / "logs" / "binlog.000002").read_bytes())
    with proxy.before(store.port) as between:
        tool = tool_behind(path, store, between.port)
        done = tool.run("inspect", store.url("events/"), "--mariadb-keys", folder / "keys.txt")
        yield Check("a log of MariaDB is proven", b"present" in done.stdout, done.stdout.decode())
        ranges = [request.range for request in between.requests if request.range]
        yield equal("by two small reads", ["bytes=0-1023", "bytes=1024-4095"], ranges)
