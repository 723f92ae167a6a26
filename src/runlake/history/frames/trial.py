"""Exports decoded once before a query over them is given away.

A frame or a relation is collected by the user, and what an engine raises then is no error of ours.
Files whose digest was compared with that of their host are known to be right; the others are
decoded once, and what decoded is kept in memory.
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
    """Decode what a read wants of a file, unless it is known to be right.

    Parameters
    ----------
    read : ExportRead
        The read.
    engine : str
        Who decodes.
    decode : callable
        Decodes all cells of the read, and keeps none.

    Raises
    ------
    CacheCorrupt
        If the engine cannot.
    """
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
    # What is too much for the memory is refused by it, and decoded again.
    with _guard, suppress(ValueError):
        _decoded[key] = names | known


def decode_frame(read: ExportRead) -> None:
    """Decode a read as frames do, in bounded memory."""
    names = list(dict.fromkeys([STEP, *(column.name for column in read.columns)]))
    scan = open_export(read).select(all_named(names))
    groups = whole_groups([group.n_rows for group in read.facts.row_groups], read.row_groups)
    n_rows = sizes.rows_of(sizes.CELLS_PER_BATCH, len(names) - 1)
    for place in cut_slices(groups, n_rows, n_rows):
        scan.slice(place.offset, place.n_rows).collect()


def is_decodable(read: ExportRead, decode: Callable[[ExportRead], None]) -> bool:
    """Tell whether an engine decodes a read."""
    try:
        with telling_corruption(read.file):
            decode(read)
    except CacheCorrupt:
        return False
    return True
