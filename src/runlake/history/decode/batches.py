"""`Batch`: rows of an export as Arrow arrays, and its construction from polars frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from runlake.history.plan import sizes
from runlake.history.plan.key_columns import Column
from runlake.history.plan.segments import ExportRead
from runlake.values import Row, StepRange

if TYPE_CHECKING:
    import polars as pl
    from polars.selectors import Selector

Reads = Iterable[tuple[ExportRead, StepRange]]


@dataclass(frozen=True, slots=True)
class WideFrame:
    """A frame with many columns and a number in every cell.

    Parameters
    ----------
    frame : polars.DataFrame
        The rows.
    names : sequence of str
        Names of the columns in the order of the keys, ``_step`` first; each name is a key.
    typed : sequence of list of str
        The same names, grouped by column type: one list for each type.
    """

    frame: pl.DataFrame
    names: Sequence[str]
    typed: Sequence[list[str]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of an export, as one Arrow array per column.

    Parameters
    ----------
    steps : pyarrow.Array
        Steps as int64, without nulls.
    columns : tuple of Column
        The column from which each array was read.
    arrays : tuple of pyarrow.Array
        One array per column, of the stored type.
    rows : tuple of dict
        The rows as dicts, in place of ``arrays``; empty if there are ``arrays``. For a few rows of
        many numeric columns, making dicts is faster than making arrays.
    wide : WideFrame or None
        The rows as a frame, in place of ``arrays``, if there are many columns and every cell is a
        number. This saves the time to make an array for each column.
    """

    steps: pa.Array
    columns: tuple[Column, ...]
    arrays: tuple[pa.Array, ...]
    rows: tuple[Row, ...] = ()
    wide: WideFrame | None = None

    def __len__(self) -> int:
        return len(self.steps)

    def cut(self, start: int, n_rows: int) -> Batch:
        """Return at most ``n_rows`` rows from row ``start`` on, without a copy of the arrays."""
        arrays = tuple(array.slice(start, n_rows) for array in self.arrays)
        return Batch(self.steps.slice(start, n_rows), self.columns, arrays)


def arrays_of(frame: pl.DataFrame, *, is_numeric: bool) -> Iterator[dict[str, pa.Array]]:
    """Yield the rows of a frame in chunks, each a dict of column names and Arrow arrays.

    The strings of a chunk have a bounded total length.

    Numbers are exported as one stream, which takes a quarter of the time of ``to_arrow`` column by
    column. Strings are exported column by column, because a stream contains strings as views, and
    pyarrow can neither filter views nor select rows of them. If a frame has several chunks, polars
    would copy them into one chunk for a stream. So each chunk is exported as a separate stream.
    """
    are_numbers = _numbers()
    texts = None if is_numeric else frame.select(~are_numbers)
    if texts is not None and _is_too_long(texts):
        for half in _halves(frame):
            yield from arrays_of(half, is_numeric=False)
        return
    table = None if texts is None else texts.to_arrow()
    numbers = frame if is_numeric else frame.select(are_numbers)
    offset = 0
    for n_rows in frame.to_series(0).chunk_lengths():
        # One stream takes 0.5 ms for 4,096 rows of 503 keys. `to_arrow` takes 1.1 ms, because it
        # creates Python objects for each column.
        for batch in pa.RecordBatchReader.from_stream(numbers.slice(offset, n_rows)):
            arrays = dict(zip(batch.schema.names, batch.columns, strict=True))
            if table is not None:
                for name in table.column_names:
                    arrays[name] = _single(table.column(name).slice(offset, n_rows))
            yield arrays
        offset += n_rows


def _numbers() -> Selector:
    import polars.selectors as cs

    return cs.numeric() | cs.boolean() | cs.temporal()


def cut_by_texts(frame: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Split a frame by rows until the strings of each part have a bounded total length."""
    if not _is_too_long(frame.select(~_numbers())):
        yield frame
        return
    for half in _halves(frame):
        yield from cut_by_texts(half)


def _is_too_long(texts: pl.DataFrame) -> bool:
    if len(texts) <= 1:
        return False
    return sum(map(_n_text_bytes, texts.iter_columns())) > sizes.TEXT_BYTES_PER_BATCH


def _halves(frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    half = len(frame) // 2
    return frame.head(half), frame.slice(half)


def _n_text_bytes(column: pl.Series) -> int:
    import polars as pl

    dtype = column.dtype
    # An alias is needed: methods of a series select it by its name, which polars may take as a
    # pattern.
    column = column.alias("texts")
    if dtype == pl.String:
        return int(column.str.len_bytes().sum())
    if dtype == pl.Binary:
        return int(column.bin.size().sum())
    if isinstance(dtype, pl.Struct):
        return sum(map(_n_text_bytes, column.struct.unnest().iter_columns()))
    if isinstance(dtype, pl.List) and (
        dtype.inner in (pl.String, pl.Binary) or dtype.inner.is_nested()
    ):
        return _n_text_bytes(column.explode())
    return 0


def _single(column: pa.ChunkedArray) -> pa.Array:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
