"""Find the column chunks that a read of some keys and steps needs, and their byte ranges."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.exports.footers.known_columns import columns_for, parents_of
from runlake.exports.footers.schema import leaf_positions
from runlake.exports.footers.stored_types import StoredType
from runlake.exports.ranges import ByteRange
from runlake.values import STEP, Question, StepRange

Chunks = Mapping[str, tuple[int, ...]]  # for each column, indices of row groups


def chunk_ranges(
    metadata: pq.FileMetaData,
    schema: pa.Schema,
    wanted: Chunks,
) -> list[ByteRange]:
    """Return the byte range of each wanted column chunk.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
        The footer.
    schema : pyarrow.Schema
        Schema of the same file.
    wanted : mapping of str to tuple of int
        Indices of the row groups to read for each column; columns that the file does not have are
        ignored.

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


def chunks_by_statistics(
    metadata: pq.FileMetaData, schema: pa.Schema, question: Question
) -> Chunks:
    """Return the column chunks that may contain the requested keys and steps.

    Row groups are left out if their statistics show that they contain none of the steps. All chunks
    of ``_step`` are always returned, because only all steps show whether the rows are in step
    order. The order decides how the file is read.
    """
    touched = _touched_row_groups(metadata, schema, question.steps)
    chunks = dict.fromkeys(question_columns(schema, question), touched)
    if STEP in schema.names:
        chunks[STEP] = tuple(range(metadata.num_row_groups))
    return chunks


def question_columns(schema: pa.Schema, question: Question) -> list[str]:
    """Return the columns that can contain the requested keys; `Question.keys` must not be None."""
    keys = question.keys or ()
    wanted = {*keys, *parents_of(keys)}
    types = {field.name: StoredType.of(field.type) for field in schema if field.name in wanted}
    return columns_for(keys, types)


def _touched_row_groups(
    metadata: pq.FileMetaData, schema: pa.Schema, steps: StepRange
) -> tuple[int, ...]:
    leaves = leaf_positions(schema)
    touched = []
    for index in range(metadata.num_row_groups):
        bounds = None
        if STEP in leaves:
            bounds = metadata.row_group(index).column(leaves[STEP][0]).statistics
        if bounds is None or not bounds.has_min_max or _overlaps(bounds, steps):
            touched.append(index)
    return tuple(touched)


def _overlaps(bounds: pq.Statistics, steps: StepRange) -> bool:
    # Written so that NaN bounds count as overlapping: every comparison with NaN is False.
    is_after = steps.stop is not None and bounds.min >= steps.stop
    return not (bounds.max < steps.start or is_after)
