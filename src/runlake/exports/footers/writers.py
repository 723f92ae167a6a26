"""Find exports with types or encodings that polars or DuckDB cannot read, but pyarrow can."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import chain

import pyarrow as pa
import pyarrow.parquet as pq

ARROW_SCHEMA = b"ARROW:schema"
FIXED = "FIXED_LEN_BYTE_ARRAY"
# polars cannot read values of fixed length in BYTE_STREAM_SPLIT or DELTA_BYTE_ARRAY, DuckDB not in
# BYTE_STREAM_SPLIT.
COMMON_ENCODINGS = {"PLAIN", "RLE", "BIT_PACKED", "PLAIN_DICTIONARY", "RLE_DICTIONARY"}


def all_kinds(schema: pa.Schema) -> frozenset[pa.DataType]:
    """Return the types of the columns of a schema, and the types nested in these types."""
    return frozenset(chain.from_iterable(map(kinds_in, set(schema.types))))


def is_common(metadata: pq.FileMetaData, kinds: frozenset[pa.DataType]) -> bool:
    """Return whether polars and DuckDB read every column of a file, as pyarrow does.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
        The footer.
    kinds : frozenset of DataType
        The types in the same file, see `all_kinds`.

    Returns
    -------
    bool
        False for types that polars or DuckDB cannot read, and for values of fixed length in newer
        encodings. These types and encodings were found by a test in which each engine read
        everything that pyarrow, polars and DuckDB can write.
    """
    is_refused, holds_nothing, is_fixed = _features(kinds)
    if is_refused:
        return False
    # Without Arrow's schema polars reads lists and structs of nulls as integers.
    if holds_nothing and ARROW_SCHEMA not in (metadata.metadata or {}):
        return False
    return not is_fixed or _has_common_encodings(metadata)


@lru_cache(maxsize=64)
def _features(kinds: frozenset[pa.DataType]) -> tuple[bool, bool, bool]:
    """Return three facts about a set of types.

    These are: whether polars, pyarrow or DuckDB cannot read one of the types at all, whether one
    of them has items or fields of type null, and whether values of one of them have a fixed length.
    """
    return (
        any(map(_is_refused, kinds)),
        any(map(_holds_nothing, kinds)),
        any(map(_is_fixed, kinds)),
    )


def kinds_in(kind: pa.DataType) -> Iterator[pa.DataType]:
    """Yield a type, then the types nested in it, at any depth."""
    yield kind
    if isinstance(kind, pa.BaseExtensionType):
        yield from kinds_in(kind.storage_type)
    elif pa.types.is_dictionary(kind):
        yield from kinds_in(kind.value_type)
    else:
        for index in range(kind.num_fields):
            yield from kinds_in(kind.field(index).type)


def _is_refused(kind: pa.DataType) -> bool:
    types = pa.types
    # Neither polars nor pyarrow reads lists of the fixed length 0; polars panics for list views.
    if types.is_fixed_size_list(kind):
        return bool(kind.list_size == 0)
    return bool(types.is_list_view(kind) or types.is_large_list_view(kind))


def _holds_nothing(kind: pa.DataType) -> bool:
    """Return whether a list or struct has items or fields of type null.

    polars may read these as integers.
    """
    return any(pa.types.is_null(kind.field(n).type) for n in range(kind.num_fields))


def _is_fixed(kind: pa.DataType) -> bool:
    """Return whether values of a type may be stored as FIXED_LEN_BYTE_ARRAY."""
    types = pa.types
    return bool(
        types.is_fixed_size_binary(kind) or types.is_decimal(kind) or types.is_float16(kind)
    )


def _has_common_encodings(metadata: pq.FileMetaData) -> bool:
    for leaf in range(metadata.num_columns):
        column = metadata.schema.column(leaf)
        if column.physical_type != FIXED:
            continue
        # polars panics for the whole file, whichever columns are read.
        if column.converted_type == "INTERVAL":
            return False
        for group in range(metadata.num_row_groups):
            encodings = metadata.row_group(group).column(leaf).encodings
            if not COMMON_ENCODINGS.issuperset(encodings):
                return False
    return True
