"""A whole export or some of its column chunks: one decision by bytes and round trips (pure)."""

from __future__ import annotations

from dataclasses import dataclass

SMALL_BYTES = 1 << 20
REQUEST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of an export to hold, and why.

    Parameters
    ----------
    is_whole : bool
        All of it; otherwise only the wanted column chunks.
    reason : str
        For people.
    """

    is_whole: bool
    reason: str


def choose_extent(n_bytes: int, held_bytes: int, missing_bytes: int, n_requests: int) -> Extent:
    """Decide whether to fetch the rest of an export or only what is missing now.

    Parameters
    ----------
    n_bytes : int
        Length of the export.
    held_bytes : int
        Bytes on disk already.
    missing_bytes : int
        Bytes that the read needs besides.
    n_requests : int
        Requests that those take.

    Returns
    -------
    Extent
        Whole where the export is small, or where more than half of it would be on disk, counting
        each request as 64 KiB.

    Examples
    --------
    >>> choose_extent(100_000_000, 70_000, 100_000, 2).is_whole
    False
    >>> choose_extent(100_000_000, 30_000_000, 25_000_000, 2).is_whole
    True
    """
    if n_bytes <= SMALL_BYTES:
        return Extent(True, f"it has {n_bytes:,} bytes only")
    cost = held_bytes + missing_bytes + n_requests * REQUEST_BYTES
    if cost > n_bytes // 2:
        return Extent(True, f"{held_bytes + missing_bytes:,} of {n_bytes:,} bytes are wanted")
    return Extent(False, f"only {held_bytes + missing_bytes:,} of {n_bytes:,} bytes are wanted")
