"""Converts history lines to Arrow columns with polars, if each key has one simple type.

polars infers types by its own rules: it turns a number among strings into a string, and if a key is
repeated in a line, polars keeps only the first value. So the result is used only if the numbers of
quotes and colons in the lines show that polars neither converted nor dropped a value. Otherwise
`columns` reads the lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import polars as pl
import pyarrow as pa

from runlake.server.exports.columns import DOUBLES
from runlake.server.runs.lines import parse_line

# Lines with one of these texts are left to `columns`: polars reads escapes in its own way, and
# cannot read NaN, for example; it gives an empty key another name.
NOT_PLAIN = ("\\", "NaN", "Infinity", "[", '"_type"', '"":')
EMPTY_OBJECT = re.compile(r"\{\s*\}")
SIMPLE = {pl.Int64, pl.Float64, pl.Boolean, pl.String}


def read_plain(lines: list[str]) -> dict[str, pa.Array] | None:
    """Convert history lines to Arrow columns with polars; `columns_of` describes their types.

    Parameters
    ----------
    lines : list of str
        Consecutive lines of one run, each valid JSON.

    Returns
    -------
    dict of str to Array or None
        The columns, by dotted key; None if polars would change the values, so that `columns_of`
        must convert the lines.
    """
    text = "\n".join(lines)
    if any(mark in text for mark in NOT_PLAIN) or EMPTY_OBJECT.search(text):
        return None
    try:
        # polars returns a piece per few lines. With thousands of keys, the pieces of the columns
        # take several times the memory of the values, and all steps below take twice as long.
        frame = pl.read_ndjson(text.encode(), infer_schema_length=None).rechunk()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None
    if frame.schema.get("_step") != pl.Int64 or not _is_faithful(frame, text):
        return None
    columns = [column for column in _flat(frame) if column.null_count() < len(column)]
    are_distinct = len({column.name for column in columns}) == len(columns)
    if not are_distinct or any(column.dtype not in SIMPLE for column in columns):
        return None
    rows = pl.DataFrame(columns).drop_nulls("_step")
    rows = rows if rows["_step"].is_sorted() else rows.sort("_step")
    # A float in a line without a step would change the type of a key from integers to floats.
    may_be_integers = len(rows) < len(frame) and pl.Float64 in rows.dtypes
    if may_be_integers or rows["_step"].n_unique() < len(rows):
        return None
    # A key may have values only in lines without a step.
    kept = [column for column in rows.iter_columns() if column.null_count() < len(column)]
    # polars orders keys in its own way; most keys are in the first line.
    first = {key: at for at, key in enumerate(dict.fromkeys(["_step", *parse_line(lines[0])]))}
    kept.sort(key=lambda column: first.get(column.name, len(first)))
    return {column.name: _in_arrow(column) for column in kept}


def _is_faithful(frame: pl.DataFrame, text: str) -> bool:
    """Return whether a frame has as many keys and strings as the JSON from which polars read it."""
    n_keys, n_strings = 0, 0
    holders = list(frame.iter_columns())
    while holders:
        column = holders.pop()
        n_values = len(column) - column.null_count()
        n_keys += n_values
        if column.dtype == pl.String:
            n_strings += n_values
        if column.dtype == pl.Struct:
            holders += column.struct.unnest().iter_columns()
    # If a string contains such a text, the numbers of quotes differ.
    n_keys += text.count('":null') + text.count('": null')
    return n_keys == text.count('":') and text.count('"') == 2 * (n_keys + n_strings)


def _flat(frame: pl.DataFrame, prefix: str = "") -> Iterator[pl.Series]:
    for column in frame.iter_columns():
        if column.dtype == pl.Struct:
            yield from _flat(column.struct.unnest(), f"{prefix}{column.name}.")
        else:
            yield column.alias(prefix + column.name) if prefix else column


def _in_arrow(column: pl.Series) -> pa.Array:
    if column.dtype == pl.String:
        return column.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(pa.string())
    if column.name in DOUBLES and column.dtype == pl.Int64:
        return column.cast(pl.Float64).to_arrow()
    return column.to_arrow()
