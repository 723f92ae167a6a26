"""Choose the packed table for the values of a type, and convert types to strings and back."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

import pyarrow as pa

from runlake.history.plan.arrow_types import UNION_PREFIX, is_binary
from runlake.lake.packed.place import DOCUMENTS, FLOATS, INTEGERS, TEXTS

# Both describe a column of JSON text. Its values were JSON in the exports, or had no common type.
BINARY, MIXED = "binary", "mixed"
# The type of a key whose values have no common type. No column of a frame can have this type.
UNION = pa.struct([(UNION_PREFIX + "any", pa.null())])

_SCALARS: dict[str, tuple[pa.DataType, str | None]] = {
    "null": (pa.null(), None),
    "bool": (pa.bool_(), INTEGERS),
    "float": (pa.float32(), FLOATS),
    "double": (pa.float64(), FLOATS),
    **{
        f"{sign}int{bits}": (getattr(pa, f"{sign}int{bits}")(), INTEGERS)
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
    "large_string": (pa.large_string(), TEXTS),
    BINARY: (pa.binary(), DOCUMENTS),
    MIXED: (UNION, DOCUMENTS),
}


@lru_cache(maxsize=1024)
def text_of(dtype: pa.DataType | None, *, is_json: bool = False) -> str | None:
    """Describe the type of a column as a string; None if no packed table can hold such values.

    Parameters
    ----------
    dtype : pyarrow.DataType or None
        The type; None means JSON text.
    is_json : bool
        Used only if ``dtype`` is None. True if the values are JSON text in the exports already;
        False if they become JSON text because they have no common type.

    Examples
    --------
    >>> text_of(pa.large_list(pa.float64()))
    '["list", "double"]'
    >>> text_of(pa.date32()) is None
    True
    """
    if dtype is None:
        return BINARY if is_json else MIXED
    try:
        found = _written(dtype)
    except TypeError:
        return None
    return found if isinstance(found, str) else json.dumps(found)


@lru_cache(maxsize=1024)
def type_of(text: str) -> pa.DataType:
    """Return the type that a string from `text_of` describes."""
    return _read(json.loads(text) if text.startswith("[") else text)


def table_of(text: str) -> str | None:
    """Return the packed table for the values of a type from `text_of`; None for the type null."""
    return DOCUMENTS if text.startswith("[") else _SCALARS[text][1]


def is_simple(text: str) -> bool:
    """Return whether values of a type are stored as numbers or strings instead of JSON text."""
    return not text.startswith("[") and text not in (BINARY, MIXED)


def _written(dtype: pa.DataType) -> Any:
    if str(dtype) in _SCALARS and not is_binary(dtype):
        return str(dtype)
    if pa.types.is_large_list(dtype):
        return ["list", _written(dtype.value_type)]
    if pa.types.is_struct(dtype):
        return ["struct", [[field.name, _written(field.type)] for field in dtype]]
    raise TypeError(str(dtype))


def _read(written: Any) -> pa.DataType:
    if isinstance(written, str):
        return _SCALARS[written][0]
    kind, inner = written
    if kind == "list":
        return pa.large_list(_read(inner))
    return pa.struct([(name, _read(one)) for name, one in inner])
