"""A store of many objects that answers fast, or after a fixed time: what S3 says to a reader.

Run as a program it prints its port. The objects are made from their numbers: of two logs, so that
rules have something to find, or of the logs in a folder, as they are. What is written is counted, and
not kept. With a length of 0, they are made of the first log and follow one another. `/counts` tells how many requests of each kind there were.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import zlib
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 1000
HEADER = 512
LENGTH = 1100
XML = '<?xml version="1.0" encoding="UTF-8"?>'


class Fleet:
    """So many logs; of two logs, some are in plaintext and some share a file key."""

    def __init__(self, logs: list[bytes], count: int, milliseconds: float, length: int) -> None:
        self.length = length
        self.logs = [log[:length] for log in logs]
        self.plain, self.encrypted = self.logs[:2]
        self.seconds = milliseconds / 1000
        self.keys = [f"fleet/host{n % 40:02}/binlog.{n:06}" for n in range(count)]
        self.keys.sort()
        self.counts: Counter[str] = Counter()

    def content(self, key: str) -> bytes:
        number = int(key.rsplit(".", 1)[1])
        if len(self.logs) > 2:
            return self.logs[number % len(self.logs)]
        if number % 1009 == 7:
            return self.plain
        mark = hashlib.sha256(str(number).encode()).digest() * 3
        if number % 997 == 5:
            # The header of another log, and another body.
            return self.encrypted[:HEADER] + mark[:64] + self.encrypted[HEADER + 64 :]
        at = len(self.encrypted[:HEADER].rstrip(b"\0")) - 16
        header = self.encrypted[:at] + mark[:16] + self.encrypted[at + 16 : HEADER]
        return header + self.encrypted[HEADER:]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                lines = head.decode("latin-1").split("\r\n")
                method, target, _ = lines[0].split(" ")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
                await reader.readexactly(int(headers.get("content-length", "0")))
                if self.seconds:
                    await asyncio.sleep(self.seconds)
                writer.write(self.answer(method, target, headers))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def answer(self, method: str, target: str, headers: dict[str, str]) -> bytes:
        url = urlsplit(target)
        query = parse_qs(url.query, keep_blank_values=True)
        if url.path == "/counts":
            return reply("200 OK", json.dumps(self.counts).encode())
        self.counts["LIST" if "list-type" in query else method] += 1
        if "list-type" in query:
            return self.listing(query)
        if method in ("PUT", "POST"):
            return written(query)
        key = unquote(url.path).split("/", 2)[2]
        if not key.startswith("fleet/"):
            return reply("404 Not Found", b"")
        content = self.content(key)
        tag = f'"{hashlib.md5(content[:LENGTH], usedforsecurity=False).hexdigest()}"'
        start, end, status = 0, self.length, "200 OK"
        more = ""
        if "range" in headers:
            first, last = headers["range"].removeprefix("bytes=").split("-")
            start, end = int(first), min(int(last) + 1, self.length)
            status = "206 Partial Content"
            more = f"Content-Range: bytes {start}-{end - 1}/{self.length}\r\n"
        body = b"" if method == "HEAD" else content[start:end]
        self.counts["bytes read"] += len(body)
        return (
            f"HTTP/1.1 {status}\r\nETag: {tag}\r\n{more}"
            "Last-Modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
            f"Content-Length: {end - start}\r\n\r\n"
        ).encode() + body

    def listing(self, query: dict[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        start = int(query.get("continuation-token", ["0"])[0])
        keys = [key for key in self.keys if key.startswith(prefix)]
        page = keys[start : start + PAGE]
        rest = start + PAGE < len(keys)
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if rest else ""
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>{self.length}</Size><ETag>x</ETag>"
            "<LastModified>2026-11-21T12:00:00.000Z</LastModified></Contents>"
            for key in page
        )
        body = (
            f"{XML}<ListBucketResult>"
            f"<IsTruncated>{str(rest).lower()}</IsTruncated>{token}"
            f"<KeyCount>{len(page)}</KeyCount>{entries}</ListBucketResult>"
        ).encode()
        return reply("200 OK", body)


class Chain(Fleet):
    """So many logs of one server, which follow one another by their GTIDs: each says in its second event
    which transactions are before it, and has the next one. All are equally long."""

    def __init__(self, logs: list[bytes], count: int, milliseconds: float) -> None:
        plain = logs[0]
        self.description = plain[: 4 + self.size(plain, 4)]
        super().__init__([plain, plain], count, milliseconds, 0)
        self.keys = [f"fleet/binlog.{n:06}" for n in range(1, count + 1)]
        self.length = len(self.content(self.keys[0]))

    @staticmethod
    def size(log: bytes, at: int) -> int:
        return int.from_bytes(log[at + 9 : at + 13], "little")

    def content(self, key: str) -> bytes:
        number = int(key.rsplit(".", 1)[1])
        server, eight = bytes([0xAA]) * 16, lambda value: value.to_bytes(8, "little")
        # Before the first log there is transaction 1, so that no log is shorter than the others.
        previous = eight(1) + server + eight(1) + eight(1) + eight(number + 1)
        begins = b"\1" + server + eight(number + 1)
        statement = bytes(8) + b"\4" + bytes(4) + b"shop\0CREATE DATABASE d%08d" % number
        log = self.description
        for kind, body in ((35, previous), (33, begins), (2, statement)):
            end = len(log) + 19 + len(body) + 4
            head = self.description[4:8] + bytes([kind]) + self.description[9:13]
            event = head + (end - len(log)).to_bytes(4, "little") + end.to_bytes(4, "little") + bytes(2) + body
            log += event + zlib.crc32(event).to_bytes(4, "little")
        return log


def reply(status: str, body: bytes, more: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(body)}\r\n\r\n".encode() + body


def written(query: dict[str, list[str]]) -> bytes:
    """What S3 says to who writes an object, whole or in parts."""
    tag = 'ETag: "written"\r\n'
    if "uploads" in query:
        upload = f"{XML}<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>"
        return reply("200 OK", upload.encode())
    if "uploadId" in query and "partNumber" not in query:
        done = f'{XML}<CompleteMultipartUploadResult><ETag>"written"</ETag></CompleteMultipartUploadResult>'
        return reply("200 OK", done.encode())
    return reply("200 OK", b"", tag)


async def main(logs: list[Path], count: int, milliseconds: float, length: int) -> None:
    contents = [log.read_bytes() for log in logs]
    fleet = Chain(contents, count, milliseconds) if length == 0 else Fleet(contents, count, milliseconds, length)
    server = await asyncio.start_server(fleet.serve, "127.0.0.1", 0, backlog=1024, limit=16 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    *names, count, milliseconds, length = sys.argv[1:]
    paths = [Path(name) for name in names]
    logs = sorted(paths[0].iterdir()) if paths[0].is_dir() else paths
    asyncio.run(main(logs, int(count), float(milliseconds), int(length)))
