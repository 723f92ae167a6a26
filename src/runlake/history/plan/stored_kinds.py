"""Find the kind of a column's values, such as "number" or "media", from its stored type."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa

from runlake.history.plan.arrow_types import is_json, is_list, is_number, is_text
from runlake.values import KeyKind


# Cached, because this is called for each key of each run.
@lru_cache(maxsize=1024)
def stored_kind(dtype: pa.DataType) -> KeyKind:
    """Return the kind of values that an Arrow type holds, such as "number" or "media"."""
    if pa.types.is_dictionary(dtype):
        return stored_kind(dtype.value_type)
    if pa.types.is_map(dtype):
        return "struct"
    if pa.types.is_struct(dtype) and dtype.get_field_index("_type") >= 0:
        return "media"
    kinds: list[tuple[bool, KeyKind]] = [
        (is_list(dtype), "list"),
        (is_json(dtype), "mixed"),
        (is_number(dtype), "number"),
        (is_text(dtype), "string"),
        (pa.types.is_boolean(dtype), "bool"),
        (pa.types.is_temporal(dtype), "time"),
        (pa.types.is_struct(dtype), "struct"),
    ]
    return next((name for is_it, name in kinds if is_it), "mixed")
