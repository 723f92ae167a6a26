"""A storage host's response whose body has not been read yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import httpx

from runlake.backend.connections.exchange import FileResponse
from runlake.backend.connections.network import without_frames
from runlake.backend.http.bandwidth import Bandwidth
from runlake.backend.http.decoding import NotDecodable, decoded, encoding_of
from runlake.backend.http.stop import Stop

# Limit for a body without Content-Length, or that the host compressed without a request.
MAX_UNANNOUNCED = 2 << 30


class Reply:
    """A response whose body can be read inside the context of `Client.open`.

    Parameters
    ----------
    response : FileResponse
        The response; its headers have been read, its body has not.
    stop : Stop
        A flag that ends the reading of the body when it is set.
    bandwidth : Bandwidth or None
        Limits the speed at which the body is read; no limit if None.
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
        """The HTTP status of the response."""
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the response, by their names in lower case."""
        return self._response.headers

    def iter_raw(self) -> Iterator[bytes]:
        """Yield the body in pieces, still compressed if the host compressed it.

        Raises
        ------
        Transient
            If the connection breaks before the announced length, or is too slow.
        FileTransferError
            If the host announces no length, and sends more than `MAX_UNANNOUNCED` bytes.
        """
        return self._iter(self._response.pieces, None if self._n_promised else MAX_UNANNOUNCED)

    def iter_bytes(self, max_bytes: int | None = None) -> Iterator[bytes]:
        """Yield the body in pieces, decompressed.

        Parameters
        ----------
        max_bytes : int, optional
            Maximum length of the decompressed body. By default `MAX_UNANNOUNCED`, or no limit if
            the host announces the length of a body without compression.

        Raises
        ------
        Transient
            If the connection breaks before the announced length, or is too slow.
        FileTransferError
            If the body is longer than its maximum, or not encoded as its header states.
        """
        encoding = encoding_of(self.headers.get("content-encoding", ""))
        if not encoding:
            limit, pieces = None if self._n_promised else MAX_UNANNOUNCED, self._response.pieces
        else:
            limit, pieces = MAX_UNANNOUNCED, decoded(self._response.pieces, encoding)
        return self._iter(pieces, limit if max_bytes is None else max_bytes)

    @property
    def _n_promised(self) -> int:
        length = self.headers.get("content-length", "")
        return int(length) if length.isdecimal() else 0

    def _iter(self, pieces: Iterator[bytes], max_bytes: int | None) -> Iterator[bytes]:
        try:
            for piece in _limited(pieces, max_bytes):
                self._stop.check()
                if self._bandwidth is not None:
                    self._bandwidth.take(len(piece), self._stop)
                yield piece
        except httpx.HTTPError as error:
            # `Stop.set` shuts the socket down, so that the read fails: raise `Stopped` then.
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
