"""Non-blocking connections: only the lookup of a host's address waits for the network."""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpcore

from runlake.backend.connections.exchange import READ_BYTES, Answer, FileConnection, FileRequest
from runlake.backend.connections.socket_stream import SocketStream

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
PORTS = {b"http": 80, b"https": 443}
SLOW_ANSWER = 5  # a whole response may take this many times as long as the wait for its next bytes


class Lane:
    """A non-blocking connection, and the response that is arriving on the connection.

    Parameters
    ----------
    connection : socket.socket
        The socket of the connection. The connection may not be open yet.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.descriptor = connection.fileno()
        self.address: Any = None
        self.connection: FileConnection | None = None
        self.answer: Answer | None = None
        self.n_sent = 0
        self.n_bytes = 0
        # Times on the caller's clock.
        self.heard_at = self._sent_at = 0.0
        self._started = 0.0
        self._seconds: float | None = None

    @classmethod
    def of(cls, connection: FileConnection) -> Lane:
        """Return a `Lane` for an open connection, whose ``socket`` must not be None."""
        found = connection.socket
        if found is None:
            raise ValueError("the connection has no socket of its own")
        lane = cls(found)
        lane.connection = connection
        return lane

    @property
    def is_idle(self) -> bool:
        """True if a request can be sent now."""
        return self.connection is not None and self.connection.is_available

    def slowness(self, now: float) -> float:
        """Return how slow the connection is at the time ``now``, in seconds.

        This is the larger of two numbers: the seconds since bytes last arrived, and a fraction
        (1 / `SLOW_ANSWER`) of the seconds since the request was sent.
        """
        since_request = 0.0 if self.answer is None else now - self._sent_at
        return max(now - self.heard_at, since_request / SLOW_ANSWER)

    def send(self, request: FileRequest, now: float) -> None:
        """Send a request on an idle connection; its send buffer must have room for the request.

        Parameters
        ----------
        request : FileRequest
            The request to send.
        now : float
            Current time in seconds. `slowness` must be called with times of the same clock.

        Raises
        ------
        OSError
            If the connection is closed, or its send buffer is full.
        """
        head = request.head()
        if self.connection is None or self.socket.send(head) < len(head):
            # The caller closes the connection: the rest of a partly sent request cannot follow.
            raise BlockingIOError
        self.answer = self.connection.expect(request)
        self.n_sent += 1
        self.n_bytes = 0
        self.heard_at = self._sent_at = now
        self._started = time.monotonic()
        self._seconds = None

    def receive(self, now: float) -> bool:
        """Read the bytes that have arrived; return whether the host has closed the connection."""
        if self.answer is None:
            return True
        self.heard_at = now
        # Bytes inside the TLS object do not make the socket readable.
        is_tls = isinstance(self.socket, ssl.SSLSocket)
        with suppress(BlockingIOError, ssl.SSLWantReadError):
            while came := self.socket.recv(READ_BYTES):
                if self._seconds is None:
                    self._seconds = time.monotonic() - self._started
                self.n_bytes += len(came)
                self.answer.feed(came)
                if len(came) < READ_BYTES and not is_tls:
                    return False
            return True
        return False

    def end_answer(self) -> tuple[Answer, FileConnection, float | None]:
        """Return the response, its connection, and the seconds until its first byte arrived.

        If the response is complete, another request can then be sent on the connection.
        """
        answer, self.answer = self.answer, None
        if answer is None or self.connection is None:
            raise ValueError("no request is under way")
        return answer, self.connection, self._seconds

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self.socket.close()


class Opener:
    """Opens connections to one host, without a proxy.

    Parameters
    ----------
    sample : FileRequest
        Any request to the host; only its scheme, host and port are used.
    context : ssl.SSLContext or None
        TLS settings; needed for an ``https`` host.
    wrap : callable
        Wraps the stream of a new connection, so that later reads and writes have timeouts.
    """

    def __init__(
        self,
        sample: FileRequest,
        context: ssl.SSLContext | None,
        wrap: Callable[[httpcore.NetworkStream], httpcore.NetworkStream],
    ) -> None:
        self.sample = sample
        self._context = context
        self._wrap = wrap
        self._host = sample.host.decode("ascii").strip("[]")
        self._addresses: list[Any] | None = None

    def open(self) -> tuple[Lane, int] | None:
        """Begin to open a connection; return its lane, and the socket event to wait for.

        Return None if no address of the host can be used.
        """
        if self._addresses is None:
            self._addresses = []
            with suppress(OSError, UnicodeError):
                port = self.sample.port or PORTS[self.sample.scheme]
                self._addresses = socket.getaddrinfo(self._host, port, type=socket.SOCK_STREAM)
        while self._addresses:
            try:
                return self._connecting(self._addresses[0]), WRITE
            except OSError:
                self._addresses = self._addresses[1:]
        return None

    def _connecting(self, info: Any) -> Lane:
        family, kind, protocol, _, address = info
        connection = socket.socket(family, kind, protocol)
        try:
            lane = Lane(connection)
            lane.address = info
            # As httpcore does: otherwise the system may hold a small request back.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(BlockingIOError):
                connection.connect(address)
        except BaseException:
            connection.close()
            raise
        return lane

    def continue_opening(self, lane: Lane) -> int:
        """Continue to open a lane's connection; return the socket event to wait for next.

        The connection is open once `Lane.connection` is set.

        Raises
        ------
        OSError
            If the host refuses the connection, or TLS fails.
        """
        if code := lane.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, "the connection failed")
        if self.sample.scheme == b"https" and not isinstance(lane.socket, ssl.SSLSocket):
            if self._context is None:
                raise OSError(errno.ENOTSUP, "there is no TLS")
            lane.socket = self._context.wrap_socket(
                lane.socket, server_hostname=self._host, do_handshake_on_connect=False
            )
        if isinstance(lane.socket, ssl.SSLSocket):
            try:
                lane.socket.do_handshake()
            except ssl.SSLWantReadError:
                return READ
            except ssl.SSLWantWriteError:
                return WRITE
        lane.connection = FileConnection(self._wrap(SocketStream(lane.socket)))
        return READ

    def give_up(self, lane: Lane) -> None:
        """Stop using the address of ``lane``, which failed to open; use the host's next address."""
        if self._addresses and self._addresses[0] is lane.address:
            self._addresses = self._addresses[1:]
