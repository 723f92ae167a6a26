"""Store the facts of all columns of a narrow export as one value."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache

import pyarrow as pa

from runlake.exports.footers.known_columns import ColumnFacts

LEVEL = 1  # higher levels save a tenth, and take three times as long


def pack_facts(columns: Mapping[str, ColumnFacts]) -> bytes:
    """Return the facts of columns as bytes, for `unpack_facts`.

    Parameters
    ----------
    columns : mapping of str to ColumnFacts
        All columns of an export, in file order.
    """
    facts = columns.values()
    types = list(dict.fromkeys(encoded_type(fact.type) for fact in facts))
    at = {content: index for index, content in enumerate(types)}
    document = [
        list(columns),
        [content.hex() for content in types],
        [at[encoded_type(fact.type)] for fact in facts],
        [fact.n_nulls for fact in facts],
        [real_bound(fact.minimum) for fact in facts],
        [real_bound(fact.maximum) for fact in facts],
    ]
    return zlib.compress(json.dumps(document, separators=(",", ":")).encode(), LEVEL)


def unpack_facts(
    content: bytes, n_columns: int, names: Sequence[str] | None
) -> dict[str, ColumnFacts] | None:
    """Return the facts of some columns.

    Parameters
    ----------
    content : bytes
        Result of `pack_facts`.
    n_columns : int
        Number of columns of the export.
    names : sequence of str or None
        The columns; None means all.

    Returns
    -------
    dict of str to ColumnFacts or None
        In file order; None if ``content`` does not describe all columns of the export.
    """
    every, types, *facts = json.loads(zlib.decompress(content))
    if len(every) != n_columns:
        return None
    dtypes = [decoded_type(bytes.fromhex(text)) for text in types]
    wanted = None if names is None else frozenset(names)
    return {
        name: ColumnFacts(dtypes[kind], n_nulls, minimum, maximum)
        for name, kind, n_nulls, minimum, maximum in zip(every, *facts, strict=True)
        if wanted is None or name in wanted
    }


def real_bound(value: float | None) -> float | None:
    """Return a minimum or maximum as the catalog stores it; NaN is no bound."""
    return None if value is None or math.isnan(value) else float(value) + 0.0


@lru_cache(maxsize=4096)
def encoded_type(kind: pa.DataType) -> bytes:
    """Return a type in the form in which Arrow writes a schema."""
    return bytes(pa.schema([("", kind)]).serialize())


@lru_cache(maxsize=4096)
def decoded_type(content: bytes) -> pa.DataType:
    """Return the type that `encoded_type` wrote."""
    return pa.ipc.read_schema(pa.BufferReader(content)).field(0).type
