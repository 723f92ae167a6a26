"""A storage host's answer whose body has not been read yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import httpcore
import httpx

from runlake.backend.connections.network import FileResponse, without_frames
from runlake.backend.http.bandwidth import Bandwidth
from runlake.backend.http.decoding import NotDecodable, decoded, encoding_of
from runlake.backend.http.stop import Stop

# Bodies of at least this length are read directly from the socket, bypassing httpx. That is faster,
# but the connection cannot be reused afterwards.
LONG_BODY = 16 << 20
READ_BYTES = 1 << 20
# Limit for a body without Content-Length, or that the host compressed although it was not asked to.
MAX_UNANNOUNCED = 2 << 30


class Reply:
    """An answer whose body can be read inside the context of `Client.open`.

    Parameters
    ----------
    response : FileResponse
        The answer.
    stop : Stop
        A flag that ends the reading of the body when it is set.
    bandwidth : Bandwidth or None
        Limits the rate of the body.
    fail : callable
        Converts an error of httpx, or an error about the body, to an error of runlake.
    """

    def __init__(
        self,
        response: FileResponse,
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
        """Headers; names are in lower case."""
        return self._response.headers

    def iter_raw(self) -> Iterator[bytes]:
        """Yield the body in pieces, still compressed if the host compressed it.

        Raises
        ------
        Transient
            If the connection breaks before the announced length, or is too slow.
        FileTransferError
            If the host announces no length and sends more than `MAX_UNANNOUNCED`.
        """
        pieces = self._long_body() if self._is_long else self._response.iter_raw()
        return self._iter(pieces, None if self._n_promised else MAX_UNANNOUNCED)

    def iter_bytes(self, max_bytes: int | None = None) -> Iterator[bytes]:
        """Yield the body in pieces, decompressed.

        Parameters
        ----------
        max_bytes : int, optional
            Maximum length of the body; by default `MAX_UNANNOUNCED`, or no limit if the host
            announces a length.

        Raises
        ------
        Transient
            If the connection breaks before the announced length, or is too slow.
        FileTransferError
            If the body is longer, or not encoded as its header states.
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
        """True if the body is long, not chunked, and not limited in speed."""
        return (
            self._response.http_version == "HTTP/1.1"
            and "transfer-encoding" not in self.headers
            and self._n_promised >= LONG_BODY
            and self._bandwidth is None  # a limited download needs no faster reads
        )

    @property
    def _n_promised(self) -> int:
        length = self.headers.get("content-length", "")
        return int(length) if length.isdecimal() else 0

    def _long_body(self) -> Iterator[bytes]:
        """Read the body directly from the socket, in half the time that httpx takes; yield it.

        httpx reads 64 kB at a time and copies each piece three times
        (docs/explanation/downloads.md).
        """
        connection, timeout = self._response.network_stream, self._response.timeout
        # Keep this iterator until the end: httpx closes the connection when it is collected.
        pieces = self._response.iter_raw()
        # The first piece contains all bytes of the body that httpx read together with the headers.
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
    """A body is longer than its limit."""

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
    """Return the bytes that have arrived, at most ``n_bytes``; raise httpx's errors."""
    try:
        return connection.read(n_bytes, timeout)
    except httpcore.TimeoutException as error:
        raise httpx.ReadTimeout(str(error)) from error
    except httpcore.NetworkError as error:
        raise httpx.ReadError(str(error)) from error
