"""Read a run from its exports into the columns of the packed tables."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa

from runlake.backend.http.client import Client
from runlake.cache.held_part import read_held_part
from runlake.cache.layout import RunDirectory
from runlake.history.frames.scan import json_keys, plan_types, scan_as
from runlake.history.plan.arrow_types import is_binary
from runlake.history.plan.key_facts import KeyFacts
from runlake.history.reader import Reading, open_reading
from runlake.lake.packed.kinds import table_of, text_of
from runlake.lake.packed.place import DOCUMENTS, INTEGERS
from runlake.values import STEP, Question

if TYPE_CHECKING:
    from runlake.history.frames.answer_types import Types

CELLS = "value"


class Unpackable(Exception):
    """A run cannot be packed; the message says why."""


@dataclass(frozen=True, slots=True)
class RunToPack:
    """A run to pack, and the run number for its rows.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.
    source : str
        Digest of what the run is read from; see `runlake.lake.packed.sources`.
    number : int
        The run number for the run's rows in the packed tables.
    """

    directory: RunDirectory
    source: str
    number: int


@dataclass(frozen=True, slots=True)
class KeyValues:
    """The values of one key of a run.

    Parameters
    ----------
    key : str
        The key.
    type : str
        The type of the values, as a string from `runlake.lake.packed.kinds.text_of`.
    table : str or None
        The packed table for the values; None if the key has no values.
    steps, values : Series or None
        The step of each value, ascending, and the values in the type of the table. None if the key
        has no values; but for the key ``_step`` of a run without rows, both are empty.
    facts : KeyFacts or None
        What the Parquet statistics of the exports say about the key; None if they say nothing.
    """

    key: str
    type: str
    table: str | None
    steps: pl.Series | None
    values: pl.Series | None
    facts: KeyFacts | None


@dataclass(frozen=True, slots=True)
class RunValues:
    """The values of all keys of a run; the first key is ``_step``, with one value per row."""

    run: RunToPack
    n_rows: int
    keys: Sequence[KeyValues]

    @property
    def n_bytes(self) -> int:
        """Size in memory, in bytes. Steps that several keys share are counted once."""
        values = (one.values for one in self.keys if one.values is not None)
        steps = {id(one.steps): one.steps for one in self.keys if one.steps is not None}
        return sum(int(one.estimated_size()) for one in (*values, *steps.values()))


def read_run(client: Client, run: RunToPack) -> RunValues:
    """Read all rows of a run that is complete on disk.

    Parameters
    ----------
    client : Client
        An offline client of the run's backend.
    run : RunToPack
        The run to read.

    Raises
    ------
    Unpackable
        If the run lacks keys or steps on disk, or has a key of a type that no table holds, or an
        integer that does not fit in 64 bits.
    CacheCorrupt
        If a file is damaged.
    """
    part = read_held_part(client.settings, run.directory, Question())
    if part.lacking is not None:
        raise Unpackable(part.lacking)
    reading = open_reading(client, run.directory.run, Question(), pulled=part.pulled)
    frame, types = reading.healing(_collected)
    facts = reading.logged_keys()
    stored_json = _keys_of_json(reading, types)
    steps = frame[STEP]
    has_rows = not frame.is_empty()
    keys = [KeyValues(STEP, "int64", INTEGERS if has_rows else None, steps, steps, None)]
    cells = _filled_cells(frame)
    for (key, dtype), (column, mask) in zip(types.items(), cells, strict=True):
        text = text_of(dtype, is_json=key in stored_json)
        if text is None:
            raise Unpackable(f"its key {key!r} has values of the type {dtype}")
        keys.append(_values_of(key, text, steps, column, mask, facts.get(key)))
    return RunValues(run, frame.height, keys)


def _collected(reading: Reading) -> tuple[pl.DataFrame, Types]:
    live = reading.live_rows()
    types = plan_types(reading.plan, live)
    return scan_as(reading.plan, types, live).collect(), types


def _filled_cells(frame: pl.DataFrame) -> list[tuple[pl.Series, pl.Series | None]]:
    """Return each column after ``_step``, with a mask of its cells that are not null.

    The mask is None for a column without nulls.
    """
    columns = frame.get_columns()[1:]
    # Renamed to numbers, because polars takes some column names for patterns.
    sparse = {str(n): one.alias(str(n)) for n, one in enumerate(columns) if one.null_count()}
    masks = pl.DataFrame(list(sparse.values())).select(pl.all().is_not_null()) if sparse else None
    return [
        (one.alias(CELLS), masks[str(n)] if masks is not None and str(n) in sparse else None)
        for n, one in enumerate(columns)
    ]


def _keys_of_json(reading: Reading, types: Mapping[str, pa.DataType | None]) -> set[str]:
    """Return the keys whose values are JSON in all exports."""
    texts = set(json_keys(types))
    found: dict[str, bool] = {}
    for export in reading.plan.exports if texts else ():
        for column in export.columns:
            if column.key in texts:
                found[column.key] = found.get(column.key, True) and is_binary(column.dtype)
    return {key for key, is_json in found.items() if is_json}


def _values_of(
    key: str,
    text: str,
    steps: pl.Series,
    cells: pl.Series,
    mask: pl.Series | None,
    facts: KeyFacts | None,
) -> KeyValues:
    table = table_of(text)
    if table is None or cells.null_count() == len(cells):
        return KeyValues(key, text, None, None, None, facts)
    if mask is not None:
        steps, cells = steps.filter(mask), cells.filter(mask)
    return KeyValues(key, text, table, steps, _stored(key, text, table, cells), facts)


def _stored(key: str, text: str, table: str, cells: pl.Series) -> pl.Series:
    if table == DOCUMENTS:
        return cells if cells.dtype == pl.String else json_texts(cells)
    if table == INTEGERS and cells.dtype != pl.Int64:
        try:
            return cells.cast(pl.Int64)
        except pl.exceptions.InvalidOperationError:
            raise Unpackable(f"its key {key!r} has integers beyond 64 bits ({text})") from None
    # The table has doubles only; reads cast back to the recorded type.
    return cells.cast(pl.Float64) if cells.dtype == pl.Float32 else cells


def json_texts(cells: pl.Series) -> pl.Series:
    """Return lists and structs as JSON strings, with NaN and infinities as Python writes them."""
    found: list[Any] = cells.to_arrow().to_pylist()
    return pl.Series([json.dumps(one) for one in found], dtype=pl.String)
