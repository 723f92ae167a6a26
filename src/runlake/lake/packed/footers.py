"""Find the row groups of a key in a data file.

Footers are cached, because data files never change.
"""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq
from cachetools import LRUCache

KEY, RUN = 0, 1
# Maximum number of row groups in all cached footers together; each takes some 5 kB.
MAX_GROUPS = 20_000


@dataclass(frozen=True, slots=True)
class Footer:
    """The footer of a data file of a metrics table.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
        The parsed footer.
    highs : list of bytes
        The highest key of each row group, ascending; empty if a row group has no statistics.
    lows : list of bytes
        The lowest key of each row group, ascending; empty if ``highs`` is empty.
    """

    metadata: Any
    highs: list[bytes]
    lows: list[bytes]

    def own_groups(self, key: str) -> list[int]:
        """Return the indexes of a key's row groups if they have only this key; else an empty list.

        Examples
        --------
        >>> footer = Footer(None, [b"a", b"b", b"b", b"e"], [b"a", b"b", b"b", b"c"])
        >>> footer.own_groups("b"), footer.own_groups("d")
        ([1, 2], [])
        """
        found = self.groups(key)
        return found if all(self.lows[one] == self.highs[one] for one in found) else []

    def groups(self, key: str) -> list[int]:
        """Return the indexes of the row groups that can have rows of a key.

        The list is also empty if `highs` is empty, because then it is not known which keys the row
        groups have.

        Examples
        --------
        >>> footer = Footer(None, [b"a", b"b", b"b", b"e"], [b"a", b"b", b"b", b"c"])
        >>> footer.groups("b"), footer.groups("d"), footer.groups("f")
        ([1, 2], [3], [])
        """
        # Parquet orders strings by their bytes.
        wanted = key.encode()
        first = bisect_left(self.highs, wanted)
        return list(range(first, bisect_right(self.lows, wanted, first)))

    def with_runs(self, groups: list[int], low: int, high: int) -> list[int]:
        """Return the given row groups that can have rows of a range of run numbers.

        Parameters
        ----------
        groups : list of int
            Indexes of the row groups to choose from.
        low, high : int
            The lowest and the highest run number, both inclusive.
        """
        found = []
        for one in groups:
            bounds = self.metadata.row_group(one).column(RUN).statistics
            is_known = bounds is not None and bounds.has_min_max
            if not is_known or (bounds.min <= high and bounds.max >= low):
                found.append(one)
        return found


_known: LRUCache[str, Footer] = LRUCache(MAX_GROUPS, lambda one: max(1, len(one.highs)))
_guard = threading.Lock()


def footer_of(path: str, file: Any = None) -> Footer:
    """Return the footer of a data file, from the cache if it was read before.

    Parameters
    ----------
    path : str
        Path or URL of the file.
    file : file object, optional
        The opened file, if it is in object storage. If omitted, ``path`` is opened.

    Raises
    ------
    OSError
        If the file cannot be read. A damaged file raises `pyarrow.ArrowInvalid`, a ValueError.
    """
    with _guard:
        known = _known.get(path)
    if known is not None:
        return known
    metadata = pq.read_metadata(path if file is None else file)
    bounds = [
        metadata.row_group(one).column(KEY).statistics for one in range(metadata.num_row_groups)
    ]
    is_known = all(one is not None and one.has_min_max for one in bounds)
    highs = [one.max.encode() for one in bounds] if is_known else []
    lows = [one.min.encode() for one in bounds] if is_known else []
    found = Footer(metadata, highs, lows)
    with _guard:
        # The cache raises an error for an item that is larger than the whole cache.
        if len(highs) <= MAX_GROUPS:
            _known[path] = found
    return found
