"""Download ranges of one version of an export into a sparse file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Self

import google_crc32c

from runlake.backend.http.reply import Reply
from runlake.backend.http.statuses import OK, PARTIAL, PRECONDITION_FAILED, UNSATISFIABLE
from runlake.backend.http.stop import Stopped
from runlake.exports.download.failures import Incomplete, Refused, Replaced
from runlake.exports.ranges import ByteRange, Piece, parse_content_range
from runlake.exports.validator import Validator


class SparseTarget:
    """A sparse file into which threads write ranges of one version of an export.

    This is a context manager. After its end, every further write is refused, even if a thread is
    still running and tries to write.

    Parameters
    ----------
    descriptor : int
        File descriptor.
    validator : Validator
        Version of the export.
    total : int or None
        Length of this version, if known.
    """

    def __init__(self, descriptor: int, validator: Validator, total: int | None) -> None:
        self._descriptor = descriptor
        self._validator = validator
        self._n_bytes = total
        self._is_plain = total is not None
        self._is_open = True
        self._guard = threading.Lock()

    @property
    def condition(self) -> str:
        """Value for the header ``If-Range``; empty if the version has no usable ETag or date."""
        return self._validator.condition or ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # After this no thread writes: a late one could hit a descriptor that is closed, or that
        # another file has got.
        with self._guard:
            self._is_open = False

    def check(self, reply: Reply, asked: ByteRange) -> int:
        """Check that a response has the requested version and range; return the range's end.

        The returned end is exclusive; it is lower than requested if the host sends only a part.
        `Replaced` or `Refused` is raised for a wrong response.
        """
        # With If-Range, 200 is the whole of another version; 416 is a shorter version.
        if reply.status in {OK, PRECONDITION_FAILED, UNSATISFIABLE}:
            raise Replaced
        if reply.status != PARTIAL:
            raise Refused(reply)
        span = parse_content_range(reply.headers.get("content-range"))
        found = Validator.from_headers(reply.headers, reply.status)
        is_plain = self._is_plain or "content-encoding" not in reply.headers
        if span is None or not is_plain or not found.is_same(self._validator):
            raise Replaced
        came, total = span
        with self._guard:
            self._n_bytes = total if self._n_bytes is None else self._n_bytes
            is_same_length = self._n_bytes == total
        if not is_same_length or came.start != asked.start or came.stop > asked.stop:
            raise Replaced
        return came.stop

    def write(self, start: int, content: bytes) -> None:
        """Write bytes at offset ``start``; raise `Stopped` if the context has ended."""
        with self._guard:
            if not self._is_open:
                raise Stopped
            view = memoryview(content)
            while view:
                n_written = os.pwrite(self._descriptor, view, start)
                view, start = view[n_written:], start + n_written


class RangeDownload:
    """The download of one byte range, with all its requests.

    Parameters
    ----------
    span : ByteRange
        The range.
    target : SparseTarget
        File to write to.
    """

    def __init__(self, span: ByteRange, target: SparseTarget) -> None:
        self._span = span
        self._left = span
        self._target = target
        self._crc32c = 0
        self.n_bytes = 0

    @property
    def is_complete(self) -> bool:
        """True if all bytes of the range are in the file."""
        return not self._left.n_bytes

    @property
    def piece(self) -> Piece:
        """The range with the checksum of its bytes, once the download is complete."""
        return Piece(self._span.start, self._span.stop, self._crc32c)

    def headers(self) -> dict[str, str]:
        """Return the headers of a request for the bytes that are missing."""
        # With If-Range the host sends the whole object, not a range, if its version is another.
        return {"Range": self._left.header(), "If-Range": self._target.condition}

    def take(self, reply: Reply, body: Iterator[bytes]) -> None:
        """Write the body of a response to the file.

        A `Failure` is raised if the response is wrong or breaks off, but not if the host announces
        only a part of the missing bytes: then the next request asks for the rest.
        """
        stop = self._target.check(reply, self._left)
        for came in body:
            start = self._left.start
            # Other ranges, perhaps written already, follow the stated one. A host that sends more
            # bytes than it stated must not overwrite them.
            content = came[: stop - start]
            self._target.write(start, content)
            self._crc32c = google_crc32c.extend(self._crc32c, content)
            self._left = ByteRange(start + len(content), self._left.stop)
            self.n_bytes += len(content)
        if self._left.start < stop:
            raise Incomplete(f"{stop - self._left.start} bytes of a range are missing")
