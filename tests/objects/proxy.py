"""A proxy between binlogsec and a store that does what networks and stores do at times."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLICE = 64


@dataclass
class Request:
    """What came, as far as a fault looks at it."""

    method: str
    path: str
    range: str | None
    number: int
    answered: int = 0


@dataclass
class Fault:
    """What happens to the first `times` requests that `matches` wants."""

    matches: Callable[[Request], bool]
    act: Callable[[Handler], bool]
    times: int = 1
    seen: int = 0


@dataclass
class Proxy:
    """Where it listens, and what it does to whom."""

    port: int
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, request: Request) -> Fault | None:
        with self.lock:
            request.number = len(self.requests)
            self.requests.append(request)
            self.times.append(time.monotonic())
            for fault in self.faults:
                if fault.seen < fault.times and fault.matches(request):
                    fault.seen += 1
                    return fault
        return None

    def count(self, method: str) -> int:
        return sum(request.method == method for request in self.requests)


class Handler(BaseHTTPRequestHandler):
    """Forwards, but for what a fault does. A fault's `act` says whether that was all."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy
    upstream: int

    def forward(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else b""
        request = Request(self.command, self.path, self.headers.get("range"), 0)
        fault = self.proxy.take(request)
        self.request_seen = request
        self.body = body
        self.cut: Callable[[bytes], bytes] | None = None
        self.slowness = 0.0
        if fault is not None and fault.act(self):
            return
        self.pass_on(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward

    def pass_on(self, body: bytes) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        self.request_seen.answered = len(content)
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("content-length") if self.command == "HEAD" else str(len(content))
        if answer.status != 204:
            self.send_header("Content-Length", length or "0")
        self.end_headers()
        connection.close()
        self.give(content)

    def give(self, content: bytes) -> None:
        if self.command == "HEAD":
            return
        if self.cut is not None:
            self.wfile.write(self.cut(content))
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if self.slowness:
            for start in range(0, len(content), SLICE):
                self.wfile.write(content[start : start + SLICE])
                self.wfile.flush()
                time.sleep(self.slowness)
            return
        self.wfile.write(content)

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Nobody reads it."""


def status(code: int, retry_after: int | None = None, body: bytes = b"") -> Callable[[Handler], bool]:
    def act(handler: Handler) -> bool:
        headers = {} if retry_after is None else {"Retry_After": str(retry_after)}
        handler.answer(code, body, **headers)
        return True

    return act


def reset(handler: Handler) -> bool:
    """The connection ends as when a machine on the way was restarted."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.close_connection = True
    # The handler's own streams hold the socket open.
    handler.wfile.close()
    handler.rfile.close()
    handler.connection.close()
    return True


def short_body(handler: Handler) -> bool:
    handler.cut = lambda content: content[: len(content) // 2]
    return False


def slow(seconds: float) -> Callable[[Handler], bool]:
    def act(handler: Handler) -> bool:
        handler.slowness = seconds
        return False

    return act


def first(action: Callable[[], None]) -> Callable[[Handler], bool]:
    """Something happens in the store before the request comes there."""

    def act(handler: Handler) -> bool:
        action()
        return False

    return act


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """Connections end in the middle here: that is what this is for."""


@contextmanager
def before(upstream: int) -> Iterator[Proxy]:
    handler = type("Bound", (Handler,), {"upstream": upstream})
    server = Server(("127.0.0.1", 0), handler)
    proxy = Proxy(server.server_address[1])
    handler.proxy = proxy
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
