"""From batches of arrays to rows: a row costs its filled cells only."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from runlake.history.cells import cell_reader
from runlake.history.decode import Batch
from runlake.history.key_columns import Column
from runlake.history.kinds import is_json
from runlake.values import STEP, Projection, Row

# Rows are made from so many cells at a time: the lists between stay in the processor's cache.
CELLS_PER_BUILD = 1 << 13
# Looking at a sparse column costs as much as writing so many cells.
CELLS_PER_COLUMN = 100
MIN_BUILD_ROWS = 64
MAX_GENERATED_KEYS = 256
Indices = np.ndarray[Any, np.dtype[np.int64]]
Display = Callable[[Sequence[list[Any]]], list[Row]]


def build_rows(batches: Iterator[Batch], projection: Projection) -> Iterator[list[Row]]:
    """Turn batches into rows.

    Parameters
    ----------
    batches : iterator of Batch
        Those with the same columns have the same types.
    projection : Projection
        Rows that it does not keep are left out.

    Yields
    ------
    list of dict
        In the order of the batches; never empty.
    """
    columns: tuple[Column, ...] | None = None
    readers: list[_Reader] = []
    for batch in batches:
        is_first = columns is None
        if batch.columns is not columns:
            columns = batch.columns
            readers = [_reader(array.type) for array in batch.arrays]
        if is_first:
            pieces = _cuts(batch, first=max(1, CELLS_PER_BUILD // (len(readers) + 1)))
        else:
            pieces = _cuts(batch)
        for piece in pieces:
            rows = _build(readers, piece)
            if projection.keys and any(reader.may_be_none for reader in readers):
                rows = _kept(rows, projection)
            if rows:
                yield rows


def _cuts(batch: Batch, first: int = 0) -> Iterator[Batch]:
    """Yield a batch in pieces of a good size; if asked to, a small one first, which comes soon."""
    n_rows = _rows_per_build(batch)
    if not first and n_rows >= len(batch):
        yield batch
        return
    start = min(first, len(batch))
    if start:
        yield batch.cut(0, start)
    for offset in range(start, len(batch), n_rows):
        yield batch.cut(offset, n_rows)


def _rows_per_build(batch: Batch) -> int:
    n_cells: int = sum(len(array) - array.null_count for array in batch.arrays) + len(batch)
    goal = max(CELLS_PER_BUILD, CELLS_PER_COLUMN * len(batch.arrays))
    n_parts = max(1, round(n_cells / goal))
    return max(MIN_BUILD_ROWS, -(-len(batch) // n_parts))


def _kept(rows: list[Row], projection: Projection) -> list[Row]:
    n_keys = len(projection.keys or ())
    needed = 1 + (n_keys if projection.how == "all" else 1)
    return [row for row in rows if len(row) >= needed]


class _Reader:
    """Reads the cells of a column of one type."""

    def __init__(self, kind: pa.DataType) -> None:
        self.may_be_none = is_json(kind)
        self.read = cell_reader(kind)
        is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind)
        self.number = np.dtype(kind.to_pandas_dtype()) if is_number else None


_reader = lru_cache(maxsize=1024)(_Reader)


class _Filled:
    """The cells of sparse columns and where they are; columns logged together share the places."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, bytes], tuple[Indices, list[int]]] = {}

    def cells(self, reader: _Reader, array: pa.Array) -> tuple[list[int], list[Any]]:
        """Return the positions that are not null, and what is there."""
        validity, *buffers = array.buffers()
        offset, n_rows = array.offset, len(array)
        bits = bytes(memoryview(validity)[offset >> 3 : (offset + n_rows + 7) >> 3])
        known = self._known.get((offset & 7, bits))
        if known is None:
            flags = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little").view(np.bool_)
            indices = np.flatnonzero(flags[offset & 7 : (offset & 7) + n_rows])
            known = self._known[offset & 7, bits] = (indices, indices.tolist())
        indices, where = known
        if reader.number is None:
            return where, reader.read(pc.drop_null(array))
        numbers = np.frombuffer(buffers[0], reader.number)
        return where, (numbers[offset:] if offset else numbers)[indices].tolist()


def _build(readers: Sequence[_Reader], batch: Batch) -> list[Row]:
    """Make rows of full columns at once, then write the cells of the others into them."""
    full = {STEP: batch.steps.to_numpy().tolist()}
    sparse: list[tuple[str, _Reader, pa.Array, bool]] = []
    seen: set[str] = set()
    for column, reader, array in zip(batch.columns, readers, batch.arrays, strict=True):
        if array.null_count == len(array):
            continue
        key = column.key
        is_second = key in seen
        seen.add(key)
        if array.null_count or reader.may_be_none:
            sparse.append((key, reader, array, is_second))
        elif key not in full:
            full[key] = reader.read(array)
    rows = _display(tuple(full))(list(full.values()))
    filled = _Filled()
    for key, reader, array, is_second in sparse:
        if array.null_count:
            where, cells = filled.cells(reader, array)
        else:
            where, cells = list(range(len(array))), reader.read(array)
        if is_second or reader.may_be_none:
            _write_carefully(rows, key, where, cells, is_second=is_second)
        else:
            for index, cell in zip(where, cells, strict=True):
                rows[index][key] = cell
    return rows


def _write_carefully(
    rows: list[Row], key: str, where: list[int], cells: list[Any], *, is_second: bool
) -> None:
    """Write cells that may be None, or that must not replace those of an earlier column."""
    for index, cell in zip(where, cells, strict=True):
        if cell is not None and not (is_second and key in rows[index]):
            rows[index][key] = cell


@lru_cache(maxsize=256)
def _display(keys: tuple[str, ...]) -> Display:
    """Return a function from columns to dicts with the keys as literals of its code.

    A dict display whose keys are constants is three times as fast as ``dict(zip(...))``.
    """
    if len(keys) > MAX_GENERATED_KEYS:
        return lambda lists: [dict(zip(keys, row, strict=True)) for row in zip(*lists, strict=True)]
    names = [f"cell_{index}" for index in range(len(keys))]
    display = ", ".join(f"{key!r}: {name}" for key, name in zip(keys, names, strict=True))
    source = f"lambda lists: [{{{display}}} for {', '.join(names)}, in zip(*lists)]"
    built: Display = eval(source, {"zip": zip, "__builtins__": {}})  # noqa: S307 - literals by repr
    return built
