"""Convert Arrow arrays to the values that users see.

See rules 5 and 6 in docs/explanation/reading-rules.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from runlake.exports.numpy_views import booleans_of, numbers_of, validity_of
from runlake.history.plan.arrow_types import is_binary, is_list, is_text, is_union
from runlake.history.rows.json_cells import NON_FINITE, clean_json

MS_PER_DAY = 86_400_000
ReadCells = Callable[[pa.Array], list[Any]]


def cell_reader(dtype: pa.DataType) -> ReadCells:
    """Return a function that converts arrays of a type to lists of Python values.

    Parameters
    ----------
    dtype : pyarrow.DataType
        Type of the arrays.

    Returns
    -------
    callable
        Takes an array without nulls, returns one Python value per element. Structs become dicts
        without their null fields. Exports store values of mixed types as a struct with a field
        per type (a union); a union becomes the value of its one non-null field. JSON in binary
        columns is parsed. Strings that represent non-finite numbers in the protocol become
        floats. A union whose fields are all null, and a JSON ``null``, become None.
    """
    make = next((make for is_dtype, make in _READERS if is_dtype(dtype)), None)
    return _read_objects if make is None else make(dtype)


def read_optional(array: pa.Array, read: ReadCells) -> list[Any]:
    """Return the values of an array, with None for nulls."""
    if array.null_count == 0:
        return read(array)
    cells: list[Any] = [None] * len(array)
    for index, cell in zip(filled(array), read(array.drop_null()), strict=True):
        cells[index] = cell
    return cells


def filled(array: pa.Array) -> list[int]:
    """Return the indices of the values of an array that are not null."""
    indices: list[int] = validity_of(array).nonzero()[0].tolist()
    return indices


def _read_objects(array: pa.Array) -> list[Any]:
    cells: list[Any] = array.to_pylist()
    return cells


def _read_numbers(array: pa.Array) -> list[Any]:
    # numpy's tolist is the fastest of all conversions measured (docs/explanation/reading.md).
    cells: list[Any] = numbers_of(array).tolist()
    return cells


def _read_booleans(array: pa.Array) -> list[Any]:
    cells: list[Any] = booleans_of(array).tolist()
    return cells


def _read_texts(array: pa.Array) -> list[Any]:
    texts = _read_objects(array)
    if NON_FINITE.keys().isdisjoint(texts):
        return texts
    return [NON_FINITE.get(text, text) for text in texts]


def _read_json(array: pa.Array) -> list[Any]:
    return [_parse_json(content) for content in array.to_pylist()]


def _parse_json(content: bytes) -> Any:
    try:
        return clean_json(json.loads(content))
    except ValueError:
        return content


def _categories_reader(dtype: pa.DictionaryType) -> ReadCells:
    read = cell_reader(dtype.value_type)

    def read_categories(array: pa.DictionaryArray) -> list[Any]:
        categories = read_optional(array.dictionary, read)
        return [categories[code] for code in numbers_of(array.indices).tolist()]

    return read_categories


def _moments_reader(dtype: pa.DataType) -> ReadCells:
    """Return a function that converts timestamps or durations to Python objects.

    Nanoseconds are cut off to microseconds, the finest unit of Python's types.
    """
    is_timestamp = pa.types.is_timestamp(dtype)
    target = pa.timestamp("us", dtype.tz) if is_timestamp else pa.duration("us")

    def read_moments(array: pa.Array) -> list[Any]:
        try:
            # Nanoseconds are cut off, because Python's datetime has only microseconds.
            return _read_objects(array.cast(target, safe=dtype.unit != "ns"))
        except (pa.ArrowInvalid, OverflowError, ValueError):
            # Python has no value for times after the year 9999 or in an unknown zone. Converted one
            # by one, only these cells become text.
            return [_moment(one, target) for one in array]

    return read_moments


def _moment(one: pa.Scalar, target: pa.DataType) -> Any:
    """Return a timestamp or duration as a Python object; as text if Python has no such value."""
    unit = one.type.unit
    try:
        return one.cast(target, safe=unit != "ns").as_py()
    except (pa.ArrowInvalid, OverflowError, ValueError):
        if pa.types.is_duration(target):
            return str(np.timedelta64(one.value, unit))
        return f"{np.datetime64(one.value, unit)}{'Z' if target.tz else ''}"


def _read_dates(array: pa.Array) -> list[Any]:
    try:
        return _read_objects(array)
    except (OverflowError, ValueError):
        return [_date(one) for one in array]


def _date(one: pa.Scalar) -> Any:
    """Return a date; as a string if its year is outside of Python's range, 1 to 9999."""
    try:
        return one.as_py()
    except (OverflowError, ValueError):
        n_days = one.value if pa.types.is_date32(one.type) else one.value // MS_PER_DAY
        return str(np.datetime64(n_days, "D"))


def _map_reader(dtype: pa.MapType) -> ReadCells:
    read_keys, read_items = cell_reader(dtype.key_type), cell_reader(dtype.item_type)

    def read_maps(array: pa.MapArray) -> list[Any]:
        cells = []
        for scalar in array:
            entries = scalar.values
            items = read_optional(entries.field(1), read_items)
            pairs = zip(read_keys(entries.field(0)), items, strict=True)
            cells.append({key: item for key, item in pairs if item is not None})
        return cells

    return read_maps


def _list_reader(dtype: pa.DataType) -> ReadCells:
    read = cell_reader(dtype.value_type)

    def read_lists(array: pa.ListArray) -> list[Any]:
        items = read_optional(array.flatten(), read)
        lengths = array.value_lengths().to_pylist()
        return [items[start:stop] for start, stop in pairwise(accumulate(lengths, initial=0))]

    return read_lists


def _union_reader(dtype: pa.StructType) -> ReadCells:
    members = [cell_reader(field.type) for field in dtype]

    def read_unions(array: pa.StructArray) -> list[Any]:
        cells: list[Any] = [None] * len(array)
        for index, read in reversed(list(enumerate(members))):
            member = array.field(index)
            for position, cell in zip(filled(member), read(member.drop_null()), strict=True):
                cells[position] = cell
        return cells

    return read_unions


def _struct_reader(dtype: pa.StructType) -> ReadCells:
    fields = [(field.name, cell_reader(field.type)) for field in dtype]

    def read_structs(array: pa.StructArray) -> list[Any]:
        cells: list[dict[str, Any]] = [{} for _ in range(len(array))]
        for index, (name, read) in enumerate(fields):
            field = array.field(index)
            for position, item in zip(filled(field), read(field.drop_null()), strict=True):
                if item is not None:
                    cells[position][name] = item
        return cells

    return read_structs


def _is_number(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype))


def _is_moment(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_timestamp(dtype) or pa.types.is_duration(dtype))


# The first line that matches a type is used; other types are converted by pyarrow's to_pylist.
_READERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], ReadCells]], ...] = (
    (_is_number, lambda _: _read_numbers),
    (pa.types.is_boolean, lambda _: _read_booleans),
    (is_text, lambda _: _read_texts),
    (is_binary, lambda _: _read_json),
    (pa.types.is_dictionary, _categories_reader),
    (pa.types.is_map, _map_reader),
    (is_list, _list_reader),
    (is_union, _union_reader),
    (pa.types.is_struct, _struct_reader),
    (_is_moment, _moments_reader),
    (pa.types.is_date, lambda _: _read_dates),
)
