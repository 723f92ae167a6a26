"""Where the column chunks of an export lie, and which row groups a range of steps may touch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.exports.footers.schema import leaf_positions
from runlake.exports.ranges import ByteRange
from runlake.values import STEP


def chunk_ranges(
    metadata: pq.FileMetaData,
    schema: pa.Schema,
    wanted: Mapping[str, Iterable[int]],
) -> list[ByteRange]:
    """Return where column chunks lie in the file.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
        The footer.
    schema : pyarrow.Schema
        Of the same file.
    wanted : mapping of str to iterable of int
        Row groups by column; columns that the file lacks are left out.

    Returns
    -------
    list of ByteRange
        One per chunk (Parquet format, ``ColumnMetaData``), in no order.
    """
    leaves = leaf_positions(schema)
    ranges = []
    for name, groups in wanted.items():
        if name not in leaves:
            continue
        for group in groups:
            for leaf in range(*leaves[name][:2]):
                chunk = metadata.row_group(group).column(leaf)
                start = chunk.data_page_offset
                # Some writers note a dictionary offset of 0 for "none".
                if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                    start = min(start, chunk.dictionary_page_offset)
                ranges.append(ByteRange(start, start + chunk.total_compressed_size))
    return ranges


def touched_row_groups(
    metadata: pq.FileMetaData, schema: pa.Schema, start: int, stop: int | None
) -> tuple[int, ...]:
    """Return the row groups that may hold a step of ``start <= step < stop``, by statistics."""
    leaves = leaf_positions(schema)
    touched = []
    for index in range(metadata.num_row_groups):
        bounds = None
        if STEP in leaves:
            bounds = metadata.row_group(index).column(leaves[STEP][0]).statistics
        if bounds is None or not bounds.has_min_max or _overlaps(bounds, start, stop):
            touched.append(index)
    return tuple(touched)


def _overlaps(bounds: pq.Statistics, start: int, stop: int | None) -> bool:
    # Of NaN neither is known.
    return not (bounds.max < start or (stop is not None and bounds.min >= stop))
