"""Types of columns: which fit together, and which only JSON text can hold (rule 6; pure)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, reduce

import pyarrow as pa

UNION_PREFIX = "_type_"
MAX_DECIMAL_DIGITS = 38


def unify(kinds: Sequence[pa.DataType]) -> pa.DataType | None:
    """Return the type that holds the cells of all the types in a frame.

    Parameters
    ----------
    kinds : sequence of pyarrow.DataType
        Types of one key in several sources; one at least.

    Returns
    -------
    pyarrow.DataType or None
        None where only JSON text can hold the cells.

    Examples
    --------
    >>> unify([pa.int32(), pa.float32()])
    DataType(double)
    >>> unify([pa.string(), pa.null()])
    DataType(large_string)
    >>> unify([pa.string(), pa.bool_()]) is None
    True
    """
    if any(is_json(kind) for kind in kinds):
        return None
    return reduce(_unify_two, map(_plain, kinds[1:]), _plain(kinds[0]))


def is_union(kind: pa.DataType) -> bool:
    """Tell whether a struct is the protocol's form of a key whose values are of several types."""
    return (
        pa.types.is_struct(kind)
        and kind.num_fields > 0
        and all(field.name.startswith(UNION_PREFIX) for field in kind)
    )


def is_nested(kind: pa.DataType) -> bool:
    """Tell whether a struct stands for dotted keys: it is neither media nor a union."""
    return pa.types.is_struct(kind) and kind.get_field_index("_type") < 0 and not is_union(kind)


def is_json(kind: pa.DataType) -> bool:
    """Tell whether cells are JSON, unions or maps, at any depth: they have no type in a frame."""
    if is_binary(kind) or pa.types.is_map(kind) or is_union(kind):
        return True
    if is_list(kind) or pa.types.is_dictionary(kind):
        return is_json(kind.value_type)
    return pa.types.is_struct(kind) and any(is_json(field.type) for field in kind)


@lru_cache(maxsize=1024)
def polars_can_read(kind: pa.DataType) -> bool:
    """Tell whether polars reads cells of a type."""
    if pa.types.is_decimal(kind):
        return bool(kind.precision <= MAX_DECIMAL_DIGITS)
    if is_list(kind) or pa.types.is_dictionary(kind):
        return polars_can_read(kind.value_type)
    return not pa.types.is_struct(kind) or all(polars_can_read(field.type) for field in kind)


def as_polars_can_read(kind: pa.DataType) -> pa.DataType:
    """Return a type with floats in place of what polars cannot read."""
    if pa.types.is_decimal(kind):
        return kind if polars_can_read(kind) else pa.float64()
    if is_list(kind):
        return pa.large_list(as_polars_can_read(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, as_polars_can_read(field.type)) for field in kind])
    return kind


def holds_as_is(target: pa.DataType | None, kind: pa.DataType) -> bool:
    """Tell whether every engine reads cells alike, and casts them alike to the type of the answer.

    Structs, moments and numbers of 16 bits are not among them.
    """
    if target is None or pa.types.is_float16(kind):
        return False
    if is_list(kind):
        is_same = pa.types.is_large_list(target)
        return bool(is_same and holds_as_is(target.value_type, kind.value_type))
    if is_number(kind):
        return is_number(target) and not bool(pa.types.is_decimal256(kind))
    return bool((is_text(kind) or pa.types.is_boolean(kind)) and _plain(kind) == target)


def is_plain(kind: pa.DataType) -> bool:
    """Tell whether a column of a frame has the very type that is stored, as polars reads it."""
    if is_list(kind) and not pa.types.is_fixed_size_list(kind):
        return is_plain(kind.value_type)
    if pa.types.is_struct(kind) and not all(is_plain(field.type) for field in kind):
        return False
    return not (
        is_json(kind)
        or pa.types.is_dictionary(kind)
        or pa.types.is_date(kind)
        or pa.types.is_float16(kind)
        or pa.types.is_fixed_size_list(kind)
        or not polars_can_read(kind)
    )


def is_binary(kind: pa.DataType) -> bool:
    """Tell whether a type holds bytes, in which the protocol has JSON."""
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a type holds strings."""
    types = pa.types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def is_list(kind: pa.DataType) -> bool:
    """Tell whether a type holds lists."""
    types = pa.types
    return bool(
        types.is_list(kind)
        or types.is_large_list(kind)
        or types.is_fixed_size_list(kind)
        or types.is_list_view(kind)
        or types.is_large_list_view(kind)
    )


def is_int_or_float(kind: pa.DataType) -> bool:
    """Tell whether cells of a type are what numpy holds as numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_number(kind: pa.DataType) -> bool:
    """Tell whether a type holds numbers."""
    types = pa.types
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the one form of types that differ in how they are stored only."""
    types = pa.types
    plain = kind
    if types.is_dictionary(kind):
        plain = _plain(kind.value_type)
    elif is_text(kind):
        plain = pa.large_string()
    elif is_list(kind):
        plain = pa.large_list(_plain(kind.value_type))
    elif types.is_struct(kind):
        plain = pa.struct([(field.name, _plain(field.type)) for field in kind])
    elif types.is_float16(kind):
        plain = pa.float32()
    elif types.is_decimal(kind) and kind.precision > MAX_DECIMAL_DIGITS:
        plain = pa.float64()
    elif types.is_time(kind):
        plain = pa.time64("ns")
    elif types.is_timestamp(kind) and kind.unit == "s":
        plain = pa.timestamp("ms", kind.tz)
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
    kinds = (one, other)
    if not all(map(pa.types.is_integer, kinds)):
        return pa.float64()
    if all(map(pa.types.is_unsigned_integer, kinds)):
        return pa.uint64()
    return pa.float64() if pa.uint64() in kinds else pa.int64()


def _unify_structs(one: pa.StructType, other: pa.StructType) -> pa.StructType | None:
    fields: dict[str, pa.DataType | None] = {field.name: field.type for field in one}
    for field in other:
        held = fields.get(field.name, pa.null())
        fields[field.name] = _unify_two(held, field.type)
    if any(kind is None for kind in fields.values()):
        return None
    return pa.struct(list(fields.items()))
