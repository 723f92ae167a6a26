"""Convert Python values to polars columns, and stack frames with different schemas.

No value is lost if types differ. Integers and floats become floats; structs and lists are unified
field by field. Values without a common type become JSON text (rule 6 in
docs/explanation/reading-rules.md).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import polars as pl
import pyarrow as pa

from runlake.history.decode.expressions import named, to_arrow
from runlake.history.frames.fit import json_text
from runlake.history.plan.arrow_types import unify

JSON_CELL = "cell"
INT64 = range(-(2**63), 2**63)
MAX_FLOAT = int(sys.float_info.max)


@dataclass(frozen=True, slots=True)
class _Shape:
    """A polars type, and a function that converts a Python value to it."""

    dtype: pl.DataType
    convert: Callable[[Any], Any]


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows of JSON values as a frame.

    Parameters
    ----------
    rows : sequence of mapping
        Rows of JSON values, which may have different keys.

    Returns
    -------
    polars.DataFrame
        A column per key in the order of first appearance. A cell is null if its row does not have
        the key.

    Examples
    --------
    >>> frame_of([{"a": 1}, {"a": 0.5, "b": "x"}]).to_dicts()
    [{'a': 1.0, 'b': None}, {'a': 0.5, 'b': 'x'}]
    """
    names = dict.fromkeys(chain.from_iterable(rows))
    return pl.DataFrame([column_of(name, [row.get(name) for row in rows]) for name in names])


def column_of(name: str, values: Sequence[Any], dtype: pl.DataType | None = None) -> pl.Series:
    """Return JSON values as a polars column with their common type.

    Parameters
    ----------
    name : str
        Name of the column.
    values : sequence
        JSON values; dicts become structs with the fields of all dicts.
    dtype : DataType, optional
        Type of the column if all values are None.

    Returns
    -------
    polars.Series
        A column with the common type of the values, or of JSON text if there is no common type.

    Examples
    --------
    >>> column_of("config", [{"lr": 1}, {"lr": 0.5, "opt": {"name": "sgd"}}]).dtype
    Struct({'lr': Float64, 'opt': Struct({'name': String})})
    >>> column_of("mixed", [1, "x"]).to_list()
    ['1', '"x"']
    """
    try:
        return _column_of(name, values, dtype)
    except UnicodeEncodeError:
        # JSON allows lone surrogates, and UTF-8 does not.
        return _column_of(_encodable(name), [_encodable(value) for value in values], dtype)


def _column_of(name: str, values: Sequence[Any], dtype: pl.DataType | None) -> pl.Series:
    shape = _shape_of([value for value in values if value is not None])
    if dtype is not None and shape.dtype == pl.Null():
        return pl.Series(name, values, dtype)
    converted = [None if value is None else shape.convert(value) for value in values]
    return pl.Series(name, converted, shape.dtype)


def _encodable(value: Any) -> Any:
    """Return a JSON value in which lone surrogates are escaped."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_encodable(key): _encodable(inner) for key, inner in value.items()}
    return [_encodable(inner) for inner in value] if isinstance(value, (list, tuple)) else value


def json_columns_of(frame: pl.DataFrame, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the names of the columns that `frame_of` encoded as JSON text.

    The values of these columns have no common type.
    """
    texts = [name for name, dtype in frame.schema.items() if dtype == pl.String()]
    return tuple(
        name
        for name in texts
        if any(not isinstance(row.get(name), (str, type(None))) for row in rows)
    )


def stack(
    frames: Sequence[pl.DataFrame], json_columns: Sequence[Collection[str]] | None = None
) -> pl.DataFrame:
    """Concatenate frames vertically; the result has the columns of all frames.

    Parameters
    ----------
    frames : sequence of DataFrame
        Frames, which may have different schemas.
    json_columns : sequence of collection of str, optional
        For each frame, the names of its columns that are JSON text; these columns are JSON text in
        the result too.

    Returns
    -------
    polars.DataFrame
        All rows, frame by frame, with columns in the order of first appearance.
    """
    if not frames:
        return pl.DataFrame()
    names, dtypes = frames[0].columns, frames[0].dtypes
    known = json_columns or [()] * len(frames)
    encoded = list(dict.fromkeys(chain.from_iterable(known)))
    if not encoded and all(one.columns == names and one.dtypes == dtypes for one in frames):
        return pl.concat(frames)
    texts = dict.fromkeys([*encoded, *_clashing(frames)])
    # Columns that are JSON text already are left as they are: they would be encoded twice.
    alike = [
        frame.with_columns(
            json_text(named(name)).alias(name)
            for name in texts
            if name in frame.columns and name not in done
        )
        for frame, done in zip(frames, known, strict=True)
    ]
    return pl.concat(alike, how="diagonal_relaxed")


def _clashing(frames: Sequence[pl.DataFrame]) -> list[str]:
    """Return the names of the columns whose types in the frames have no common type."""
    held: dict[str, dict[pa.DataType, None]] = {}
    for frame in frames:
        for column in to_arrow(frame.head(0)).schema:
            held.setdefault(column.name, {})[column.type] = None
    return [name for name, kinds in held.items() if len(kinds) > 1 and unify(list(kinds)) is None]


def _shape_of(values: Sequence[Any]) -> _Shape:
    """Return the common type of values, and a function that converts a value to it.

    The values must not contain None.
    """
    kinds = {type(value) for value in values}
    if kinds <= {dict} and kinds:
        return _struct_of(values)
    if kinds <= {list, tuple} and kinds:
        inner = _shape_of([item for value in values for item in value if item is not None])
        return _Shape(
            pl.List(inner.dtype),
            lambda value: [None if item is None else inner.convert(item) for item in value],
        )
    if kinds <= {int, float} and kinds:
        # Integers of more than 64 bits become floats; integers too large for floats become text.
        if kinds == {int} and all(value in INT64 for value in values):
            return _Shape(pl.Int64(), int)
        if all(abs(value) <= MAX_FLOAT for value in values if type(value) is int):
            return _Shape(pl.Float64(), float)
    simple: dict[frozenset[type], _Shape] = {
        frozenset(): _Shape(pl.Null(), lambda value: value),
        frozenset({str}): _Shape(pl.String(), str),
        frozenset({bool}): _Shape(pl.Boolean(), bool),
    }
    as_text = _Shape(pl.String(), lambda value: json.dumps(value, default=str))
    return simple.get(frozenset(kinds), as_text)


def _struct_of(values: Sequence[Mapping[str, Any]]) -> _Shape:
    names = dict.fromkeys(chain.from_iterable(values))
    fields = {
        name: _shape_of([value[name] for value in values if value.get(name) is not None])
        for name in names
    }

    def convert(value: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: None if value.get(name) is None else shape.convert(value[name])
            for name, shape in fields.items()
        }

    return _Shape(pl.Struct({name: shape.dtype for name, shape in fields.items()}), convert)


def encode_json(cell: pl.Expr) -> pl.Expr:
    """Encode cells of any type as JSON.

    polars encodes only structs. So each cell is wrapped in a struct, and the JSON of the cell is
    cut out of the JSON of the struct.
    """
    wrapped = pl.struct(cell.alias(JSON_CELL)).struct.json_encode()
    text = wrapped.str.slice(len(f'{{"{JSON_CELL}":')).str.head(-1)
    return pl.when(cell.is_not_null()).then(text)
