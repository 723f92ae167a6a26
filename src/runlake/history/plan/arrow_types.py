"""Find the common Arrow type of a key's columns. Without a common type, the key is JSON text.

This is rule 6 in docs/explanation/reading-rules.md. The functions do no I/O.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, reduce

import pyarrow as pa

UNION_PREFIX = "_type_"
# polars has no wider decimals: it cannot read such a column (docs/explanation/reading.md).
MAX_DECIMAL_DIGITS = 38


def unify(dtypes: Sequence[pa.DataType]) -> pa.DataType | None:
    """Return the common type of a key's columns, for one column of a frame.

    Parameters
    ----------
    dtypes : sequence of pyarrow.DataType
        Types of the key in exports and live rows; at least one.

    Returns
    -------
    pyarrow.DataType or None
        None if there is no common type, or if a type contains JSON (see `is_json`): the column must
        then be JSON text.

    Examples
    --------
    >>> unify([pa.int32(), pa.float32()])
    DataType(double)
    >>> unify([pa.string(), pa.null()])
    DataType(large_string)
    >>> unify([pa.string(), pa.bool_()]) is None
    True
    """
    return None if any(is_json(dtype) for dtype in dtypes) else join(dtypes)


def join(dtypes: Sequence[pa.DataType | None]) -> pa.DataType | None:
    """Return the common type of a column's cells, even if frames cannot hold this type.

    Parameters
    ----------
    dtypes : sequence of pyarrow.DataType or None
        The common type of each part of the cells, at least one; None for a part without a common
        type.

    Returns
    -------
    pyarrow.DataType or None
        None if there is no common type. The result does not depend on how the cells are divided
        into parts.

    Examples
    --------
    >>> join([pa.null(), pa.int64(), pa.float64()])
    DataType(double)
    """
    return reduce(_unify_two, map(_plain_if_any, dtypes[1:]), _plain_if_any(dtypes[0]))


def is_union(dtype: pa.DataType) -> bool:
    """Return whether a type is the struct that exports use for a key with values of mixed types."""
    return (
        pa.types.is_struct(dtype)
        and dtype.num_fields > 0
        and all(field.name.startswith(UNION_PREFIX) for field in dtype)
    )


def is_nested(dtype: pa.DataType) -> bool:
    """Return whether a type is a struct of nested keys, and neither media nor a union."""
    return pa.types.is_struct(dtype) and dtype.get_field_index("_type") < 0 and not is_union(dtype)


def is_json(dtype: pa.DataType) -> bool:
    """Return whether a type contains JSON, unions or maps at any depth.

    Frames cannot hold such values.
    """
    if is_binary(dtype) or pa.types.is_map(dtype) or is_union(dtype):
        return True
    if is_list(dtype) or pa.types.is_dictionary(dtype):
        return is_json(dtype.value_type)
    return pa.types.is_struct(dtype) and any(is_json(field.type) for field in dtype)


@lru_cache(maxsize=1024)
def polars_can_read(dtype: pa.DataType) -> bool:
    """Return whether polars can read columns of an Arrow type."""
    if pa.types.is_decimal(dtype):
        return bool(dtype.precision <= MAX_DECIMAL_DIGITS)
    if is_list(dtype) or pa.types.is_dictionary(dtype):
        return polars_can_read(dtype.value_type)
    return not pa.types.is_struct(dtype) or all(polars_can_read(field.type) for field in dtype)


def as_polars_can_read(dtype: pa.DataType) -> pa.DataType:
    """Return an Arrow type with float64 in place of the types that polars cannot read."""
    if pa.types.is_decimal(dtype):
        return dtype if polars_can_read(dtype) else pa.float64()
    if is_list(dtype):
        return pa.large_list(as_polars_can_read(dtype.value_type))
    if pa.types.is_struct(dtype):
        return pa.struct([(field.name, as_polars_can_read(field.type)) for field in dtype])
    return dtype


def holds_as_is(target: pa.DataType | None, dtype: pa.DataType) -> bool:
    """Return whether all engines cast cells of type ``dtype`` to ``target`` with equal results.

    False for all types besides numbers, strings, booleans, and lists of them; also False for
    16-bit floats and 256-bit decimals.
    """
    if target is None or pa.types.is_float16(dtype):
        return False
    if is_list(dtype):
        is_same = pa.types.is_large_list(target)
        return bool(is_same and holds_as_is(target.value_type, dtype.value_type))
    if is_number(dtype):
        return is_number(target) and not bool(pa.types.is_decimal256(dtype))
    return bool((is_text(dtype) or pa.types.is_boolean(dtype)) and _plain(dtype) == target)


# Cached, because this is called for each column of each run.
@lru_cache(maxsize=1024)
def is_plain(dtype: pa.DataType) -> bool:
    """Return whether polars reads a stored type directly as the type of the frame's column."""
    if is_list(dtype) and not pa.types.is_fixed_size_list(dtype):
        return is_plain(dtype.value_type)
    if pa.types.is_struct(dtype) and not all(is_plain(field.type) for field in dtype):
        return False
    return not (
        is_json(dtype)
        or pa.types.is_dictionary(dtype)
        or pa.types.is_date(dtype)
        or pa.types.is_float16(dtype)
        or pa.types.is_fixed_size_list(dtype)
        or not polars_can_read(dtype)
    )


def is_binary(dtype: pa.DataType) -> bool:
    """Return whether a type holds bytes. In exports, bytes contain JSON."""
    types = pa.types
    return bool(
        types.is_binary(dtype)
        or types.is_large_binary(dtype)
        or types.is_fixed_size_binary(dtype)
        or types.is_binary_view(dtype)
    )


def is_text(dtype: pa.DataType) -> bool:
    """Return whether a type holds strings."""
    types = pa.types
    return bool(
        types.is_string(dtype) or types.is_large_string(dtype) or types.is_string_view(dtype)
    )


def is_list(dtype: pa.DataType) -> bool:
    """Return whether a type holds lists."""
    types = pa.types
    return bool(
        types.is_list(dtype)
        or types.is_large_list(dtype)
        or types.is_fixed_size_list(dtype)
        or types.is_list_view(dtype)
        or types.is_large_list_view(dtype)
    )


def is_int_or_float(dtype: pa.DataType) -> bool:
    """Return whether a type is an integer or floating-point type, which numpy has too."""
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype))


def is_number(dtype: pa.DataType) -> bool:
    """Return whether a type holds numbers."""
    types = pa.types
    return bool(types.is_integer(dtype) or types.is_floating(dtype) or types.is_decimal(dtype))


def _plain_if_any(dtype: pa.DataType | None) -> pa.DataType | None:
    return None if dtype is None else _plain(dtype)


def _plain(dtype: pa.DataType) -> pa.DataType:
    """Return the type of a frame's column for a stored type.

    Types that differ only in storage, such as string and large string, give the same type.
    """
    types = pa.types
    plain = dtype
    if types.is_dictionary(dtype):
        plain = _plain(dtype.value_type)
    elif is_text(dtype):
        plain = pa.large_string()
    elif is_list(dtype):
        plain = pa.large_list(_plain(dtype.value_type))
    elif types.is_struct(dtype):
        plain = pa.struct([(field.name, _plain(field.type)) for field in dtype])
    elif types.is_float16(dtype):
        plain = pa.float32()
    elif types.is_decimal(dtype) and dtype.precision > MAX_DECIMAL_DIGITS:
        plain = pa.float64()
    elif types.is_time(dtype):
        plain = pa.time64("ns")
    elif types.is_timestamp(dtype) and dtype.unit == "s":
        plain = pa.timestamp("ms", dtype.tz)
    return plain


def _unify_two(one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    if one is None or other is None:
        return None
    if one == other or pa.types.is_null(other):
        return one
    unified = None
    if pa.types.is_null(one):
        unified = other
    elif is_number(one) and is_number(other):
        unified = _wider_number(one, other)
    elif pa.types.is_large_list(one) and pa.types.is_large_list(other):
        inner = _unify_two(one.value_type, other.value_type)
        unified = None if inner is None else pa.large_list(inner)
    elif pa.types.is_struct(one) and pa.types.is_struct(other):
        unified = _unify_structs(one, other)
    elif pa.types.is_timestamp(one) and pa.types.is_timestamp(other) and one.tz == other.tz:
        unified = pa.timestamp("us", one.tz)
    return unified


def _wider_number(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    dtypes = (one, other)
    if not all(map(pa.types.is_integer, dtypes)):
        return pa.float64()
    if all(map(pa.types.is_unsigned_integer, dtypes)):
        return pa.uint64()
    # No integer type has both negative numbers and those above 2^63 - 1.
    return pa.float64() if pa.uint64() in dtypes else pa.int64()


def _unify_structs(one: pa.StructType, other: pa.StructType) -> pa.StructType | None:
    fields: dict[str, pa.DataType | None] = {field.name: field.type for field in one}
    for field in other:
        held = fields.get(field.name, pa.null())
        fields[field.name] = _unify_two(held, field.type)
    if any(dtype is None for dtype in fields.values()):
        return None
    return pa.struct(list(fields.items()))
