"""The first request on a connection to a storage host: httpcore opens the connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpcore

from runlake.backend.connections.exchange import FileConnection, FileRequest, FileResponse

# Bodies of at least this length are read from the socket itself. That is faster, but httpcore
# cannot use the connection again.
LONG_BODY = 16 << 20


class OpenedConnection:
    """A connection of httpcore, directly or through a proxy, with or without TLS.

    Parameters
    ----------
    connection : httpcore.ConnectionInterface
        The connection; httpcore opens it at the first request.
    """

    def __init__(self, connection: httpcore.ConnectionInterface) -> None:
        self._connection = connection
        self._stream: httpcore.NetworkStream | None = None
        self.idle_since = 0.0

    @property
    def is_available(self) -> bool:
        """True if the last response was read to its end, and the host keeps the connection."""
        return self._connection.is_available()

    @property
    def is_readable(self) -> bool:
        """True if the connection cannot be used: the host closed it, or it was idle for too long.

        The name is the same as in `FileConnection`: reading from an idle connection does not wait
        if the host has closed it.
        """
        return self._connection.has_expired()

    def send(self, request: FileRequest, close: Callable[[], None]) -> FileResponse:
        """Send a request, and return the response; see `FileConnection.send`."""
        response = self._connection.handle_request(request.for_httpcore())
        stream = self._stream = response.extensions["network_stream"]

        def end() -> None:
            response.close()
            close()

        version: bytes = response.extensions["http_version"]
        answer = FileResponse(
            response.status,
            version.decode("ascii"),
            response.headers,
            stream,
            response.iter_stream(),
            end,
        )
        answer.pieces = _body(answer.pieces, answer, request)
        return answer

    def taken_over(self) -> FileConnection | None:
        """Return the connection as a `FileConnection`; None if no request was sent on it yet."""
        return None if self._stream is None else FileConnection(self._stream)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def _body(pieces: Iterator[bytes], answer: FileResponse, request: FileRequest) -> Iterator[bytes]:
    """Yield the body; after the first piece, a long body is read without httpcore.

    httpcore reads 64 kB at a time and copies each piece three times
    (docs/explanation/downloads.md).
    """
    length = answer.headers.get("content-length", "")
    left = int(length) if length.isdecimal() else 0
    is_plain = answer.http_version == "HTTP/1.1" and "transfer-encoding" not in answer.headers
    if not is_plain or left < LONG_BODY:
        yield from pieces
        return
    # The variable `pieces` must live until the end: httpcore closes the connection when the
    # iterator is garbage-collected.
    # The first piece contains all bytes of the body that httpcore read together with the headers.
    piece = next(pieces, b"")
    while piece:
        yield piece
        left -= len(piece)
        if not left:
            return
        n_bytes = min(left, request.read_bytes)
        piece = answer.network_stream.read(n_bytes, request.timeouts["read"])
    raise httpcore.RemoteProtocolError(f"{left} bytes of the body are missing")
