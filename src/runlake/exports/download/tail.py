"""The last bytes of an export: asked for as a suffix, or by the length of the object."""

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
        Which version it is.
    n_bytes : int
        Length of the whole object.
    start : int
        Where the content begins.
    content : bytes
        From ``start`` to the end.
    """

    validator: Validator
    n_bytes: int
    start: int
    content: bytes


class TailRequest:
    """Asks for the last bytes of an object whose length is known.

    Parameters
    ----------
    n_bytes : int
        How many; all of a shorter object.
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
        """Return the tail; None of another range, or of the whole object."""
        expected = (self._wanted, self._wanted.stop)
        return _tail(reply, self._wanted, body) if _span(reply) == expected else None


class SuffixRequest:
    """Asks for the last bytes of an object, whatever its length.

    Parameters
    ----------
    n_bytes : int
        How many; all of a shorter object.
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
        """Return the tail; None of the whole object, or where the host says too little of it."""
        if reply.status in {OK, UNSATISFIABLE}:
            # This one comes whole; the next is asked for its length first. Any host may answer with
            # 200 where the range is all of an object.
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
        # Bytes of an encoded form of the object end otherwise.
        is_parquet = tail.content.endswith(PARQUET)
        return tail if is_parquet or "content-encoding" not in reply.headers else None


class LengthRequest:
    """Asks for the first byte of an object, and so for its length."""

    n_bytes = 0

    def __init__(self) -> None:
        self.is_ignored = False
        self._tries = _Tries("bytes=0-0")

    def headers(self) -> dict[str, str]:
        """Return the header of the range."""
        return self._tries.headers()

    def take(self, reply: Reply, body: Iterator[bytes]) -> int | None:
        """Return the length; None where the host ignores ranges, or does not tell."""
        del body
        self.is_ignored = reply.status == OK
        found = None if reply.status == UNSATISFIABLE else _span(reply)
        return None if found is None else found[1]


class _Tries:
    """A range that is asked for some times only: a host may hang up on what it does not know."""

    def __init__(self, asked: str) -> None:
        self._asked = asked
        self._n_left = MAX_RANGE_TRIES

    def headers(self) -> dict[str, str]:
        if not self._n_left:
            raise UnknownRange
        self._n_left -= 1
        return {"Range": self._asked}


def _span(reply: Reply) -> tuple[ByteRange, int] | None:
    """Return what came of how much, None where that says too little to go on with."""
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
        raise Incomplete(f"{len(content)} of {wanted.n_bytes} bytes came")
    validator = Validator.from_headers(reply.headers, reply.status)
    return Tail(validator, wanted.stop, wanted.start, content)
