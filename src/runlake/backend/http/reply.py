"""A storage host's answer whose body has not been read yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import httpcore
import httpx

from runlake.backend.connections.network import without_frames
from runlake.backend.http.bandwidth import Bandwidth
from runlake.backend.http.decoding import NotDecodable, decoded, encoding_of
from runlake.backend.http.stop import Stop

# Beyond this a body is read past the HTTP library, whose connection cannot be used again then.
LONG_BODY = 16 << 20
READ_BYTES = 1 << 20
# Of a body whose length the host does not announce, or that it compresses unasked.
MAX_UNANNOUNCED = 2 << 30


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
        Makes an error of ours of one of httpx, or of what is wrong with the body.
    """

    def __init__(
        self,
        response: httpx.Response,
        stop: Stop,
        bandwidth: Bandwidth | None,
        fail: Callable[[Exception], Exception],
    ) -> None:
        self._response = response
        self._stop = stop
        self._bandwidth = bandwidth
        self._fail = fail

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
            If the connection breaks before the promised length, or bytes come too slowly.
        FileTransferError
            If the host announces no length and sends more than `MAX_UNANNOUNCED`.
        """
        pieces = self._long_body() if self._is_long else self._response.iter_raw()
        return self._iter(pieces, None if self._n_promised else MAX_UNANNOUNCED)

    def iter_bytes(self, max_bytes: int | None = None) -> Iterator[bytes]:
        """Yield the body piece by piece, without transfer or content encoding.

        Parameters
        ----------
        max_bytes : int, optional
            How long it may be; `MAX_UNANNOUNCED` where the host announces nothing else.

        Raises
        ------
        Transient
            If the connection breaks before the promised length, or bytes come too slowly.
        FileTransferError
            If it is longer, or not encoded as its header says.
        """
        encoding = encoding_of(self.headers.get("content-encoding", ""))
        if not encoding:
            limit = None if self._n_promised else MAX_UNANNOUNCED
            pieces = self._long_body() if self._is_long else self._response.iter_raw()
        else:
            limit, pieces = MAX_UNANNOUNCED, decoded(self._response.iter_raw(), encoding)
        return self._iter(pieces, limit if max_bytes is None else max_bytes)

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

    def _iter(self, pieces: Iterator[bytes], max_bytes: int | None) -> Iterator[bytes]:
        try:
            for piece in _limited(pieces, max_bytes):
                self._stop.check()
                if self._bandwidth is not None:
                    self._bandwidth.take(len(piece), self._stop)
                yield piece
        except httpx.HTTPError as error:
            self._stop.check()
            raise self._fail(error) from without_frames(error)
        except (NotDecodable, _TooLong) as error:
            raise self._fail(error) from error


class _TooLong(Exception):
    """A body goes on behind its end."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"it is longer than the {max_bytes:,} bytes that it may have")


def _limited(pieces: Iterator[bytes], max_bytes: int | None) -> Iterator[bytes]:
    n_bytes = 0
    for piece in pieces:
        n_bytes += len(piece)
        if max_bytes is not None and n_bytes > max_bytes:
            raise _TooLong(max_bytes)
        yield piece


def _read(connection: httpcore.NetworkStream, n_bytes: int, timeout: float | None) -> bytes:
    """Read what is there, so many bytes at most; the errors are those of httpx."""
    try:
        return connection.read(n_bytes, timeout)
    except httpcore.TimeoutException as error:
        raise httpx.ReadTimeout(str(error)) from error
    except httpcore.NetworkError as error:
        raise httpx.ReadError(str(error)) from error
