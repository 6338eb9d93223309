"""A store of many small objects that answers fast, or after a fixed time: what S3 says to a reader.

Run as a program it prints its port. The objects are made from their numbers.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

PAGE = 1000
HEADER = 512
LENGTH = 1100


class Fleet:
    """So many logs, of which some are in plaintext and some share a file key."""

    def __init__(self, plain: bytes, encrypted: bytes, count: int, milliseconds: float) -> None:
        self.plain = plain[:LENGTH]
        self.encrypted = encrypted[:LENGTH]
        self.seconds = milliseconds / 1000
        self.keys = [f"fleet/host{n % 40:02}/binlog.{n:06}" for n in range(count)]
        self.keys.sort()
        self.reads = 0

    def content(self, key: str) -> bytes:
        number = int(key.rsplit(".", 1)[1])
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
        query = parse_qs(url.query)
        if "list-type" in query:
            return self.listing(query)
        key = unquote(url.path).split("/", 2)[2]
        content = self.content(key)
        tag = f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
        self.reads += 1
        start, end, status = 0, len(content), "200 OK"
        more = ""
        if "range" in headers:
            first, last = headers["range"].removeprefix("bytes=").split("-")
            start, end = int(first), min(int(last) + 1, len(content))
            status = "206 Partial Content"
            more = f"Content-Range: bytes {start}-{end - 1}/{len(content)}\r\n"
        body = content[start:end]
        return (
            f"HTTP/1.1 {status}\r\nETag: {tag}\r\n{more}"
            "Last-Modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + (b"" if method == "HEAD" else body)

    def listing(self, query: dict[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        start = int(query.get("continuation-token", ["0"])[0])
        keys = [key for key in self.keys if key.startswith(prefix)]
        page = keys[start : start + PAGE]
        rest = start + PAGE < len(keys)
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if rest else ""
        entries = "".join(
            f"<Contents><Key>{key}</Key><Size>{LENGTH}</Size><ETag>x</ETag>"
            "<LastModified>2026-11-21T12:00:00.000Z</LastModified></Contents>"
            for key in page
        )
        body = (
            '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult>'
            f"<IsTruncated>{str(rest).lower()}</IsTruncated>{token}"
            f"<KeyCount>{len(page)}</KeyCount>{entries}</ListBucketResult>"
        ).encode()
        return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def main(plain: Path, encrypted: Path, count: int, milliseconds: float) -> None:
    fleet = Fleet(plain.read_bytes(), encrypted.read_bytes(), count, milliseconds)
    server = await asyncio.start_server(fleet.serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
