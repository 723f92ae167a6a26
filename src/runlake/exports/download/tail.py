"""Request the last bytes of an export: as a suffix range, or by the length of the object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runlake.backend.http.reply import Reply
from runlake.backend.http.statuses import (
    BAD_REQUEST,
    NOT_IMPLEMENTED,
    OK,
    PARTIAL,
    UNSATISFIABLE,
)
from runlake.exports.download.failures import Incomplete, Refused, UnknownRange
from runlake.exports.ranges import ByteRange, parse_content_range
from runlake.exports.validator import Validator

PARQUET = b"PAR1"
UNKNOWN_RANGE = {BAD_REQUEST, NOT_IMPLEMENTED}
MAX_RANGE_TRIES = 2


@dataclass(frozen=True, slots=True)
class Tail:
    """The last bytes of an object.

    Parameters
    ----------
    validator : Validator
        Version and promised digests of the object.
    n_bytes : int
        Length of the whole object.
    start : int
        Offset of ``content`` in the object.
    content : bytes
        Bytes from ``start`` to the end.
    """

    validator: Validator
    n_bytes: int
    start: int
    content: bytes


class TailRequest:
    """Requests the last bytes of an object whose length is known.

    Parameters
    ----------
    n_bytes : int
        Number of bytes; a shorter object is requested whole.
    total : int
        Length of the object.
    """

    n_bytes = 0

    def __init__(self, n_bytes: int, total: int) -> None:
        self._wanted = ByteRange(max(0, total - n_bytes), total)

    def headers(self) -> dict[str, str]:
        """Return the header of the range."""
        return {"Range": self._wanted.header()}

    def take(self, reply: Reply, body: Iterator[bytes]) -> Tail | None:
        """Return the tail; None if the host sends another range or the whole object."""
        expected = (self._wanted, self._wanted.stop)
        return _tail(reply, self._wanted, body) if _span(reply) == expected else None


class SuffixRequest:
    """Requests the last bytes of an object of unknown length.

    Parameters
    ----------
    n_bytes : int
        Number of bytes; a shorter object is requested whole.
    """

    n_bytes = 0

    def __init__(self, n_bytes: int) -> None:
        self.is_ignored = False
        self._wanted = n_bytes
        self._tries = _Tries(f"bytes=-{n_bytes}")

    def headers(self) -> dict[str, str]:
        """Return the header of the range."""
        return self._tries.headers()

    def take(self, reply: Reply, body: Iterator[bytes]) -> Tail | None:
        """Return the tail; None if the host sends the whole object, or no usable version."""
        if reply.status in {OK, UNSATISFIABLE}:
            # This export is downloaded whole. If the host ignored the range, the length of its next
            # export is requested first; but any host may answer 200 if the range covers the object.
            length = reply.headers.get("content-length", "")
            is_all = reply.status == OK and length.isdecimal() and int(length) <= self._wanted
            self.is_ignored = not is_all
            return None
        found = _span(reply)
        if found is None:
            return None
        came, total = found
        if came != ByteRange(max(0, total - self._wanted), total):
            raise UnknownRange
        tail = _tail(reply, came, body)
        # A range of a compressed form of the object does not end with Parquet's magic bytes.
        is_parquet = tail.content.endswith(PARQUET)
        return tail if is_parquet or "content-encoding" not in reply.headers else None


class LengthRequest:
    """Requests the first byte of an object, to learn the object's length."""

    n_bytes = 0

    def __init__(self) -> None:
        self.is_ignored = False
        self._tries = _Tries("bytes=0-0")

    def headers(self) -> dict[str, str]:
        """Return the header of the range."""
        return self._tries.headers()

    def take(self, reply: Reply, body: Iterator[bytes]) -> int | None:
        """Return the object's length; None if the host ignores ranges or does not send it."""
        del body
        self.is_ignored = reply.status == OK
        found = None if reply.status == UNSATISFIABLE else _span(reply)
        return None if found is None else found[1]


class _Tries:
    """A range that is requested at most `MAX_RANGE_TRIES` times.

    A host may close the connection on a kind of range that it does not support.
    """

    def __init__(self, asked: str) -> None:
        self._asked = asked
        self._n_left = MAX_RANGE_TRIES

    def headers(self) -> dict[str, str]:
        if not self._n_left:
            raise UnknownRange
        self._n_left -= 1
        return {"Range": self._asked}


def _span(reply: Reply) -> tuple[ByteRange, int] | None:
    """Return an answer's range and the object's length; None without a usable version."""
    if reply.status in {OK, UNSATISFIABLE}:
        return None
    if reply.status in UNKNOWN_RANGE:
        raise UnknownRange
    if reply.status != PARTIAL:
        raise Refused(reply)
    validator = Validator.from_headers(reply.headers, reply.status)
    span = parse_content_range(reply.headers.get("content-range"))
    return None if validator.condition is None else span


def _tail(reply: Reply, wanted: ByteRange, body: Iterator[bytes]) -> Tail:
    content = b"".join(body)
    if len(content) != wanted.n_bytes:
        raise Incomplete(f"{len(content)} of {wanted.n_bytes} bytes arrived")
    validator = Validator.from_headers(reply.headers, reply.status)
    return Tail(validator, wanted.stop, wanted.start, content)
