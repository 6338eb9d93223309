"""Google's protocol as far as object_store speaks it: no emulator of Google's, and none of others."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from stores import BUCKET, SECRET

PAGE = 1000
XML = '<?xml version="1.0" encoding="UTF-8"?>'
WHEN = "2026-11-21T12:00:00.000Z"


@dataclass
class Object:
    """One version."""

    content: bytes
    generation: int

    @property
    def tag(self) -> str:
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}-{self.generation}"'


class Google:
    """A bucket in memory."""

    def __init__(self, folder: Path) -> None:
        self.name = "google"
        self.folder = folder
        self.objects: dict[str, Object] = {}
        self.uploads: dict[str, tuple[str, dict[int, bytes]]] = {}
        self.generation = 1000
        self.lock = threading.RLock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"store": self}))
        self.server.daemon_threads = True
        self.port = self.server.server_port

    def url(self, key: str) -> str:
        return f"gs://{BUCKET}/{key}"

    def variables(self, port: int | None = None) -> dict[str, str]:
        account = {
            "gcs_base_url": f"http://127.0.0.1:{port or self.port}",
            "disable_oauth": True,
            "client_email": "",
            "private_key": SECRET,
            "private_key_id": "",
        }
        path = self.folder / f"google-{port or self.port}.json"
        path.write_text(json.dumps(account))
        return {"GOOGLE_SERVICE_ACCOUNT": str(path), "GOOGLE_ALLOW_HTTP": "true"}

    def put(self, key: str, content: bytes) -> None:
        with self.lock:
            self.generation += 1
            self.objects[key] = Object(content, self.generation)

    def get(self, key: str) -> bytes:
        return self.objects[key].content

    def delete(self, key: str) -> None:
        del self.objects[key]

    def tag(self, key: str) -> str:
        return self.objects[key].tag

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix))

    def unfinished(self) -> list[str]:
        return [key for key, _ in self.uploads.values()]


class Handler(BaseHTTPRequestHandler):
    """The requests of the XML API."""

    protocol_version = "HTTP/1.1"
    store: Google

    def handle_request(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        key = unquote(url.path).removeprefix(f"/{BUCKET}").lstrip("/")
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        with self.store.lock:
            if self.command in ("GET", "HEAD"):
                self.listing(query) if not key else self.read(key)
            elif "uploads" in query or "uploadId" in query:
                self.upload(key, query, body)
            elif self.command == "PUT":
                self.write(key, body)
            else:
                self.answer(405)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_request

    def read(self, key: str) -> None:
        found = self.store.objects.get(key)
        if found is None:
            return self.answer(404)
        size = len(found.content)
        headers = {
            "ETag": found.tag,
            "x-goog-generation": str(found.generation),
            "Last-Modified": "Sat, 21 Nov 2026 12:00:00 GMT",
        }
        if self.headers.get("if-match") not in (None, found.tag):
            return self.answer(412)
        wanted = self.headers.get("range")
        if wanted is None:
            return self.answer(200, found.content, headers)
        first, last = (int(part) for part in wanted.removeprefix("bytes=").split("-"))
        if first >= size:
            return self.answer(416)
        last = min(last, size - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
        return self.answer(206, found.content[first : last + 1], headers)

    def write(self, key: str, body: bytes) -> None:
        there = self.store.objects.get(key)
        wanted = self.headers.get("x-goog-if-generation-match")
        if wanted is not None and int(wanted) != (there.generation if there else 0):
            return self.answer(412)
        self.store.put(key, body)
        return self.answer(200, b"", {"ETag": self.store.tag(key)})

    def upload(self, key: str, query: dict[str, str], body: bytes) -> None:
        uploads = self.store.uploads
        if "uploads" in query:
            name = f"upload-{len(uploads)}-{self.store.generation}-{key}"
            uploads[name] = (key, {})
            started = f"<InitiateMultipartUploadResult><UploadId>{name}</UploadId></InitiateMultipartUploadResult>"
            return self.answer(200, (XML + started).encode())
        name = query["uploadId"]
        if self.command == "PUT":
            uploads[name][1][int(query["partNumber"])] = body
            return self.answer(200, b"", {"ETag": f'"{query["partNumber"]}"'})
        if self.command == "DELETE":
            uploads.pop(name, None)
            return self.answer(204)
        _, parts = uploads.pop(name)
        # As Google documents it: there are no conditions here.
        self.store.put(key, b"".join(parts[number] for number in sorted(parts)))
        tag = escape(self.store.tag(key))
        done = f"<CompleteMultipartUploadResult><ETag>{tag}</ETag></CompleteMultipartUploadResult>"
        return self.answer(200, (XML + done).encode())

    def listing(self, query: dict[str, str]) -> None:
        keys = self.store.keys(query.get("prefix", ""))
        start = int(query.get("continuation-token", "0"))
        rest = start + PAGE < len(keys)
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if rest else ""
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.store.objects[key].content)}</Size>"
            f"<ETag>x</ETag><LastModified>{WHEN}</LastModified></Contents>"
            for key in keys[start : start + PAGE]
        )
        body = f"{XML}<ListBucketResult><IsTruncated>{str(rest).lower()}</IsTruncated>{token}{entries}</ListBucketResult>"
        self.answer(200, body.encode())

    def answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response_only(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nobody reads it."""


@contextmanager
def google(folder: Path) -> Iterator[Google]:
    store = Google(folder)
    thread = threading.Thread(target=store.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        store.server.shutdown()
        store.server.server_close()
