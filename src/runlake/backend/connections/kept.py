"""Idle connections to storage hosts, kept for further requests."""

from __future__ import annotations

from collections import defaultdict, deque
from contextlib import suppress

import httpcore

_Idle = deque[httpcore.ConnectionInterface]


class KeptConnections:
    """Opens connections like a pool of httpcore, and keeps the idle ones for further requests.

    A pool of httpcore examines all of its connections at the start and at the end of every request.
    With 64 connections this takes longer than the rest of a small download.

    Parameters
    ----------
    pool : httpcore.ConnectionPool
        Creates connections: directly or through a proxy, with or without TLS.
    """

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        self._pool = pool
        # The methods of a deque are atomic.
        self._idle: defaultdict[tuple[bytes, bytes, int | None], _Idle] = defaultdict(deque)

    def send(
        self, request: httpcore.Request
    ) -> tuple[httpcore.ConnectionInterface, httpcore.Response]:
        """Send a request on an idle connection, or on a new one.

        Parameters
        ----------
        request : httpcore.Request
            The request.

        Returns
        -------
        tuple of httpcore.ConnectionInterface and httpcore.Response
            The connection, to be passed to `take_back`, and the answer.
        """
        url = request.url
        connection = self._taken(url) or self._pool.create_connection(url.origin)
        try:
            return connection, connection.handle_request(request)
        except BaseException:
            connection.close()
            raise

    def take_back(
        self,
        url: httpcore.URL,
        connection: httpcore.ConnectionInterface,
        response: httpcore.Response,
    ) -> None:
        """End the reading of an answer; keep its connection if the whole answer was read."""
        response.close()
        if connection.is_available():
            self._idle[_origin(url)].append(connection)

    def close(self) -> None:
        """Close all idle connections."""
        for idle in list(self._idle.values()):
            while (connection := _last(idle)) is not None:
                with suppress(OSError):
                    connection.close()

    def _taken(self, url: httpcore.URL) -> httpcore.ConnectionInterface | None:
        idle = self._idle[_origin(url)]
        while (connection := _last(idle)) is not None:
            if not connection.has_expired():
                return connection
            connection.close()
        return None


def _origin(url: httpcore.URL) -> tuple[bytes, bytes, int | None]:
    return url.scheme, url.host, url.port


def _last(idle: _Idle) -> httpcore.ConnectionInterface | None:
    with suppress(IndexError):
        return idle.pop()
    return None
