"""Converts history lines with any values to Arrow columns of the types that W&B's exports have."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain
from typing import Any

import pyarrow as pa

from runlake.server.runs.lines import merge_steps, parse_line

INT64_BOUND = 1 << 63
MAX_NESTING = 16
DOUBLES = {"_runtime", "_timestamp"}
MEMBERS = {bool: "bool", float: "float64", str: "utf8", list: "list", dict: "struct"}


def columns_of(lines: Iterable[str], *, nested_as_text: bool = False) -> dict[str, pa.Array]:
    """Convert history lines to Arrow columns.

    Parameters
    ----------
    lines : iterable of str
        Consecutive lines of one run; lines without ``_step`` are skipped.
    nested_as_text : bool
        Return all structs and lists as JSON text, because Parquet cannot store some of their types.

    Returns
    -------
    dict of str to Array
        The columns by dotted key, ``_step`` first. The steps are ascending, each step once.

    Notes
    -----
    ``_step`` is int64; numbers of ``_runtime`` and ``_timestamp`` are double. Any other key whose
    values are all integers of 64 bits is int64, other numbers are double; bools and strings have
    their own types; dicts are structs, lists are lists. A key with values of several kinds is a
    struct whose members are named ``_type_*``; each row that has a value fills one member. A key
    whose values fit none of these types is binary, with the values as JSON text.
    """
    shared: dict[str, str] = {}
    # Share the keys: each parsed line has its own copies, which take more memory than numbers.
    parsed = (
        {shared.setdefault(key, key): value for key, value in parse_line(line).items()}
        for line in lines
    )
    rows = merge_steps(row for row in parsed if "_step" in row)
    columns = {"_step": pa.array([row["_step"] for row in rows], pa.int64())}
    for key in dict.fromkeys(key for row in rows for key in row if key != "_step"):
        cells = [row.get(key) for row in rows]
        column = _column(key, cells)
        is_text = nested_as_text and pa.types.is_nested(column.type)
        columns[key] = _as_json(cells) if is_text else column
    return columns


def _column(key: str, cells: list[Any]) -> pa.Array:
    try:
        column = _typed(key, cells)
    except (pa.ArrowException, OverflowError):
        return _as_json(cells)
    return _as_json(cells) if _cannot_be_stored(column.type) else column


def _typed(key: str, cells: list[Any]) -> pa.Array:
    members = _members(cells)
    if members <= {"float64", "int64"} and ("float64" in members or key in DOUBLES):
        return pa.array([None if c is None else float(c) for c in cells], pa.float64())
    if len(members) == 1:
        return _plain(next(iter(members)), cells)
    return _union(cells, members)


def _members(cells: list[Any]) -> set[str]:
    # Look at the types first: calling `_member` for each cell would take most of the time.
    kinds = set(map(type, cells)) - {type(None)}
    members = {MEMBERS[kind] for kind in kinds - {int}}
    if int in kinds:
        members |= {_member(cell) for cell in cells if type(cell) is int}
    return members


def _member(cell: Any) -> str:
    if type(cell) is int:
        return "int64" if -INT64_BOUND <= cell < INT64_BOUND else "float64"
    return MEMBERS[type(cell)]


def _plain(member: str, cells: list[Any]) -> pa.Array:
    simple = {"bool": pa.bool_(), "int64": pa.int64(), "utf8": pa.string()}
    if member in simple:
        return pa.array(cells, simple[member])
    if _mixes_bools(cells):
        # pyarrow would convert the bools to numbers.
        return _as_json(cells)
    try:
        array = pa.array(cells)
    except (pa.ArrowException, OverflowError):
        return _as_json(cells)
    return _as_json(cells) if _cannot_be_stored(array.type) else array


def _mixes_bools(values: Iterable[Any]) -> bool:
    """Return whether nested values have a bool and a number at the same path."""
    values = [value for value in values if value is not None]
    kinds = set(map(type, values))
    if bool in kinds and kinds & {int, float}:
        return True
    if list in kinds and _mixes_bools(chain.from_iterable(v for v in values if type(v) is list)):
        return True
    members: dict[str, list[Any]] = {}
    for value in values if dict in kinds else ():
        if type(value) is dict:
            for key, item in value.items():
                members.setdefault(key, []).append(item)
    return any(map(_mixes_bools, members.values()))


def _cannot_be_stored(dtype: pa.DataType, depth: int = 0) -> bool:
    """Return whether Parquet cannot store a type: an empty struct, a null type, deep nesting."""
    if pa.types.is_null(dtype) or depth > MAX_NESTING:
        return True
    if pa.types.is_struct(dtype):
        inner = [_cannot_be_stored(field.type, depth + 1) for field in dtype]
        return not inner or any(inner)
    return pa.types.is_list(dtype) and _cannot_be_stored(dtype.value_type, depth + 1)


def _as_json(cells: list[Any]) -> pa.Array:
    texts = [None if cell is None else json.dumps(cell).encode() for cell in cells]
    return pa.array(texts, pa.binary())


def _union(cells: list[Any], members: set[str]) -> pa.Array:
    if "float64" in members:
        members = members - {"int64"}
    names, children = [], []
    for member in sorted(members):
        accepted = {"float64", "int64"} if member == "float64" else {member}
        chosen = [None if c is None or _member(c) not in accepted else c for c in cells]
        if member == "float64":
            child = pa.array([None if c is None else float(c) for c in chosen], pa.float64())
        else:
            child = _plain(member, chosen)
        names.append("_type_binary" if pa.types.is_binary(child.type) else f"_type_{member}")
        children.append(child)
    if len(set(names)) < len(names):
        return _as_json(cells)
    empty = pa.array([cell is None for cell in cells])
    return pa.StructArray.from_arrays(children, names=names, mask=empty)
