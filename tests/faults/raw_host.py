"""A host that answers with given bytes at a given pace."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Self

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
Answer = Callable[[bytes], Iterator[bytes]]


class RawHost:
    """Answers each request with the pieces that a function of the request yields, then hangs up."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.answer = answer or _no_answer
        self.read: Callable[[socket.socket], bytes] = _read_request
        self.n_requests = 0
        self.closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        # To close alone would not end the call that waits for a connection.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while not self.closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = self.read(connection)
                self.n_requests += 1
                for piece in self.answer(request):
                    if self.closing.is_set():
                        return
                    connection.sendall(piece)
            except OSError:
                return

    def drip(self, content: bytes, seconds: float = 0.05) -> Iterator[bytes]:
        """Yield a byte at a time."""
        for place in range(len(content)):
            yield content[place : place + 1]
            if self.closing.wait(seconds):
                return


def _no_answer(_: bytes) -> Iterator[bytes]:
    return iter(())


def _read_request(connection: socket.socket) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.recv(1 << 16) or _hung_up()
    head, _, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length and len(body) < int(length[1]):
        piece = connection.recv(1 << 16) or _hung_up()
        body += piece
        request += piece
    return request


def _hung_up() -> bytes:
    raise ConnectionResetError
