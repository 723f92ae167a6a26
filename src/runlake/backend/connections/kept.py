"""Idle connections to storage hosts, kept for further requests."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import httpcore

from runlake.backend.connections.exchange import FileConnection, FileRequest, FileResponse
from runlake.backend.connections.opening import OpenedConnection

KEEP_SECONDS = 5.0  # as long as httpx keeps an idle connection
_Connection = FileConnection | OpenedConnection


class KeptConnections:
    """Opens connections with a pool of httpcore, and keeps idle connections for further requests.

    A pool of httpcore examines all of its connections at the start and at the end of every request.
    With 64 connections this takes longer than the rest of a small download. So httpcore only opens
    each connection, and sends the first request on it.

    Parameters
    ----------
    pool : httpcore.ConnectionPool
        Creates connections: directly or through a proxy, with or without TLS.
    is_proxied : bool
        True if the connections pass through a proxy. Then httpcore sends all requests for http
        URLs.
    """

    def __init__(self, pool: httpcore.ConnectionPool, *, is_proxied: bool) -> None:
        self._pool = pool
        self._is_proxied = is_proxied
        # The methods of a deque are atomic.
        self._idle: defaultdict[tuple[bytes, bytes, int | None], deque[_Connection]] = defaultdict(
            deque
        )

    def send(self, request: FileRequest) -> FileResponse:
        """Send a request on an idle connection, or on a new one.

        Parameters
        ----------
        request : FileRequest
            The request to send.

        Returns
        -------
        FileResponse
            The response. When the response is closed, the connection is kept if the whole body was
            read.
        """
        connection = self._taken(request) or self._opened(request)
        try:
            return connection.send(request, partial(self._take_back, request, connection))
        except BaseException:
            connection.close()
            raise

    def take_idle(self, request: FileRequest, most: int) -> Iterator[FileConnection]:
        """Yield up to ``most`` idle connections to the request's host; the caller then owns them.

        Connections whose requests must be sent by httpcore are not yielded; they are still kept.
        """
        idle = self._idle[request.origin]
        for _ in range(min(most, len(idle))):
            connection = self._taken(request)
            if isinstance(connection, FileConnection) and connection.socket is not None:
                yield connection
            elif connection is not None:
                # At the left end, so that this loop, which takes from the right, does not see it.
                idle.appendleft(connection)

    def keep(self, request: FileRequest, connection: FileConnection) -> None:
        """Keep a connection to the request's host if it can be used again; otherwise close it."""
        self._take_back(request, connection)

    def close(self) -> None:
        """Close all idle connections."""
        for idle in list(self._idle.values()):
            while (connection := _last(idle)) is not None:
                with suppress(OSError):
                    connection.close()

    def _opened(self, request: FileRequest) -> OpenedConnection:
        return OpenedConnection(self._pool.create_connection(request.for_httpcore().url.origin))

    def _take_back(self, request: FileRequest, connection: _Connection) -> None:
        if not connection.is_available:
            connection.close()
            return
        # A proxy expects requests for http URLs in another form, which httpcore knows.
        is_forwarded = self._is_proxied and request.scheme == b"http"
        if isinstance(connection, OpenedConnection) and not is_forwarded:
            connection = connection.taken_over() or connection
        connection.idle_since = time.monotonic()
        self._idle[request.origin].append(connection)

    def _taken(self, request: FileRequest) -> _Connection | None:
        idle = self._idle[request.origin]
        while (connection := _last(idle)) is not None:
            seconds = time.monotonic() - connection.idle_since
            # A readable connection was closed by the host, or has bytes that no request asked for.
            if seconds < KEEP_SECONDS and not connection.is_readable:
                return connection
            connection.close()
        return None


def _last(idle: deque[_Connection]) -> _Connection | None:
    with suppress(IndexError):
        return idle.pop()
    return None
