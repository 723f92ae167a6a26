"""Writes history rows to Parquet, in the column types of the W&B protocol."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.server.runs.lines import Row

ROW_GROUP_ROWS = 4096
INT64_BOUND = 1 << 63
MAX_NESTING = 16
DOUBLES = {"_runtime", "_timestamp"}


def write_export(rows: list[Row], file: Path) -> None:
    """Write rows to one Parquet file, flushed to disk.

    Parameters
    ----------
    rows : list of dict
        Ascending by ``_step``, each step once; dotted keys.
    file : Path
        The Parquet file; replaced atomically.

    Notes
    -----
    ``_step`` is int64. A key whose values are all integers is int64, other numbers are double;
    bools and strings have their own types; dicts are structs, lists are lists. A key with values of
    several kinds is a struct of ``_type_*`` members, of which one is filled per row. A key whose
    values fit none of these types is binary: JSON text.
    """
    columns = {"_step": pa.array([row["_step"] for row in rows], pa.int64())}
    for key in dict.fromkeys(key for row in rows for key in row if key != "_step"):
        columns[key] = _column(key, [row.get(key) for row in rows])
    aside = file.with_suffix(".part")
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        try:
            _write(columns, aside)
        except (pa.ArrowException, OSError):
            texts = {
                key: _as_json([row.get(key) for row in rows])
                for key, column in columns.items()
                if pa.types.is_nested(column.type)
            }
            _write(columns | texts, aside)
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


def _write(columns: dict[str, pa.Array], file: Path) -> None:
    """Write a file, flush it and open it again: pyarrow can write files that it cannot read."""
    table = pa.table(columns)
    # Page checksums cost 0.03% more bytes and no measurable time.
    pq.write_table(
        table, file, row_group_size=ROW_GROUP_ROWS, compression="snappy", write_page_checksum=True
    )
    with file.open("rb") as written:
        os.fsync(written.fileno())
    with pq.ParquetFile(file) as parquet:
        if parquet.metadata.num_rows != table.num_rows or parquet.schema_arrow != table.schema:
            raise pa.ArrowInvalid(f"{file.name} does not contain the written rows and types")


def _column(key: str, cells: list[Any]) -> pa.Array:
    try:
        column = _typed(key, cells)
    except (pa.ArrowException, OverflowError):
        return _as_json(cells)
    return _as_json(cells) if _cannot_be_stored(column.type) else column


def _typed(key: str, cells: list[Any]) -> pa.Array:
    members = {_member(cell) for cell in cells if cell is not None}
    if key in DOUBLES and members <= {"float64", "int64"}:
        return pa.array(cells, pa.float64())
    if members <= {"float64", "int64"} and "float64" in members:
        return pa.array([None if c is None else float(c) for c in cells], pa.float64())
    if len(members) == 1:
        return _plain(next(iter(members)), cells)
    return _union(cells, members)


def _member(cell: Any) -> str:
    if isinstance(cell, bool):
        return "bool"
    if isinstance(cell, int):
        return "int64" if -INT64_BOUND <= cell < INT64_BOUND else "float64"
    if isinstance(cell, float):
        return "float64"
    if isinstance(cell, str):
        return "utf8"
    return "list" if isinstance(cell, list) else "struct"


def _plain(member: str, cells: list[Any]) -> pa.Array:
    simple = {"bool": pa.bool_(), "int64": pa.int64(), "utf8": pa.string()}
    if member in simple:
        return pa.array(cells, simple[member])
    try:
        array = pa.array(cells)
    except (pa.ArrowException, OverflowError):
        return _as_json(cells)
    return _as_json(cells) if _cannot_be_stored(array.type) else array


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
        chosen = [cell if _member(cell) in accepted else None for cell in cells]
        chosen = [None if cell is None else c for cell, c in zip(cells, chosen, strict=True)]
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
