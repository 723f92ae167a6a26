"""A storage host's answer whose body has not been read yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import httpx

from runlake.backend.bandwidth import Bandwidth
from runlake.backend.stop import Stop


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
        return self._iter(self._response.iter_raw())

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
