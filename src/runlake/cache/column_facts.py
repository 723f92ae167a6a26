"""Pack types, null counts and bounds of all columns of an export into bytes.

This form is used for exports with few columns.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence

import google_crc32c

from runlake.exports.footers.known_columns import ColumnFacts
from runlake.exports.footers.stored_types import stored_type

UNKNOWN = -1
LEVEL = 1  # higher levels make the result a tenth smaller, and take three times as long


def pack_facts(columns: Mapping[str, ColumnFacts]) -> bytes:
    """Return types, null counts and bounds of columns as bytes, which `unpack_facts` reads.

    Parameters
    ----------
    columns : mapping of str to ColumnFacts
        All columns of an export, in file order.
    """
    facts = list(columns.values())
    types = list(dict.fromkeys(fact.stored.content for fact in facts))
    at = {content: index for index, content in enumerate(types)}
    names = json.dumps([list(columns), [content.hex() for content in types]])
    numbers = struct.pack(
        _format(len(facts)),
        *(at[fact.stored.content] for fact in facts),
        *(UNKNOWN if fact.n_nulls is None else fact.n_nulls for fact in facts),
        *(_number(fact.minimum) for fact in facts),
        *(_number(fact.maximum) for fact in facts),
    )
    return zlib.compress(numbers + names.encode(), LEVEL)


def unpack_facts(
    content: bytes, n_columns: int, names: Sequence[str] | None
) -> dict[str, ColumnFacts] | None:
    """Return types, null counts and bounds of columns, from the bytes that `pack_facts` returned.

    Parameters
    ----------
    content : bytes
        Result of `pack_facts`.
    n_columns : int
        Number of columns of the export.
    names : sequence of str or None
        The requested columns; None means all.

    Returns
    -------
    dict of str to ColumnFacts or None
        The requested columns in file order. None if ``content`` does not describe all columns of
        the export.
    """
    found = zlib.decompress(content)
    layout = _format(n_columns)
    start = struct.calcsize(layout)
    if found[start : start + 1] != b"[":
        return None
    every, types = json.loads(found[start:])
    if len(every) != n_columns:
        return None
    numbers = struct.unpack_from(layout, found)
    dtypes = [stored_type(bytes.fromhex(text)) for text in types]
    wanted = every if names is None else sorted({*names}.intersection(every), key=every.index)
    places = range(n_columns) if names is None else map(every.index, wanted)
    return {
        name: ColumnFacts(
            dtypes[numbers[at]].checked(),
            None if numbers[n_columns + at] == UNKNOWN else numbers[n_columns + at],
            _bound(numbers[2 * n_columns + at]),
            _bound(numbers[3 * n_columns + at]),
        )
        for name, at in zip(wanted, places, strict=True)
    }


def facts_crc32c(file: str, content: bytes) -> int:
    """Return the CRC32C of a file name followed by the bytes that `pack_facts` returned."""
    return int(google_crc32c.extend(google_crc32c.value(file.encode()), content))


def real_bound(value: float | None) -> float | None:
    """Return a minimum or maximum as the catalog stores it; None for NaN."""
    return None if value is None or math.isnan(value) else float(value) + 0.0


def _format(n_columns: int) -> str:
    """Return the `struct` format of the numbers: type indices, null counts, minima, maxima."""
    return f"<{n_columns}H{n_columns}q{2 * n_columns}d"


def _number(bound: float | None) -> float:
    real = real_bound(bound)
    return math.nan if real is None else real


def _bound(number: float) -> float | None:
    # A known bound is never NaN, so NaN means an unknown bound.
    return None if math.isnan(number) else number
