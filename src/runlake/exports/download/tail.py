"""Download the last bytes of an export, with the kinds of ranges that its host supports."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import google_crc32c

from runlake.backend.http.client import Client
from runlake.backend.http.reply import Reply
from runlake.backend.http.statuses import (
    BAD_REQUEST,
    NOT_IMPLEMENTED,
    OK,
    PARTIAL,
    UNSATISFIABLE,
)
from runlake.exports.download.failures import Incomplete, Refused, UnknownRange
from runlake.exports.ranges import ByteRange, Piece, parse_content_range
from runlake.exports.validator import Validator

PARQUET = b"PAR1"
UNKNOWN_RANGE = {BAD_REQUEST, NOT_IMPLEMENTED}
MAX_RANGE_TRIES = 2


@dataclass(frozen=True, slots=True)
class Tail:
    """The last bytes of an export.

    Parameters
    ----------
    validator : Validator
        The version of the export, and the digests that the host sent.
    n_bytes : int
        Length of the whole export.
    start : int
        Offset of ``content`` in the export.
    content : bytes
        Bytes from ``start`` to the end.
    """

    validator: Validator
    n_bytes: int
    start: int
    content: bytes

    @property
    def piece(self) -> Piece:
        """The range of the content, with its checksum."""
        return Piece(self.start, self.n_bytes, google_crc32c.value(self.content))


class RangeSupport:
    """The kinds of ranges that a storage host is known to support, shared by all threads."""

    def __init__(self) -> None:
        self.has_suffixes = True
        self.has_ranges = True


class TailDownload:
    """The download of the last bytes of an export, in one request, or in several for some hosts.

    If the length of the export is known, the last bytes are requested by their offset. Else they
    are requested as a suffix range (``bytes=-N``). Some hosts do not support suffix ranges. If a
    host answers 400 or 501, sends another range, or sends nothing, two further requests are sent.
    The first is for the export's first byte, because the response states the length of the export.
    The second is for the last bytes, by their offset.

    If the host answers the suffix range with 416 or 200, nothing is downloaded. After a 416, or a
    200 with more bytes than were requested, no suffix range is requested for other exports of this
    host. The same holds once the request for the first byte has succeeded.

    Parameters
    ----------
    n_wanted : int
        Number of bytes; a shorter export is requested whole.
    total : int or None
        Length of the export, if known.
    client : Client
        Client of the backend. The kinds of ranges that its storage hosts support are remembered
        while the client exists.
    host : str
        The storage host.
    """

    n_bytes = 0

    def __init__(self, n_wanted: int, total: int | None, client: Client, host: str) -> None:
        self.tail: Tail | None = None
        self._n_wanted = n_wanted
        self._total = total
        self._support = _support(client, host)
        self._is_suffix = self._support.has_suffixes
        self._n_tries = 0
        self.is_complete = total is None and not self._support.has_ranges

    def headers(self) -> dict[str, str]:
        """Return the ``Range`` header of the next request."""
        if self._total is not None:
            return {"Range": self._range(self._total).header()}
        if self._n_tries == MAX_RANGE_TRIES:
            self._give_up()
        self._n_tries += 1
        # A suffix range needs no length, so one request is enough. Hosts without suffix ranges are
        # asked for one byte instead, whose Content-Range states the length.
        return {"Range": f"bytes=-{self._n_wanted}" if self._is_suffix else "bytes=0-0"}

    def take(self, reply: Reply, body: Iterator[bytes]) -> None:
        """Read a response: the last bytes of the export, or only the export's length.

        If the response contains neither, the next request uses another kind of range, or the
        download ends without a result.

        Raises
        ------
        UnknownRange
            If the host supports no kind of range with which the last bytes can be requested.
        """
        if self._total is not None:
            self._take_range(reply, body, self._range(self._total))
        elif self._is_suffix:
            self._take_suffix(reply, body)
        else:
            self._take_length(reply)

    def _take_suffix(self, reply: Reply, body: Iterator[bytes]) -> None:
        if reply.status in UNKNOWN_RANGE:
            self._give_up()
            return
        if reply.status in {OK, UNSATISFIABLE}:
            # This export is downloaded whole. If the host ignored the range, the length of its next
            # export is requested first; but any host may answer 200 if the range covers the object.
            length = reply.headers.get("content-length", "")
            is_all = reply.status == OK and length.isdecimal() and int(length) <= self._n_wanted
            self._support.has_suffixes = self._support.has_suffixes and is_all
        elif (found := _span(reply)) is not None:
            came, total = found
            if came != self._range(total):
                self._give_up()
                return
            tail = _tail(reply, came, body)
            # A range of a compressed form of the object does not end with Parquet's magic bytes.
            is_parquet = tail.content.endswith(PARQUET)
            self.tail = tail if is_parquet or "content-encoding" not in reply.headers else None
        self.is_complete = True

    def _take_length(self, reply: Reply) -> None:
        if reply.status == OK:
            self._support.has_ranges = False
        found = _span(reply)
        if found is None:
            self.is_complete = True
        else:
            self._total = found[1]
            self._support.has_suffixes = False

    def _take_range(self, reply: Reply, body: Iterator[bytes], wanted: ByteRange) -> None:
        if _span(reply) == (wanted, wanted.stop):
            self.tail = _tail(reply, wanted, body)
        self.is_complete = True

    def _give_up(self) -> None:
        """Let the next request ask for the export's length, instead of a suffix range.

        Raise `UnknownRange` if the length was requested already. This method is also called after
        `MAX_RANGE_TRIES` failures, because a host may close the connection on a kind of range that
        it does not support.
        """
        if not self._is_suffix:
            raise UnknownRange
        self._is_suffix = False
        self._n_tries = 0

    def _range(self, total: int) -> ByteRange:
        return ByteRange(max(0, total - self._n_wanted), total)


_guard = threading.Lock()
_known: WeakKeyDictionary[Client, dict[str, RangeSupport]] = WeakKeyDictionary()


def _support(client: Client, host: str) -> RangeSupport:
    with _guard:
        return _known.setdefault(client, {}).setdefault(host, RangeSupport())


def _span(reply: Reply) -> tuple[ByteRange, int] | None:
    """Return the range in a response, and the whole export's length.

    Return None if the response does not state both, or if it has no ETag or date that later
    requests could require in ``If-Range``.
    """
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
