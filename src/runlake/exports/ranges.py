"""Join, subtract and split byte ranges, and parse ``Content-Range`` headers; without I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# Python refuses to parse integers of thousands of digits; no object has more bytes than this.
CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """Bytes from ``start``, inclusive, to ``stop``, exclusive.

    Examples
    --------
    >>> ByteRange(4, 8).header(), ByteRange(4, 8).n_bytes
    ('bytes=4-7', 4)
    """

    start: int
    stop: int

    @property
    def n_bytes(self) -> int:
        """Number of bytes in the range."""
        return self.stop - self.start

    def header(self) -> str:
        """Return the value of the ``Range`` header for this range."""
        return f"bytes={self.start}-{self.stop - 1}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A range of bytes on disk, ``start`` inclusive and ``stop`` exclusive, with their CRC32C."""

    start: int
    stop: int
    crc32c: int

    @property
    def range(self) -> ByteRange:
        """The range without its checksum."""
        return ByteRange(self.start, self.stop)


def coalesce(
    ranges: Iterable[ByteRange], *, max_waste: float = 0.05, n_requests_cost: int = 1 << 20
) -> list[ByteRange]:
    """Join ranges with small gaps, to make fewer requests, at the cost of a few unneeded bytes.

    Parameters
    ----------
    ranges : iterable of ByteRange
        Ranges in any order. They may overlap; empty ranges are dropped.
    max_waste : float
        Maximum number of bytes in joined gaps, as a fraction of the bytes in ``ranges``. The
        smallest gaps are joined first.
    n_requests_cost : int
        Maximum number of bytes in one joined gap: downloading a longer gap would cost more time
        than another request.

    Returns
    -------
    list of ByteRange
        Ascending, disjoint ranges that cover ``ranges``.

    Examples
    --------
    >>> coalesce([ByteRange(0, 100), ByteRange(105, 200), ByteRange(900, 1000)])
    [ByteRange(start=0, stop=200), ByteRange(start=900, stop=1000)]
    """
    wanted = _united(ranges)
    budget = max_waste * sum(one.n_bytes for one in wanted)
    gaps = sorted((wanted[i + 1].start - wanted[i].stop, i) for i in range(len(wanted) - 1))
    joined = set()
    for gap, index in gaps:
        budget -= gap
        if budget < 0 or gap > n_requests_cost:
            break
        joined.add(index)
    result: list[ByteRange] = []
    for index, one in enumerate(wanted):
        if index - 1 in joined:
            result[-1] = ByteRange(result[-1].start, one.stop)
        else:
            result.append(one)
    return result


def subtract(wanted: Iterable[ByteRange], held: Iterable[ByteRange]) -> list[ByteRange]:
    """Return the parts of ``wanted`` that are not in ``held``, as ascending, disjoint ranges.

    Examples
    --------
    >>> subtract([ByteRange(0, 10)], [ByteRange(2, 4), ByteRange(8, 20)])
    [ByteRange(start=0, stop=2), ByteRange(start=4, stop=8)]
    """
    missing = []
    taken = _united(held)
    first = 0
    for one in _united(wanted):
        start = one.start
        while first < len(taken) and taken[first].stop <= start:
            first += 1
        for other in taken[first:]:
            if other.start >= one.stop:
                break
            if other.start > start:
                missing.append(ByteRange(start, other.start))
            start = max(start, other.stop)
        if start < one.stop:
            missing.append(ByteRange(start, one.stop))
    return missing


def split(ranges: Iterable[ByteRange], max_bytes: int) -> list[ByteRange]:
    """Divide ranges into pieces of at most ``max_bytes`` bytes, in the given order.

    Examples
    --------
    >>> split([ByteRange(0, 5)], 3)
    [ByteRange(start=0, stop=3), ByteRange(start=3, stop=5)]
    """
    return [
        ByteRange(start, min(start + max_bytes, one.stop))
        for one in ranges
        for start in range(one.start, one.stop, max_bytes)
    ]


def parse_content_range(text: str | None) -> tuple[ByteRange, int] | None:
    """Parse a ``Content-Range`` header.

    Parameters
    ----------
    text : str or None
        The header's value.

    Returns
    -------
    tuple of ByteRange and int, or None
        The range of the response's body, and the length of the whole object; None if the header
        lacks one of the two, or is malformed.

    Examples
    --------
    >>> parse_content_range("bytes 4-7/100")
    (ByteRange(start=4, stop=8), 100)
    """
    found = CONTENT_RANGE.fullmatch((text or "").strip())
    if found is None:
        return None
    first, last, total = map(int, found.groups())
    return (ByteRange(first, last + 1), total) if first <= last < total else None


def _united(ranges: Iterable[ByteRange]) -> list[ByteRange]:
    result: list[ByteRange] = []
    for one in sorted(ranges):
        if one.stop <= one.start:
            continue
        if result and one.start <= result[-1].stop:
            result[-1] = ByteRange(result[-1].start, max(result[-1].stop, one.stop))
        else:
            result.append(one)
    return result
