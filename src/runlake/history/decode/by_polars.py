"""Scan exports with polars; keep each scan in memory together with its file's parsed footer."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache, cached

from runlake.exports.footers.stored_types import StoredType
from runlake.history.decode.engines import POLARS, PYARROW, has_refused
from runlake.history.decode.forked import polars_is_usable
from runlake.history.plan.key_columns import KeyColumns
from runlake.history.plan.segments import ExportRead
from runlake.values import StepRange

if TYPE_CHECKING:
    import polars as pl

# Column chunks in cached footers; about 20 MB of memory in polars.
CHUNKS_IN_MEMORY = 1 << 15


def polars_can_scan(read: ExportRead) -> bool:
    """Return whether polars can decode the wanted rows of an export.

    The result is False for types that polars cannot read, and for column names with a NUL, which
    abort polars.

    It is also False if polars has failed on the file before. It is False too if the file's footer
    contradicts the rows, which polars would not notice.

    If only pyarrow has failed on the file before, types and names are not checked.
    """
    if has_refused(read.file, POLARS) or not read.facts.is_as_stated:
        return False
    return has_refused(read.file, PYARROW) or (
        read.facts.is_common and read.columns.once(_can_read)
    )


def _can_read(columns: KeyColumns) -> bool:
    return all("\0" not in column.name and _can_read_type(column.stored) for column in columns)


def _can_read_type(stored: StoredType) -> bool:
    if stored.simple is not None:
        return True
    from runlake.history.plan.arrow_types import polars_can_read

    return polars_can_read(stored.arrow)


def comes_by_pyarrow(read: ExportRead) -> bool:
    """Return whether pyarrow, not polars, decodes the wanted rows of an export."""
    is_slim = read.facts.footer is not None and not has_refused(read.file, PYARROW)
    return is_slim or not (polars_is_usable() and polars_can_scan(read))


def scan_file(read: ExportRead) -> pl.LazyFrame:
    """Return the rows of an export's file as a lazy frame.

    The footer is read now, and all queries over this frame share it. If a slim footer describes the
    wanted columns, pyarrow reads these columns into memory now.
    """
    if read.facts.footer is not None and not has_refused(read.file, PYARROW):
        from runlake.history.decode.by_footer import scan_wide

        return scan_wide(read, read.facts.footer)
    found = read.file.stat()
    return _opened(read, (found.st_ino, found.st_mtime_ns, found.st_ctime_ns))[0]


def scan_files(files: Sequence[Path] | Sequence[str], **options: Any) -> pl.LazyFrame:
    """Return a lazy frame of the rows of several files, in the given order.

    The statistics in the files are not used, because they may be wrong.
    """
    import polars as pl

    # glob=False: the path of a cache may have brackets or stars.
    paths: Any = list(files)
    return pl.scan_parquet(paths, glob=False, use_statistics=False, **options)


def likeness(read: ExportRead, steps: StepRange) -> Hashable:
    """Return a value that is equal for exports that one scan can read together.

    These are whole files with equal columns, in which the rows ascend by step. None means that the
    export must be read alone.
    """
    is_plain = (
        read.is_whole
        and read.is_ascending
        and steps.covers(read.first_step, read.last_step)
        and read.facts.footer is None
        and polars_can_scan(read)
    )
    return (read.columns.fingerprint, read.step_type) if is_plain else None


@cached(
    LRUCache(CHUNKS_IN_MEMORY, getsizeof=lambda opened: opened[1]),
    key=lambda read, version: (read.file, version),
    lock=threading.Lock(),
)
def _opened(read: ExportRead, version: object) -> tuple[pl.LazyFrame, int]:  # noqa: ARG001 - a key
    """Parse the footer of a file; return a scan of the file, and its number of column chunks."""
    scan = scan_files([read.file])
    scan.collect_schema()
    return scan, read.facts.n_columns * len(read.facts.row_groups)
