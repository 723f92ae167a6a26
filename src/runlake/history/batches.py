"""Rows of an export as Arrow arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from runlake.history.key_columns import Column
from runlake.history.segments import ExportRead
from runlake.values import Row, StepRange

if TYPE_CHECKING:
    import polars as pl

# Measured (docs/explanation/reading.md): below some hundred thousand cells the cost per call shows,
# above some millions nothing is won but memory lost.
CELLS_PER_SLICE = 1 << 22
MIN_ROWS = 64
Reads = Iterable[tuple[ExportRead, StepRange]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as arrays of one length.

    Parameters
    ----------
    steps : pyarrow.Array
        int64, without nulls.
    columns : tuple of Column
        What the arrays are.
    arrays : tuple of pyarrow.Array
        One per column, as stored.
    rows : tuple of dict
        In place of arrays: a few rows of many numbers, of which rows are had faster.
    """

    steps: pa.Array
    columns: tuple[Column, ...]
    arrays: tuple[pa.Array, ...]
    rows: tuple[Row, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    def cut(self, start: int, n_rows: int) -> Batch:
        """Return some rows of the batch, without a copy."""
        arrays = tuple(array.slice(start, n_rows) for array in self.arrays)
        return Batch(self.steps.slice(start, n_rows), self.columns, arrays)


def max_rows_of(read: ExportRead, n_sharing: int) -> int:
    """Return how many rows of an export may be in memory while so many exports are read."""
    return max(MIN_ROWS, CELLS_PER_SLICE // n_sharing // (len(read.columns) + 1))


def arrays_of(frame: pl.DataFrame, *, is_numeric: bool) -> Iterator[dict[str, pa.Array]]:
    """Yield the columns of a frame, chunk by chunk.

    One stream of all columns costs a quarter of what ``to_arrow`` does column by column, but it
    copies chunks together, and brings texts as views, of which pyarrow can neither filter nor take.
    """
    import polars.selectors as cs

    are_numbers = cs.numeric() | cs.boolean() | cs.temporal()
    texts = None if is_numeric else frame.select(~are_numbers).to_arrow()
    numbers = frame if is_numeric else frame.select(are_numbers)
    offset = 0
    for n_rows in frame.to_series(0).chunk_lengths():
        for batch in pa.RecordBatchReader.from_stream(numbers.slice(offset, n_rows)):
            arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
            if texts is not None:
                for name in texts.column_names:
                    arrays[name] = _single(texts.column(name).slice(offset, n_rows))
            yield arrays
        offset += n_rows


def _single(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
