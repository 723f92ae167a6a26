"""Convert live rows to Arrow columns, with the same result however they are divided into pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa

from runlake.history.plan.arrow_types import is_json, join
from runlake.history.plan.key_columns import Column, check_names
from runlake.values import STEP, Row

Types = Mapping[str, pa.DataType | None]
SIMPLE: dict[type, pa.DataType] = {
    type(None): pa.null(),
    bool: pa.bool_(),
    float: pa.float64(),
}
MIN_INT64, MAX_INT64, MAX_UINT64 = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1


def column_types(rows: Sequence[Row]) -> Types:
    """Return the common Arrow type of the cells of each key; None if there is no common type.

    Parameters
    ----------
    rows : sequence of dict
        Rows, which may have different keys.

    Returns
    -------
    mapping of str to pyarrow.DataType or None
        By key, in the order of first appearance. If rows come in several pages, `join` the types of
        the pages.

    Examples
    --------
    >>> column_types([{"a": 1}, {"a": 0.5, "b": [True]}, {"b": [1]}])
    {'a': DataType(double), 'b': None}
    """
    keys = dict.fromkeys(chain.from_iterable(rows))
    check_names(keys)
    return {key: _type_of([row.get(key) for row in rows]) for key in keys}


def stored_type(dtype: pa.DataType | None) -> pa.DataType:
    """Return the type of a column for cells of type ``dtype``; binary if the cells become JSON."""
    return pa.binary() if dtype is None or _cannot_hold(dtype) else dtype


def rows_table(rows: Sequence[Row], types: Types | None = None) -> pa.Table:
    """Return rows as an Arrow table; keys without a common type become binary columns of JSON.

    Parameters
    ----------
    rows : sequence of dict
        Rows, which may have different keys.
    types : mapping of str to pyarrow.DataType or None, optional
        The keys to convert. The type of a key must fit its cells in these rows, and in all rows
        that will be combined with them. If omitted, all keys of these rows are converted, with
        types that fit these rows.

    Returns
    -------
    pyarrow.Table
        ``_step``, if the rows have it, and a column per key that is in the rows.
    """
    own = column_types(rows)
    if types is None:
        chosen = {key: stored_type(dtype) for key, dtype in own.items()}
    else:
        wanted = {STEP: pa.int64(), **types}
        chosen = {key: stored_type(wanted[key]) for key in own if key in wanted}
    return pa.table({key: _column(rows, key, dtype) for key, dtype in chosen.items()})


def table_columns(table: pa.Table) -> tuple[Column, ...]:
    """Return the columns of a table of live rows, without ``_step``."""
    return tuple(
        Column.of(name, (name,), dtype)
        for name, dtype in zip(table.schema.names, table.schema.types, strict=True)
        if name != STEP
    )


def _column(rows: Sequence[Row], key: str, dtype: pa.DataType) -> pa.Array:
    cells = [row.get(key) for row in rows]
    if is_json(dtype):
        # Encode the cells themselves: in a column of floats, the integer 0 would be written as 0.0.
        texts = [None if cell is None else _dump(cell).encode() for cell in cells]
        return pa.array(texts, dtype)
    try:
        return pa.array(cells, dtype)
    except (pa.ArrowException, OverflowError):
        # pyarrow refuses integers that a float cannot represent exactly.
        return pa.array([_as_floats(cell, dtype) for cell in cells], dtype)


def _as_floats(cell: Any, dtype: pa.DataType) -> Any:
    """Return a cell, with integers converted to floats where the type has floats."""
    if cell is None:
        return None
    if pa.types.is_floating(dtype):
        return float(cell)
    if pa.types.is_large_list(dtype):
        return [_as_floats(item, dtype.value_type) for item in cell]
    if pa.types.is_struct(dtype):
        return {key: _as_floats(item, dtype.field(key).type) for key, item in cell.items()}
    return cell


def _dump(cell: Any) -> str:
    return json.dumps(cell, default=str)


def _type_of(cells: Sequence[Any]) -> pa.DataType | None:
    """Return the common Arrow type of JSON values; None if they have no common type."""
    kinds = set(map(type, cells))
    found = []
    for kind in kinds:
        if kind in SIMPLE:
            found.append(SIMPLE[kind])
            continue
        same = cells if len(kinds) == 1 else [cell for cell in cells if type(cell) is kind]
        find = _FOUND.get(kind)
        found.append(None if find is None else find(same))
    return join(found) if found else pa.null()


def _integer_type(cells: Sequence[int]) -> pa.DataType:
    low, high = min(cells), max(cells)
    if low >= MIN_INT64 and high <= MAX_INT64:
        return pa.int64()
    # Smaller integers are int64, which has only floats in common with uint64.
    return pa.uint64() if low > MAX_INT64 and high <= MAX_UINT64 else pa.float64()


def _text_type(cells: Sequence[str]) -> pa.DataType | None:
    try:
        "".join(cells).encode()
    except UnicodeEncodeError:
        return None
    return pa.large_string()


def _list_type(cells: Sequence[list[Any]]) -> pa.DataType | None:
    item = _type_of(list(chain.from_iterable(cells)))
    return None if item is None else pa.large_list(item)


def _struct_type(cells: Sequence[dict[str, Any]]) -> pa.DataType | None:
    held: dict[str, list[Any]] = {}
    for cell in cells:
        for key, item in cell.items():
            held.setdefault(key, []).append(item)
    fields = [(key, _type_of(items)) for key, items in held.items()]
    try:
        return None if any(dtype is None for _, dtype in fields) else pa.struct(fields)
    except UnicodeEncodeError:
        return None


_FOUND: dict[type, Callable[[Any], pa.DataType | None]] = {
    int: _integer_type,
    str: _text_type,
    list: _list_type,
    dict: _struct_type,
}


def _cannot_hold(dtype: pa.DataType) -> bool:
    """Return whether cells of a type must become JSON.

    Some engines (polars, pyarrow, DuckDB) fail on such types or misread them.
    """
    if pa.types.is_struct(dtype) and not is_json(dtype):
        # A struct without fields, for cells that are all empty dicts. Beside other dicts, an empty
        # dict is a struct of nulls, as in an export.
        return dtype.num_fields == 0 or any(_cannot_hold(field.type) for field in dtype)
    if pa.types.is_large_list(dtype):
        return _cannot_hold(dtype.value_type)
    return is_json(dtype)
