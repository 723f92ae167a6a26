"""Find the byte ranges of column chunks, and the row groups of a range of steps."""

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
    """Return the byte ranges of column chunks.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
        The footer.
    schema : pyarrow.Schema
        Schema of the same file.
    wanted : mapping of str to iterable of int
        Row groups by column; columns that the file lacks are ignored.

    Returns
    -------
    list of ByteRange
        One range per chunk (Parquet format, ``ColumnMetaData``), in no particular order.
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
                # Some writers set the dictionary offset to 0 if there is no dictionary.
                if chunk.has_dictionary_page and chunk.dictionary_page_offset:
                    start = min(start, chunk.dictionary_page_offset)
                ranges.append(ByteRange(start, start + chunk.total_compressed_size))
    return ranges


def touched_row_groups(
    metadata: pq.FileMetaData, schema: pa.Schema, start: int, stop: int | None
) -> tuple[int, ...]:
    """Return the row groups that may have a step of ``start <= step < stop``, by statistics."""
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
    # Written so that NaN bounds count as overlapping: every comparison with NaN is False.
    return not (bounds.max < start or (stop is not None and bounds.min >= stop))
