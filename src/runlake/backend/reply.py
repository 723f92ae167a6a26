"""A storage host's answer whose body has not been read yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import httpcore
import httpx

from runlake.backend.bandwidth import Bandwidth
from runlake.backend.stop import Stop

# Beyond this a body is read past the HTTP library, whose connection cannot be used again then.
LONG_BODY = 16 << 20
READ_BYTES = 1 << 20


class Reply:
    """An answer, open as long as the context that gave it.

    Parameters
    ----------
    response : httpx.Response
        Its body is a stream.
    stop : Stop
        Ends the reading of the body.
    bandwidth : Bandwidth or None
        Paces it.
    fail : callable
        Makes an error of ours of one of httpx.
    """

    def __init__(
        self,
        response: httpx.Response,
        stop: Stop,
        bandwidth: Bandwidth | None,
        fail: Callable[[httpx.HTTPError], Exception],
    ) -> None:
        self._response = response
        self._stop = stop
        self._bandwidth = bandwidth
        self._fail = fail
        self.waited_seconds = 0.0

    @property
    def status(self) -> int:
        """HTTP status."""
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers; their names are case-insensitive."""
        return self._response.headers

    def iter_raw(self) -> Iterator[bytes]:
        """Yield the body piece by piece, without transfer encoding but with content encoding.

        Raises
        ------
        Transient
            If the connection breaks before the promised length.
        """
        return self._iter(self._long_body() if self._is_long else self._response.iter_raw())

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the body piece by piece, without transfer or content encoding.

        Raises
        ------
        Transient
            If the connection breaks before the promised length.
        """
        if "content-encoding" in self.headers:
            return self._iter(self._response.iter_bytes())
        return self.iter_raw()

    @property
    def _is_long(self) -> bool:
        """The rest of the body is the next so many bytes of the connection, and they are many."""
        return (
            self._response.http_version == "HTTP/1.1"
            and "transfer-encoding" not in self.headers
            and self._n_promised >= LONG_BODY
            and self._bandwidth is None
        )

    @property
    def _n_promised(self) -> int:
        length = self.headers.get("content-length", "")
        return int(length) if length.isdecimal() else 0

    def _long_body(self) -> Iterator[bytes]:
        """Yield the body as the connection brings it: httpx takes twice as long for that.

        It reads 64 kB at a time, and copies each piece thrice (docs/explanation/downloads.md).
        """
        connection = self._response.extensions["network_stream"]
        timeout = self._response.request.extensions["timeout"]["read"]
        # Kept to the end: the library closes the connection with it.
        pieces = self._response.iter_raw()
        # With the first piece it gives all that it has read, of head and body.
        piece = next(pieces, b"")
        left = self._n_promised
        while piece:
            yield piece
            left -= len(piece)
            if not left:
                return
            piece = _read(connection, min(left, READ_BYTES), timeout)
        raise httpx.RemoteProtocolError(f"{left} bytes of the body are missing")

    def _iter(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        try:
            for piece in pieces:
                self._stop.check()
                if self._bandwidth is not None:
                    self.waited_seconds += self._bandwidth.take(len(piece), self._stop)
                yield piece
        except httpx.HTTPError as error:
            self._stop.check()
            raise self._fail(error) from error


def _read(connection: httpcore.NetworkStream, n_bytes: int, timeout: float | None) -> bytes:
    """Read what is there, so many bytes at most; the errors are those of httpx."""
    try:
        return connection.read(n_bytes, timeout)
    except httpcore.TimeoutException as error:
        raise httpx.ReadTimeout(str(error)) from error
    except httpcore.NetworkError as error:
        raise httpx.ReadError(str(error)) from error
