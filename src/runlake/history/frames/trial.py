"""Decode unverified exports once before a lazy query over them is returned to the user.

The user collects a lazy frame or a DuckDB relation later. If polars or DuckDB then fails on a
broken file, runlake cannot mend the file and try again. Files that match a digest from their
storage host are known to be right. Each other file is decoded once per process, before the user
gets the query.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cachetools import LRUCache

from runlake.errors import CacheCorrupt
from runlake.history.decode.corruption import telling_corruption
from runlake.history.decode.expressions import all_named
from runlake.history.frames.sources import open_export
from runlake.history.plan import sizes
from runlake.history.plan.segments import ExportRead
from runlake.history.plan.slices import cut_slices, whole_groups
from runlake.values import STEP

NAMES_IN_MEMORY = 1 << 18
Tried = tuple[str, Path, object, tuple[int, ...]]

_guard = threading.Lock()
_decoded: LRUCache[Tried, frozenset[str]] = LRUCache(NAMES_IN_MEMORY, getsizeof=len)


def try_once(read: ExportRead, engine: str, decode: Callable[[ExportRead], None]) -> None:
    """Find out whether an engine can decode the columns of a read, by decoding them once.

    Nothing is done if this process has decoded them before. Nor is anything done if the file was
    checked against a digest from its storage host: its bytes are then known to be right.

    Parameters
    ----------
    read : ExportRead
        The file, and the row groups and columns to decode.
    engine : str
        Name of the engine that the callable ``decode`` uses: polars or DuckDB.
    decode : callable
        Decodes all cells of the read, and discards them.

    Raises
    ------
    CacheCorrupt
        If the engine cannot decode the file.
    """
    # The digest matched when the file arrived, so no decoding can show that bytes are damaged.
    if read.is_promised:
        return
    with telling_corruption(read.file):
        found = read.file.stat()
        version = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
        key = (engine, read.file, version, read.row_groups)
        names = frozenset(column.name for column in read.columns) | {STEP}
        with _guard:
            known = _decoded.get(key, frozenset())
        if names <= known:
            return
        decode(read)
    # LRUCache raises ValueError for an entry above its limit: that file is decoded again next time.
    with _guard, suppress(ValueError):
        _decoded[key] = names | known


def decode_frame(read: ExportRead) -> None:
    """Decode the wanted columns and row groups of an export as for a frame; discard the cells."""
    names = list(dict.fromkeys([STEP, *(column.name for column in read.columns)]))
    scan = open_export(read).select(all_named(names))
    groups = whole_groups([group.n_rows for group in read.facts.row_groups], read.row_groups)
    n_rows = sizes.rows_of(sizes.CELLS_PER_BATCH, len(names) - 1)
    for place in cut_slices(groups, n_rows, n_rows):
        scan.slice(place.offset, place.n_rows).collect()


def is_decodable(read: ExportRead, decode: Callable[[ExportRead], None]) -> bool:
    """Return whether ``decode`` decodes a read without an error."""
    try:
        with telling_corruption(read.file):
            decode(read)
    except CacheCorrupt:
        return False
    return True
