"""Store live rows, so that they are fetched only once; many rows go to a temporary file."""

from __future__ import annotations

import json
import pickle
import tempfile
import threading
import weakref
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import IO, Any

import pyarrow as pa

from runlake.history.plan.arrow_types import is_json, unify
from runlake.history.plan.key_columns import Column, check_names
from runlake.values import STEP, Row, StepRange

BYTES_IN_MEMORY = 16 << 20


class LiveRows:
    """The live rows of one read, in pages, ascending.

    Parameters
    ----------
    pages : iterator of list of dict
        Consumed as pages are needed, each page once.
    """

    def __init__(self, pages: Iterator[list[Row]]) -> None:
        self._pages = pages
        self._spool: IO[bytes] = tempfile.SpooledTemporaryFile(BYTES_IN_MEMORY)  # noqa: SIM115
        self._guard = threading.Lock()
        weakref.finalize(self, self._spool.close)
        self._places: list[tuple[int, int, int]] = []

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield all pages that have rows."""
        return self.between(StepRange())

    def between(self, steps: StepRange) -> Iterator[list[Row]]:
        """Yield the rows of a range of steps, in non-empty pages."""
        for page in self.places(steps):
            rows = self.load(page, steps)
            if rows:
                yield rows

    def places(self, steps: StepRange) -> Iterator[int]:
        """Yield the numbers of the pages that can have rows in a range of steps."""
        number = 0
        while number < len(self._places) or self._fetch():
            first, last, _ = self._places[number]
            if steps.touches(first, last):
                yield number
            number += 1

    def load(self, page: int, steps: StepRange) -> list[Row]:
        """Return the rows of page number ``page`` that are in a range of steps."""
        first, last, place = self._places[page]
        with self._guard:
            self._spool.seek(place)
            rows: list[Row] = pickle.load(self._spool)  # noqa: S301 - our own unnamed file
        return rows if steps.covers(first, last) else [r for r in rows if steps.holds(r[STEP])]

    def columns(self) -> tuple[Column, ...]:
        """Return the keys of all live rows, each with a type for all its values."""
        dtypes: dict[str, list[pa.DataType]] = {}
        for page in self:
            for column in table_columns(rows_table(page)):
                dtypes.setdefault(column.key, []).append(column.dtype)
        return tuple(Column(key, (key,), _one_dtype(held)) for key, held in dtypes.items())

    def _fetch(self) -> bool:
        for page in self._pages:
            if page:
                with self._guard:
                    self._spool.seek(0, 2)
                    self._places.append((page[0][STEP], page[-1][STEP], self._spool.tell()))
                    pickle.dump(page, self._spool, pickle.HIGHEST_PROTOCOL)
                return True
        return False


def _one_dtype(dtypes: Sequence[pa.DataType]) -> pa.DataType:
    unified = unify(list(dict.fromkeys(dtypes)))
    return pa.binary() if unified is None else unified


def rows_table(rows: Sequence[Row]) -> pa.Table:
    """Return rows as an Arrow table; keys without a common type become binary columns of JSON.

    Parameters
    ----------
    rows : sequence of dict
        Rows, which may have different keys.

    Returns
    -------
    pyarrow.Table
        A column per key, in the order of their first appearance.
    """
    keys = dict.fromkeys(chain.from_iterable(rows))
    check_names(keys)
    return pa.table({key: _column([row.get(key) for row in rows]) for key in keys})


def table_columns(table: pa.Table) -> tuple[Column, ...]:
    """Return the columns of a table of live rows, without ``_step``."""
    return tuple(
        Column(name, (name,), dtype)
        for name, dtype in zip(table.schema.names, table.schema.types, strict=True)
        if name != STEP
    )


def _column(cells: list[Any]) -> pa.Array:
    array = None
    types = set().union(*map(_leaf_types, cells))
    # pyarrow would convert True to 1.0 among floats.
    if not (bool in types and types & {int, float}):
        try:
            array = pa.array(cells)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            array = _numbers(cells)
    if array is None or _cannot_hold(array.type):
        texts = [None if cell is None else _dump(cell).encode() for cell in cells]
        return pa.array(texts, pa.binary())
    return array


def _leaf_types(cell: Any) -> set[type]:
    if isinstance(cell, list):
        return set().union(*map(_leaf_types, cell))
    if isinstance(cell, dict):
        return set().union(*map(_leaf_types, cell.values()))
    return {type(cell)}


def _numbers(cells: list[Any]) -> pa.Array | None:
    """Return numbers as floats: integers of more than 64 bits, and integers mixed with floats."""
    if not set(map(type, cells)) <= {int, float, type(None)}:
        return None
    return pa.array([None if cell is None else float(cell) for cell in cells], pa.float64())


def _dump(cell: Any) -> str:
    return json.dumps(cell, default=str)


def _cannot_hold(dtype: pa.DataType) -> bool:
    """Return whether engines fail on a type, or would read it as JSON (as they read bytes)."""
    if pa.types.is_struct(dtype):
        return dtype.num_fields == 0 or any(_cannot_hold(field.type) for field in dtype)
    if pa.types.is_list(dtype):
        return _cannot_hold(dtype.value_type)
    return is_json(dtype)
