"""A proxy of the lab's own between the command and a store, which does what a test tells it.

It records what it was sent, and passes on to the store what a fault leaves.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Handler = Callable[["Proxy", socket.socket, bytes], None]
SLICE_SECONDS = 0.3


@dataclass
class Proxy:
    """A context manager. Each connection is one request, as the command makes them."""

    upstream: int
    handle: Handler
    requests: list[bytes] = field(default_factory=list)

    def __enter__(self) -> Proxy:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._over = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        # Who waits in accept keeps the port until then.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def answer(self, request: bytes) -> bytes:
        """What the store itself says."""
        with socket.create_connection(("127.0.0.1", self.upstream), timeout=10) as store:
            store.sendall(request)
            return read_all(store)

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(10)
            request = read_head(client)
            self.requests.append(request)
            self.handle(self, client, request)


def read_head(client: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        if not (byte := client.recv(1)):
            break
        head += byte
    return head


def read_all(store: socket.socket) -> bytes:
    parts = []
    while part := store.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


def passes(proxy: Proxy, client: socket.socket, request: bytes) -> None:
    client.sendall(proxy.answer(request))


def garbage(_: Proxy, client: socket.socket, _request: bytes) -> None:
    client.sendall(bytes(range(256)) * 20)


def garbled(proxy: Proxy, client: socket.socket, request: bytes) -> None:
    """The store's head and length, and another body."""
    head, _, body = proxy.answer(request).partition(b"\r\n\r\n")
    client.sendall(head + b"\r\n\r\n" + b"\x00" * len(body))


def cut(proxy: Proxy, client: socket.socket, request: bytes) -> None:
    whole = proxy.answer(request)
    client.sendall(whole[: len(whole) - 20])


def hangs_up(_: Proxy, _client: socket.socket, _request: bytes) -> None:
    return


def slow(proxy: Proxy, client: socket.socket, request: bytes) -> None:
    """A byte now and then: no single wait is long."""
    for byte in proxy.answer(request):
        client.sendall(bytes([byte]))
        time.sleep(SLICE_SECONDS)


def endless(_: Proxy, client: socket.socket, _request: bytes) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        client.sendall(b" " * (1 << 16))


def endless_chunks(_: Proxy, client: socket.socket, _request: bytes) -> None:
    client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        client.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def status(code: int) -> Handler:
    def handle(_: Proxy, client: socket.socket, request: bytes) -> None:
        # The request's head, token and all, as some gateways repeat it.
        client.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (code, len(request)) + request)

    return handle


def redirects(to: str) -> Handler:
    def handle(_: Proxy, client: socket.socket, _request: bytes) -> None:
        client.sendall(f"HTTP/1.1 307 X\r\nLocation: {to}/v1/x\r\nContent-Length: 0\r\n\r\n".encode())

    return handle


def resets_first(times: int) -> Handler:
    """Resets so many connections, and then passes on."""

    def handle(proxy: Proxy, client: socket.socket, request: bytes) -> None:
        if len(proxy.requests) > times:
            passes(proxy, client, request)
        else:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return handle
