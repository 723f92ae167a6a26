"""Keep the first rows of recently read runs in memory, because runs are often read again."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from contextlib import suppress
from typing import TYPE_CHECKING

from cachetools import LRUCache

from runlake.history.decode.queries import SliceQuery

if TYPE_CHECKING:
    import polars as pl

BYTES_IN_MEMORY = 16 << 20
# A first slice has 1 MiB of numbers, unless most of its cells are null.
MAX_SLICE_BYTES = 4 << 20

_guard = threading.Lock()
_known: LRUCache[Hashable, tuple[pl.DataFrame, int]] = LRUCache(
    BYTES_IN_MEMORY, getsizeof=lambda known: known[1]
)


def collect_first(query: SliceQuery) -> pl.DataFrame:
    """Return the rows of a read's first query; decode them unless they are in memory.

    The rows in memory are used only if the file is unchanged.
    """
    key = _key(query)
    with _guard:
        known = None if key is None else _known.get(key)
    if known is not None:
        return known[0]
    frame = query.collect()
    n_bytes = int(frame.estimated_size())
    if key is not None and n_bytes <= MAX_SLICE_BYTES:
        with _guard:
            # At least one byte: the cache would never drop frames of the size 0.
            _known[key] = frame, n_bytes + 1
    return frame


def forget_first_slices() -> None:
    """Drop all rows that this module keeps in memory."""
    with _guard:
        _known.clear()


def _key(query: SliceQuery) -> Hashable:
    """Return a cache key for a query of one file; None for several files or a missing file."""
    if query.others:
        return None
    with suppress(OSError):
        found = query.read.file.stat()
        version = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        fingerprint = query.read.columns.fingerprint
        return query.read.file, version, query.rows, query.steps, query.projection, fingerprint
    return None
