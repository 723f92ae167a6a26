"""Decide between a whole export and some of its column chunks, by bytes and requests (pure)."""

from __future__ import annotations

from dataclasses import dataclass

# Below this, requests for parts take longer than the whole file.
SMALL_BYTES = 1 << 20
# The cost of one more request, in bytes that could be downloaded in the same time.
REQUEST_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Extent:
    """How much of an export to download, and why.

    Parameters
    ----------
    is_whole : bool
        True for the whole export, False for only the column chunks that a read needs.
    reason : str
        The reason, as the end of a sentence for people.
    """

    is_whole: bool
    reason: str


def choose_extent(n_bytes: int, held_bytes: int, missing_bytes: int, n_requests: int) -> Extent:
    """Decide whether to download the rest of an export or only what a read needs now.

    Parameters
    ----------
    n_bytes : int
        Length of the export.
    held_bytes : int
        Bytes on disk already.
    missing_bytes : int
        Further bytes that the read needs.
    n_requests : int
        Number of requests for the missing bytes.

    Returns
    -------
    Extent
        The whole export if it is small, or if more than half of it would be on disk, with each
        request counted as 64 KiB.

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
        return Extent(True, f"{held_bytes + missing_bytes:,} of {n_bytes:,} bytes are needed")
    return Extent(False, f"only {held_bytes + missing_bytes:,} of {n_bytes:,} bytes are needed")
