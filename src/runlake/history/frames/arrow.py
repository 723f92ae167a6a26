"""Read the rows of a plan as Arrow record batches; only a few batches are in memory at once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import polars as pl
import pyarrow as pa

from runlake.history.decode.batches import cut_by_texts
from runlake.history.decode.corruption import telling_corruption
from runlake.history.decode.expressions import to_arrow
from runlake.history.decode.prefetch import run_ahead
from runlake.history.decode.selection import select_columns
from runlake.history.frames.answer_types import Types
from runlake.history.frames.sources import (
    check_polars,
    empty_frame,
    export_frame,
    keep_rows,
    live_frame,
    open_export,
    segment_frames,
)
from runlake.history.live.spool import LiveRows
from runlake.history.plan import sizes
from runlake.history.plan.plan import Plan
from runlake.history.plan.segments import ExportRead, Segment
from runlake.history.plan.slices import cut_slices, whole_groups
from runlake.history.rows.windows import cut_windows
from runlake.values import STEP, StepRange


def answer_schema(types: Types) -> pa.Schema:
    """Return the Arrow schema of a read's result: ``_step``, then a column per key."""
    check_polars()
    # Convert one column per type, because polars takes 30 us for each column.
    made = {
        dtype: to_arrow(empty_frame({"": dtype})).field("").type for dtype in set(types.values())
    }
    return pa.schema([(STEP, pa.int64()), *((key, made[dtype]) for key, dtype in types.items())])


def record_batches(
    plan: Plan, types: Types, live: LiveRows, schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield a plan's rows as Arrow batches, ascending; raise `CacheCorrupt` if a file is broken."""
    # polars exports a stream in a fifth of the time of single batches, but with other string types.
    is_stream = all(pa.types.is_primitive(dtype) for dtype in schema.types) and not any(
        "\0" in name for name in schema.names
    )
    with telling_corruption(*(read.file for read in plan.exports)):
        for frame in iter_frames(plan, types, live):
            made = (
                pa.RecordBatchReader.from_stream(frame)
                if is_stream
                else chain.from_iterable(to_arrow(f).to_batches() for f in cut_by_texts(frame))
            )
            for batch in made:
                if len(batch):
                    yield batch.cast(schema) if batch.schema != schema else batch


def iter_frames(plan: Plan, types: Types, live: LiveRows) -> Iterator[pl.DataFrame]:
    """Yield the rows of a plan as frames of bounded size, ascending by step over all frames."""
    yield from run_ahead(query.collect for query in _queries(plan, types, live))


def _queries(plan: Plan, types: Types, live: LiveRows) -> Iterator[pl.LazyFrame]:
    """Yield the lazy frames that `iter_frames` collects, ascending by step."""
    for segment in plan.segments:
        for frame in _segment_frames(segment, types, live):
            yield keep_rows(frame, plan.projection)
    if plan.walk is not None:
        for page in live.between(plan.walk):
            yield keep_rows(live_frame(page, types), plan.projection)


def _segment_frames(segment: Segment, types: Types, live: LiveRows) -> Iterator[pl.LazyFrame]:
    if segment.needs_merge:
        for window in cut_windows(segment):
            yield from segment_frames(window, types, live.between(window.steps))
        return
    for read in segment.reads:
        yield from _export_frames(read, types, segment.steps)
    if segment.live_steps:
        for page in live.between(segment.steps):
            yield live_frame(page, types)


def _export_frames(read: ExportRead, types: Types, steps: StepRange) -> Iterator[pl.LazyFrame]:
    """Yield the rows of an export as lazy frames of bounded size.

    Row groups without strings and lists are divided only if they are large.
    """
    scan = open_export(read)
    groups = whole_groups([group.n_rows for group in read.facts.row_groups], read.row_groups)
    n_columns = len(types) + 1
    n_rows, whole_rows = sizes.rows_of(sizes.CELLS_PER_BATCH, len(types)), 0
    if select_columns(read.columns).is_small:
        least = min(sizes.ROWS_WORTH_ENTERING, sizes.CELLS_PER_WIDE_BATCH // n_columns)
        whole_rows = max(sizes.CELLS_PER_ROW_GROUP // n_columns, least)
        n_rows = max(n_rows, least)
    for place in cut_slices(groups, n_rows, n_rows, whole_rows):
        yield export_frame(scan, read, types, steps, place)
