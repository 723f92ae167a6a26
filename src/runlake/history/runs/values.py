"""Find one value of a key per run: the best, the last, or the value at a point of the x axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from runlake.backend.http.client import Client
from runlake.errors import InvalidArgument
from runlake.history.decode.expressions import pick, polars_type
from runlake.history.frames.answer_types import Types
from runlake.history.plan.arrow_types import is_number
from runlake.history.runs.packed import PackedReading, PackedRows
from runlake.history.runs.run_rows import RunRows, read_opened
from runlake.history.runs.scan import AnyReading, OpenedRun, open_runs
from runlake.values import STEP, Projection

Mode = Literal["min", "max"]
SHOWN_RUNS = 5
# Rows that are known without reading: the index of the run in the result, and the run's row.
_NOTHING = pl.DataFrame(schema={"place": pl.Int64(), STEP: pl.Int64(), "value": pl.Float64()})
# For each run, the index of the chosen row; -1 if no row is chosen.
Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Choice:
    """A rule that chooses one row of each run.

    Parameters
    ----------
    name : str or None
        A name that no other rule has. The results are kept in memory under this name. None means
        that they are not kept.
    place : callable
        Takes the rows, the x axis and the key; returns the index of the chosen row of each run, -1
        for none.
    needs_numbers : bool
        True if the values of the key must be numbers.
    """

    name: str | None
    place: Callable[[RunRows, str, str], Places]
    needs_numbers: bool = False


def best_choice(mode: Mode) -> Choice:
    """Return the rule that chooses the first row with the lowest or the highest value.

    NaN is ignored. If a run has no number besides NaN, none of its rows is chosen.
    """
    return Choice(mode, lambda rows, _, key: _best_places(rows, key, mode), needs_numbers=True)


def last_choice() -> Choice:
    """Return the rule that chooses the last row, even if its value is NaN."""
    return Choice("last", lambda rows, _x, _key: np.where(rows.counts > 0, rows.stops - 1, -1))


def nearest_choice(at: float, tolerance: float | None) -> Choice:
    """Return the rule that chooses the row whose x is nearest to a point.

    Parameters
    ----------
    at : float
        The point.
    tolerance : float or None
        Greatest distance from the point, inclusive; None means any distance. If two rows are
        equally near, the earlier row is chosen.
    """
    limit = math.inf if tolerance is None else tolerance
    return Choice(None, lambda rows, x, _: _nearest_places(rows, x, at, limit))


def value_per_run(
    client: Client,
    readings: Sequence[AnyReading],
    where: str,
    projection: Projection,
    x: str,
    choice: Choice,
) -> pl.DataFrame:
    """Return one chosen row of each run, with the columns of the x axis and of the key.

    Parameters
    ----------
    client, readings, where
        As for `runlake.history.runs.scan.scan_readings`.
    projection : Projection
        The key, then the axis unless the axis is ``_step``. Only rows that have both are read.
    x : str
        Key of the x axis.
    choice : Choice
        Which row of each run to return.

    Returns
    -------
    DataFrame
        A row for each run, in the order of ``readings``; null if the run has no such row. If all
        rows of a run are in exports, its row may be kept in memory until the exports change; texts
        are not kept.

    Raises
    ------
    InvalidArgument
        If ``choice`` compares values of the key or of the axis, and they are not numbers.
    """
    opened, types = open_runs(client, readings, where, projection)
    key = (projection.keys or ())[0]
    names = list(dict.fromkeys([x, key]))
    dtypes = {name: _dtype(name, types) for name in names}
    if choice.needs_numbers and not _is_numeric(dtypes[key]):
        raise _no_numbers(opened, where, key)
    token = (choice.name, x, key, types[key], types.get(x))
    is_kept = choice.name is not None and all(map(_is_simple, dtypes.values()))
    memory = [_memory(one) if is_kept else {} for one in opened]
    is_numeric = is_kept and x == STEP and dtypes[key].is_numeric()
    known = _packed_values(opened, key, choice.name or "") if is_numeric else _NOTHING
    others = np.setdiff1d(np.arange(len(opened)), known["place"].to_numpy()).tolist()
    unknown = [place for place in others if token not in memory[place]]
    rows = read_opened([opened[place] for place in unknown], types, projection)
    read = _picked(pick(rows.frame, names), choice.place(rows, x, key))
    for place, row in zip(unknown, read.iter_rows() if is_kept else (), strict=False):
        memory[place][token] = row
    if len(unknown) == len(opened):
        return read
    rest = pl.DataFrame([memory[place][token] for place in others], schema=dtypes, orient="row")
    if known.is_empty():
        return rest
    packed = known.select(pl.col(STEP), pl.col("value").cast(dtypes[key]).alias(key))
    order = np.argsort(np.concatenate([known["place"].to_numpy(), others]), kind="stable")
    return pl.concat([packed, rest])[order]


def _no_numbers(opened: Sequence[OpenedRun], where: str, key: str) -> InvalidArgument:
    """Return an error that names runs in which the values of a key are not numbers."""
    odd = [
        one.run.run_id
        for one in opened
        for columns in one.sources
        for column in columns
        if column.key == key and not (pa.types.is_null(column.dtype) or is_number(column.dtype))
    ]
    names = list(dict.fromkeys(odd))
    shown = ", ".join(map(repr, names[:SHOWN_RUNS]))
    more = f" and {len(names) - SHOWN_RUNS:,} more" if len(names) > SHOWN_RUNS else ""
    return InvalidArgument(
        f"Values of {key!r} cannot be compared, because they are not numbers in these runs of "
        f"'{where}': {shown}{more}. Leave these runs out with Runs.where."
    )


def _memory(opened: OpenedRun) -> dict[Any, tuple[Any, ...]]:
    """Return the results that are kept in memory for a run, until its exports change.

    Each key of the dict consists of a rule's name, the x axis, a key of the run, and the types of
    both; each value is a row.
    """
    if opened.packed is not None:
        return {}
    plan = opened.exported.plan
    # Live rows can change while the exports, under which the memory is kept, stay the same.
    if plan.live_pages or plan.is_walk:
        return {}
    return plan.pulled.exports.stored(_memory, dict)


def _packed_values(opened: Sequence[OpenedRun], key: str, choice: str) -> pl.DataFrame:
    """Return rows of packed runs that are known without reading: run index, ``_step`` and value."""
    groups: dict[int, tuple[PackedRows, list[int], list[int]]] = {}
    for place, one in enumerate(opened):
        if isinstance(one.reading, PackedReading):
            _, places, numbers = groups.setdefault(id(one.reading.rows), (one.reading.rows, [], []))
            places.append(place)
            numbers.append(one.reading.number)
    frames = [_NOTHING]
    for rows, places, numbers in groups.values():
        asked = pl.DataFrame(
            {"place": places, "run": numbers}, {"place": pl.Int64, "run": pl.Int32}
        )
        known = rows.known_values(key, choice)
        found = asked.join(known, on="run", maintain_order="left").select(_NOTHING.columns)
        frames.append(found)
    return pl.concat(frames)


def _is_simple(dtype: pl.DataType) -> bool:
    """Return whether a row with a value of a type may be kept in memory, as Python objects.

    Such a value stays the same if it is converted to Python and back, and it is small. Texts are
    not kept, because they can be long.
    """
    return dtype.is_float() or dtype.is_integer() or dtype in (pl.Boolean(), pl.Null())


def _picked(frame: pl.DataFrame, places: Places) -> pl.DataFrame:
    """Return the rows of a frame at some indices; a row of nulls for the index -1."""
    if frame.is_empty():
        return frame.clear(len(places))
    index = pl.Series(places, dtype=pl.Int64)
    return frame.select(pl.all().gather(index.set(index < 0, None)))


def _best_places(rows: RunRows, key: str, mode: Mode) -> Places:
    values = _as_numbers(rows.frame, key)
    return _first_extreme(rows, values, np.fmin if mode == "min" else np.fmax)[0]


def _nearest_places(rows: RunRows, x: str, at: float, limit: float) -> Places:
    dtype = rows.frame.schema[x]
    if not _is_numeric(dtype):
        raise InvalidArgument(f"The values of {x!r} are of type {dtype}, so none is near {at!r}.")
    # Subtract floats, because a difference of integers could exceed 64 bits.
    distance = np.abs(_as_numbers(rows.frame, x).astype(np.float64) - at)
    places, nearest = _first_extreme(rows, distance, np.fmin)
    return np.where(nearest <= limit, places, -1)


def _first_extreme(
    rows: RunRows, values: npt.NDArray[Any], reduce: np.ufunc
) -> tuple[Places, npt.NDArray[Any]]:
    """Return the index of the first row with each run's lowest or highest number, and this number.

    For a run without numbers, the index is -1 and the number is NaN.
    """
    places = np.full(len(rows.counts), -1)
    extremes = np.full(len(rows.counts), np.nan)
    filled = np.flatnonzero(rows.counts)
    if not filled.size:
        return places, extremes
    starts = rows.starts[filled]
    found = reduce.reduceat(values, starts)
    equal = np.flatnonzero(values == np.repeat(found, rows.counts[filled]))
    # If the next row that equals the extreme is in a later run, the run has no number.
    first = np.append(equal, values.size)[np.searchsorted(equal, starts)]
    places[filled] = np.where(first < rows.stops[filled], first, -1)
    extremes[filled] = found
    return places, extremes


def _as_numbers(frame: pl.DataFrame, name: str) -> npt.NDArray[Any]:
    """Return a column as an array of numbers that numpy can compare; nulls are NaN."""
    cells = pick(frame, [name]).to_series()
    is_exact = cells.dtype in (pl.Float64(), pl.Float32(), pl.Int64(), pl.UInt64(), pl.Int32())
    return (cells if is_exact else cells.cast(pl.Float64)).to_numpy()


def _dtype(name: str, types: Types) -> pl.DataType:
    return pl.Int64() if name == STEP else polars_type(types[name])


def _is_numeric(dtype: pl.DataType) -> bool:
    return dtype == pl.Null() or dtype.is_numeric()
