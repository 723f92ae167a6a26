"""Find the parts of packed data files whose bytes have changed, by the checksums of Parquet pages.

Parquet stores a CRC32 with each page. pyarrow writes and compares these checksums if it is told to;
polars and DuckDB ignore them. Files that earlier versions of runlake wrote have no checksums, and
changed bytes of such files are found only if the bytes cannot be decoded.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.lake.packed.moment import PackedFile

RUN = "run"
# The lowest and the highest run number of a row group.
RunBounds: TypeAlias = tuple[int, int]
ALL_RUNS: RunBounds = (0, 2**31)


def damaged_bounds(file: PackedFile) -> tuple[RunBounds, ...]:
    """Return the lowest and highest run number of each damaged row group of a file on this machine.

    All rows of the file are read, once as long as the file is unchanged. If the file is gone or its
    footer is damaged, the result is one pair that includes every run number.
    """
    try:
        status = Path(file.path).stat()
    except OSError:
        return (ALL_RUNS,)
    return _damaged_bounds(file.path, (status.st_ino, status.st_size, status.st_mtime_ns))


# For a lake, many runs are checked one after another, and each file has rows of many runs.
@lru_cache(maxsize=4096)
def _damaged_bounds(path: str, identity: tuple[int, int, int]) -> tuple[RunBounds, ...]:
    del identity
    found: list[RunBounds] = []
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as source:
            for group in range(source.num_row_groups):
                try:
                    source.read_row_group(group)
                except (OSError, pa.ArrowException):
                    found.append(_bounds(source.metadata.row_group(group)))
    except (OSError, pa.ArrowException):
        return (ALL_RUNS,)
    return tuple(found)


def _bounds(group: pq.RowGroupMetaData) -> RunBounds:
    for at in range(group.num_columns):
        column = group.column(at)
        if column.path_in_schema == RUN and column.statistics is not None:
            return int(column.statistics.min), int(column.statistics.max)
    return ALL_RUNS
