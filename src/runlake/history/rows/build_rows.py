"""Build rows from Arrow arrays; the time depends on the number of cells that are not null."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from runlake.exports.numpy_views import numbers_of
from runlake.history.decode.batches import Batch
from runlake.history.plan import sizes
from runlake.history.plan.arrow_types import is_int_or_float, is_json
from runlake.history.plan.key_columns import Column
from runlake.history.rows.cells import cell_reader
from runlake.history.rows.merge import iter_batches
from runlake.history.rows.wide_rows import WideRows
from runlake.values import STEP, Projection, Row

Indices = np.ndarray[Any, np.dtype[np.int64]]
Buffers = list[pa.Buffer]
Display = Callable[[Sequence[Iterable[Any]]], list[Row]]
LazyDisplay = Callable[[Sequence[Iterable[Any]]], Iterator[Row]]
Writer = Callable[[list[Row], list[int], Sequence[list[Any]]], None]


def build_rows(batches: Iterator[Batch], projection: Projection) -> Iterator[Rows]:
    """Convert batches to rows as dicts.

    Parameters
    ----------
    batches : iterator of Batch
        If two batches have the same object as ``columns``, the types of their arrays must be equal.
    projection : Projection
        Rows that do not have the requested keys are left out.

    Yields
    ------
    list of dict, NumberRows or WideRows
        Rows in the order of the batches; never empty.
    """
    columns: tuple[Column, ...] | None = None
    readers: list[_Reader] = []
    is_first = True
    for batch in batches:
        if batch.rows:
            is_first = False
            yield list(batch.rows)
            continue
        if batch.wide is not None:
            is_first = False
            yield WideRows(batch.wide)
            continue
        if batch.columns is not columns:
            columns = batch.columns
            readers = [_reader(array.type) for array in batch.arrays]
        numbers = NumberRows.of(batch, readers)
        if numbers is not None:
            is_first = False
            if len(numbers):
                yield numbers
            continue
        first = max(1, sizes.CELLS_PER_BUILD // (len(readers) + 1)) if is_first else 0
        cuts = _cuts(len(batch), _rows_per_build(batch), first)
        is_first = False
        for start, stop in cuts:
            rows = _build(readers, batch.cut(start, stop - start))
            if projection.keys and any(reader.may_be_none for reader in readers):
                rows = _kept(rows, projection)
            if rows:
                yield rows


def _cuts(n_rows: int, rows_per_build: int, first: int) -> Iterator[tuple[int, int]]:
    """Yield start and stop of ranges of rows; the first range has at most ``first`` rows.

    If ``first`` is 0, the first range is like the others.
    """
    start = min(first, n_rows)
    if start:
        yield 0, start
    for offset in range(start, n_rows, rows_per_build):
        yield offset, min(offset + rows_per_build, n_rows)


def _rows_per_build(batch: Batch) -> int:
    n_cells: int = sum(len(array) - array.null_count for array in batch.arrays) + len(batch)
    goal = max(sizes.CELLS_PER_BUILD, sizes.CELLS_PER_COLUMN * len(batch.arrays))
    n_cuts = max(1, round(n_cells / goal))
    return max(sizes.MIN_BUILD_ROWS, -(-len(batch) // n_cuts))


def _kept(rows: list[Row], projection: Projection) -> list[Row]:
    n_keys = len(projection.keys or ())
    needed = 1 + (n_keys if projection.how == "all" else 1)
    return [row for row in rows if len(row) >= needed]


class _Reader:
    """Converts Arrow arrays of one type to lists of Python values."""

    def __init__(self, dtype: pa.DataType) -> None:
        self.may_be_none = is_json(dtype)
        self.read = cell_reader(dtype)
        self.number = np.dtype(dtype.to_pandas_dtype()) if is_int_or_float(dtype) else None


_reader = lru_cache(maxsize=1024)(_Reader)
Full = tuple[_Reader, pa.Array]


class NumberRows:
    """An iterable over the rows of a batch of numbers; each dict is made when it is requested.

    Every cell of the batch has a number. Most callers drop a row before the next one is made. The
    next row and its numbers then get the same memory, which is still in the processor's cache. To
    make the rows in lists instead takes a sixth longer.

    Parameters
    ----------
    keys : tuple of str
        The keys of every row, ``_step`` first.
    columns : sequence of memoryview
        For each key, the numbers of all rows.
    """

    def __init__(self, keys: tuple[str, ...], columns: Sequence[memoryview]) -> None:
        self._keys = keys
        self._columns = columns

    @classmethod
    def of(cls, batch: Batch, readers: Sequence[_Reader]) -> NumberRows | None:
        """Return the rows of a batch; None if they have other cells than numbers or too many keys.

        None also if two columns have the same key.
        """
        keys = (STEP, *(column.key for column in batch.columns))
        if len(keys) > sizes.MAX_GENERATED_KEYS or len(set(keys)) < len(keys):
            return None
        if any(reader.number is None for reader in readers):
            return None
        if any(array.null_count for array in batch.arrays):
            return None
        return cls(keys, [_view(array) for array in (batch.steps, *batch.arrays)])

    @property
    def last_step(self) -> int:
        """The step of the last row."""
        step: int = self._columns[0][-1]
        return step

    def __len__(self) -> int:
        return len(self._columns[0])

    def __iter__(self) -> Iterator[Row]:
        return _lazy_display(self._keys)(self._columns)

    def lists(self) -> Iterator[list[Row]]:
        """Yield lists of rows that are small enough for the processor's cache."""
        n_rows = max(sizes.MIN_BUILD_ROWS, sizes.CELLS_PER_DENSE_BUILD // len(self._columns))
        return iter_batches(self, n_rows)


Rows: TypeAlias = list[Row] | NumberRows | WideRows


def lists_of(rows: Rows) -> Iterator[list[Row]]:
    """Yield the rows of a batch in lists of dicts."""
    if isinstance(rows, list):
        yield rows
    else:
        yield from rows.lists()


def last_step(rows: Rows) -> int:
    """Return the step of the last row of a batch."""
    step: int = rows[-1][STEP] if isinstance(rows, list) else rows.last_step
    return step


def _view(array: pa.Array) -> memoryview:
    numbers: Any = numbers_of(array)
    # A memoryview cannot iterate over 16-bit floats; as 32-bit floats they have the same values.
    return memoryview(numbers.astype(np.float32) if numbers.dtype == np.float16 else numbers)


class _Together:
    """Sparse columns that were logged together, and so have values in the same rows."""

    def __init__(self, indices: Indices) -> None:
        self.where: list[int] = indices.tolist()
        self._indices = indices
        self._keys: list[str] = []
        self._cells: list[list[Any]] = []

    def read(self, reader: _Reader, array: pa.Array, buffers: Buffers) -> list[Any]:
        """Return the non-null cells of a column as Python values."""
        if reader.number is None:
            return reader.read(array.drop_null())
        offset = array.offset
        numbers = np.frombuffer(buffers[1], reader.number)
        cells: list[Any] = (numbers[offset:] if offset else numbers)[self._indices].tolist()
        return cells

    def add(self, key: str, cells: list[Any]) -> None:
        """Add a column, whose cells `write` will write into the rows."""
        self._keys.append(key)
        self._cells.append(cells)

    def write(self, rows: list[Row]) -> None:
        """Write the cells of all added columns into the rows."""
        start = 0
        while len(self._keys) - start >= sizes.KEYS_WORTH_CODE:
            stop = start + sizes.MAX_GENERATED_KEYS
            write = _writer(tuple(self._keys[start:stop]))
            write(rows, self.where, self._cells[start:stop])
            start = stop
        for key, cells in zip(self._keys[start:], self._cells[start:], strict=True):
            for index, cell in zip(self.where, cells, strict=True):
                rows[index][key] = cell


class _Sparse:
    """Groups columns that were logged together, recognized by their equal validity bits."""

    def __init__(self) -> None:
        self._groups: dict[tuple[int, bytes], _Together] = {}

    def group(self, array: pa.Array, buffers: Buffers) -> _Together:
        """Return the group of columns that have values in the same rows as ``array``."""
        offset, n_rows = array.offset, len(array)
        # The bytes that hold the slice's bits; the slice may start inside a byte (offset & 7).
        bits = buffers[0].to_pybytes()[offset >> 3 : (offset + n_rows + 7) >> 3]
        known = self._groups.get((offset & 7, bits))
        if known is None:
            flags = np.unpackbits(np.frombuffer(bits, np.uint8), bitorder="little").view(np.bool_)
            known = _Together(np.flatnonzero(flags[offset & 7 : (offset & 7) + n_rows]))
            self._groups[offset & 7, bits] = known
        return known

    def write(self, rows: list[Row]) -> None:
        """Write the cells of all added columns into the rows."""
        for group in self._groups.values():
            group.write(rows)


def _build(readers: Sequence[_Reader], batch: Batch) -> list[Row]:
    """Build rows from the columns without nulls, then write the cells of the other columns."""
    full: dict[str, Full] = {STEP: (_reader(batch.steps.type), batch.steps)}
    sparse = _Sparse()
    careful: list[tuple[str, list[int], list[Any], bool]] = []
    seen: set[str] = set()
    for column, reader, array in zip(batch.columns, readers, batch.arrays, strict=True):
        n_nulls = array.null_count
        if n_nulls == len(array):
            continue
        key = column.key
        is_second = key in seen
        seen.add(key)
        if n_nulls:
            buffers = array.buffers()
            group = sparse.group(array, buffers)
            cells = group.read(reader, array, buffers)
            if is_second or reader.may_be_none:
                careful.append((key, group.where, cells, is_second))
            else:
                group.add(key, cells)
        elif reader.may_be_none or (is_second and any(one[0] == key and one[3] for one in careful)):
            # In the second case a key has three columns: the full third one must not come before
            # the second one.
            careful.append((key, list(range(len(array))), reader.read(array), is_second))
        elif key not in full:
            full[key] = (reader, array)
    rows = _full_rows(tuple(full), tuple(full.values()))
    sparse.write(rows)
    for key, where, cells, is_second in careful:
        _write_carefully(rows, key, where, cells, is_second=is_second)
    return rows


def _full_rows(keys: tuple[str, ...], columns: tuple[Full, ...]) -> list[Row]:
    """Build rows from columns without nulls."""
    if len(keys) <= sizes.MAX_GENERATED_KEYS:
        return _display(keys)([reader.read(array) for reader, array in columns])
    blocks = [_transposed(list(some)) for _, some in groupby(columns, _number_type)]
    rows = blocks[0] if len(blocks) == 1 else map(_joined, zip(*blocks, strict=True))
    return [dict(zip(keys, row, strict=True)) for row in rows]


def _number_type(column: Full) -> str:
    # Compare the dtype's number with None, because numpy's float64 compares equal to None.
    number = column[0].number
    return "" if number is None else number.str


def _joined(cells: Iterable[Sequence[Any]]) -> list[Any]:
    # Faster than itertools.chain, which iterates cell by cell.
    row: list[Any] = []
    for some in cells:
        row += some
    return row


def _transposed(columns: list[Full]) -> Iterable[Sequence[Any]]:
    """Return the cells of columns row by row; the columns have one type.

    numpy transposes numbers without creating Python objects.
    """
    dtype = columns[0][0].number
    if dtype is None or len(columns) < sizes.COLUMNS_WORTH_A_MATRIX:
        return zip(*(reader.read(array) for reader, array in columns), strict=True)
    matrix = np.empty((len(columns[0][1]), len(columns)), dtype)
    for index, (_, array) in enumerate(columns):
        matrix[:, index] = numbers_of(array)
    rows: list[list[Any]] = matrix.tolist()
    return rows


def _write_carefully(
    rows: list[Row], key: str, where: list[int], cells: list[Any], *, is_second: bool
) -> None:
    """Write the cells of a column into rows, except cells that are None.

    If ``is_second`` is True, the key has an earlier column, whose cells are not replaced.
    """
    for index, cell in zip(where, cells, strict=True):
        if cell is not None and not (is_second and key in rows[index]):
            rows[index][key] = cell


@lru_cache(maxsize=256)
def _display(keys: tuple[str, ...]) -> Display:
    """Return a generated function that converts columns to dicts.

    The keys are constants in the code of the function. A dict display (``{"a": x, "b": y}``) with
    constant keys is three times as fast as ``dict(zip(...))``.
    """
    built: Display = _evaluated(f"lambda columns: [{_comprehension(keys)}]")
    return built


@lru_cache(maxsize=256)
def _lazy_display(keys: tuple[str, ...]) -> LazyDisplay:
    """Return a function that converts columns to an iterator of dicts; see `_display`."""
    built: LazyDisplay = _evaluated(f"lambda columns: ({_comprehension(keys)})")
    return built


def _comprehension(keys: tuple[str, ...]) -> str:
    names = [f"cell_{index}" for index in range(len(keys))]
    display = ", ".join(f"{key!r}: {name}" for key, name in zip(keys, names, strict=True))
    return f"{{{display}}} for {', '.join(names)}, in zip(*columns)"


def _evaluated(source: str) -> Any:
    return eval(source, {"zip": zip, "__builtins__": {}})  # noqa: S307 - literals by repr


@lru_cache(maxsize=256)
def _writer(keys: tuple[str, ...]) -> Writer:
    """Return a generated function that writes several columns into rows.

    The keys are constants in the code of the function. It looks up each row once, and then writes
    the row's cells of all columns.
    """
    names = [f"cell_{index}" for index in range(len(keys))]
    lines = [f"    row[{key!r}] = {name}" for key, name in zip(keys, names, strict=True)]
    source = "\n".join(
        [
            "def write(rows, where, cells):",
            f"  for index, {', '.join(names)} in zip(where, *cells):",
            "    row = rows[index]",
            *lines,
        ]
    )
    built: dict[str, Writer] = {}
    exec(source, {"zip": zip, "__builtins__": {}}, built)  # noqa: S102 - literals by repr
    return built["write"]
