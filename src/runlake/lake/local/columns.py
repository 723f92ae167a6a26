"""Convert rows of a run to Arrow columns with the types that exports have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

INT64 = range(-(2**63), 2**63)
MAX_NESTING = 16
SIMPLE = {bool: pa.bool_(), str: pa.string()}
NUMBERS = {int, float}
# A backend stores these as decimal numbers, whatever their values are.
DECIMAL = frozenset({"_timestamp", "_runtime"})
Cells = Mapping[int, Any]


def column_of(name: str, cells: Cells, n_rows: int, *, nested_as_text: bool = False) -> pa.Array:
    """Return the values of a key as an Arrow column.

    Parameters
    ----------
    name : str
        The key.
    cells : mapping of int to Any
        The values that are not null, by row index, ascending.
    n_rows : int
        Length of the column.
    nested_as_text : bool
        Write lists and dicts as JSON text, for values whose type Parquet cannot store.

    Returns
    -------
    pyarrow.Array
        Integers are int64. All numbers of a key are double if one of them is a float or does not
        fit in 64 bits, and those of ``_timestamp`` and ``_runtime`` always. Booleans, text, lists
        and dicts have their own types. Values without a common type, or with one that Parquet
        cannot store, are JSON text in a binary column.

    Examples
    --------
    >>> column_of("loss", {0: 1, 2: 0.5}, 3).to_pylist()
    [1.0, None, 0.5]
    >>> column_of("mixed", {0: 1, 1: "a"}, 2).to_pylist()
    [b'1', b'"a"']
    """
    values = list(cells.values())
    kinds = set(map(type, values))
    if kinds <= NUMBERS and (float in kinds or name in DECIMAL or not _fit(values)):
        try:
            return _spread(pa.array(list(map(float, values)), pa.float64()), cells, n_rows)
        except OverflowError:
            # An integer is beyond the range of floats.
            return _spread(_as_json(values), cells, n_rows)
    is_nested = bool(kinds & {dict, list})
    found = None if is_nested and nested_as_text else _type_of(values)
    column = None
    if found is not None:
        try:
            column = pa.array(values, found)
        # Values that Arrow cannot hold, such as lone surrogates, become JSON text below.
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            column = None
    return _spread(_as_json(values) if column is None else column, cells, n_rows)


def _fit(values: Sequence[int]) -> bool:
    return not values or (min(values) in INT64 and max(values) in INT64)


def _type_of(values: Sequence[Any], depth: int = 0) -> pa.DataType | None:
    """Return the common type of values; None without a common type that Parquet can store."""
    kinds = set(map(type, values))
    if depth > MAX_NESTING:
        return None
    if kinds and kinds <= NUMBERS:
        is_decimal = float in kinds or not _fit(values)
        return pa.float64() if is_decimal else pa.int64()
    if kinds == {list}:
        items = [item for item in chain.from_iterable(values) if item is not None]
        inner = _type_of(items, depth + 1)
        return None if inner is None else pa.list_(inner)
    if kinds == {dict}:
        return _struct_of(values, depth)
    return SIMPLE.get(next(iter(kinds))) if len(kinds) == 1 else None


def _struct_of(values: Sequence[Mapping[str, Any]], depth: int) -> pa.DataType | None:
    members: dict[str, list[Any]] = {}
    for value in values:
        for name, item in value.items():
            if item is not None:
                members.setdefault(name, []).append(item)
    types = {name: _type_of(items, depth + 1) for name, items in members.items()}
    if not types or None in types.values():
        return None
    return pa.struct(list(types.items()))


def _as_json(values: Sequence[Any]) -> pa.Array:
    # In an export, all numbers of a key are decimal if one of them is, or is a long integer.
    if float in set(map(type, values)) or not _fit([v for v in values if type(v) is int]):
        values = [_decimal(value) for value in values]
    return pa.array([json.dumps(value).encode() for value in values], pa.binary())


def _decimal(value: Any) -> Any:
    try:
        return float(value) if type(value) is int else value
    except OverflowError:
        return value


def _spread(column: pa.Array, cells: Cells, n_rows: int) -> pa.Array:
    """Return a column of ``n_rows`` cells, with a null in each row that has no value."""
    if len(column) == n_rows:
        return column
    places: list[int | None] = [None] * n_rows
    for place, position in enumerate(cells):
        places[position] = place
    return column.take(pa.array(places, pa.int64()))
