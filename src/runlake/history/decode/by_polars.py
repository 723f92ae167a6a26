"""Exports as polars sees them; what it read of their footers is kept."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache, cached

from runlake.history.decode.by_footer import scan_wide
from runlake.history.decode.engines import POLARS, PYARROW, has_refused
from runlake.history.decode.forked import polars_is_usable
from runlake.history.plan.arrow_types import polars_can_read
from runlake.history.plan.key_columns import KeyColumns
from runlake.history.plan.segments import ExportRead

if TYPE_CHECKING:
    import polars as pl

# Some 20 MB of what polars keeps of footers.
CHUNKS_IN_MEMORY = 1 << 15


def polars_can_scan(read: ExportRead) -> bool:
    """Tell whether a read brings nothing that polars cannot read, and no name that aborts it.

    A footer whose statements are not those of its rows would mislead it.
    """
    if has_refused(read.file, POLARS) or not read.facts.is_as_stated:
        return False
    return has_refused(read.file, PYARROW) or (
        read.facts.is_common and read.columns.once(_can_read)
    )


def _can_read(columns: KeyColumns) -> bool:
    return all(polars_can_read(column.dtype) and "\0" not in column.name for column in columns)


def comes_by_pyarrow(read: ExportRead) -> bool:
    """Tell whether pyarrow decodes a read, for all that reads rows and frames."""
    is_slim = read.facts.footer is not None and not has_refused(read.file, PYARROW)
    return is_slim or not (polars_is_usable() and polars_can_scan(read))


def scan_file(read: ExportRead) -> pl.LazyFrame:
    """Return a file as polars sees it.

    The footer is read, and stays with the scan for all queries that are made of it.
    """
    wide = None if has_refused(read.file, PYARROW) else scan_wide(read)
    if wide is not None:
        return wide
    found = read.file.stat()
    return _opened(read, (found.st_ino, found.st_mtime_ns, found.st_ctime_ns))[0]


def scan_files(files: list[Path], **options: Any) -> pl.LazyFrame:
    """Scan files one after the other, without a look at the statistics that others wrote."""
    import polars as pl

    return pl.scan_parquet(files, glob=False, use_statistics=False, **options)


@cached(
    LRUCache(CHUNKS_IN_MEMORY, getsizeof=lambda opened: opened[1]),
    key=lambda read, version: (read.file, version),
    lock=threading.Lock(),
)
def _opened(read: ExportRead, version: object) -> tuple[pl.LazyFrame, int]:  # noqa: ARG001 - a key
    """Return a file with its footer read, and how many column chunks that tells of."""
    scan = scan_files([read.file])
    scan.collect_schema()
    return scan, read.facts.n_columns * len(read.facts.row_groups)
