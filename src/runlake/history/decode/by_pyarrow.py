"""Decode exports with pyarrow: in forked processes, and for types that polars cannot read."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runlake.exports.footers.facts import ExportFacts
from runlake.history.decode.batches import Batch, Reads
from runlake.history.decode.corruption import telling_corruption
from runlake.history.plan import sizes
from runlake.history.plan.key_columns import Column
from runlake.history.plan.segments import ExportRead
from runlake.values import STEP, Projection, StepRange


def decode_pyarrow(
    reads: Reads,
    projection: Projection,
    first_rows: int,
    n_sharing: int,
) -> Iterator[Batch]:
    """Yield the rows of exports in batches.

    The arguments are those of `runlake.history.decode.decode.decode_exports`.
    """
    for read, steps in reads:
        n_rows = min(sizes.PYARROW_ROWS, sizes.rows_per_slice(len(read.columns), n_sharing))
        with telling_corruption(read.file):
            for batch in _read_batches(read, projection, steps, n_rows):
                # A small first batch, so that its rows are built soon.
                yield batch.cut(0, first_rows)
                if len(batch) > first_rows:
                    yield batch.cut(first_rows, len(batch) - first_rows)
                first_rows = sizes.PYARROW_ROWS


def _read_batches(
    read: ExportRead, projection: Projection, steps: StepRange, n_rows: int
) -> Iterator[Batch]:
    columns = read.columns
    names = list(dict.fromkeys([STEP, *(column.name for column in columns)]))
    footer = read.facts.footer
    metadata = None if footer is None else pq.read_metadata(pa.BufferReader(footer))
    with pq.ParquetFile(read.file, metadata=metadata, page_checksum_verification=True) as parquet:
        # One row group at a time: pyarrow cannot read nested strings across row groups.
        batches = (
            batch
            for index in read.row_groups
            for batch in _row_group(parquet, index, names, read.facts, n_rows)
        )
        for raw in batches:
            # Find invalid UTF-8 here; otherwise it would fail only where cells are converted.
            raw.validate(full=True)
            arrays = tuple(_stored(raw, column) for column in columns)
            masks, whole = _whole_steps(raw.column(STEP), steps)
            masks += _key_masks(columns, arrays, projection)
            for mask in masks[1:]:
                masks[0] = pc.and_(masks[0], mask)
            if masks and not pc.all(masks[0]).as_py():
                whole = whole.filter(masks[0])
                arrays = tuple(array.filter(masks[0]) for array in arrays)
            yield Batch(whole, columns, arrays)


def _row_group(
    parquet: pq.ParquetFile, index: int, names: list[str], facts: ExportFacts, n_rows: int
) -> Iterator[pa.RecordBatch]:
    if facts.is_as_stated:
        yield from parquet.iter_batches(n_rows, row_groups=[index], columns=names)
        return
    # The footer's row counts are wrong: batches would end there, but a table has all rows.
    table: pa.Table = parquet.read_row_group(index, columns=names)
    yield from table.combine_chunks().to_batches(max_chunksize=n_rows)


def _stored(batch: pa.RecordBatch, column: Column) -> pa.Array:
    # By name, because pyarrow selects by prefix: for 'a' it also returns 'a.b'.
    array = batch.column(column.name)
    for name in column.path[1:]:
        array = pc.struct_field(array, name)
    # pyarrow can neither filter nor take views.
    if pa.types.is_string_view(array.type):
        return array.cast(pa.large_string())
    return array.cast(pa.large_binary()) if pa.types.is_binary_view(array.type) else array


def _whole_steps(column: pa.Array, steps: StepRange) -> tuple[list[pa.Array], pa.Array]:
    """Find the rows whose steps are in a range.

    Return several boolean masks, and the steps of all rows as int64. The rows to keep are those
    that are true in all masks.
    """
    # Steps that int64 cannot hold are masked, and replaced so that the cast does not fail.
    if pa.types.is_floating(column.type):
        is_step = pc.fill_null(pc.less(pc.abs(column), 2.0**63), fill_value=False)
        column = pc.if_else(is_step, column, 0.0)
    elif pa.types.is_uint64(column.type):
        is_step = pc.fill_null(pc.less(column, pa.scalar(2**63, pa.uint64())), fill_value=False)
        column = pc.if_else(is_step, column, pa.scalar(0, pa.uint64()))
    else:
        is_step = pc.is_valid(column)
    whole = pc.cast(column, pa.int64(), safe=False)
    is_in = pc.fill_null(pc.greater_equal(whole, steps.start), fill_value=False)
    masks = [is_step, is_in]
    if steps.stop is not None:
        masks.append(pc.fill_null(pc.less(whole, steps.stop), fill_value=False))
    return masks, whole


def _key_masks(
    columns: tuple[Column, ...], arrays: tuple[pa.Array, ...], projection: Projection
) -> list[pa.Array]:
    if not projection.keys:
        return []
    present: dict[str, pa.Array] = {}
    for column, array in zip(columns, arrays, strict=True):
        key = column.key if projection.how == "all" else ""
        is_valid = pc.is_valid(array)
        present[key] = pc.or_(present[key], is_valid) if key in present else is_valid
    return list(present.values())
