"""Find the best value of a key. All values are read, because a file's statistics may be wrong."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

import polars as pl
import pyarrow as pa

from runlake.errors import InvalidArgument
from runlake.history.decode.expressions import named
from runlake.history.frames.scan import plan_types, scan_plan
from runlake.history.live.spool import LiveRows
from runlake.history.plan import sizes
from runlake.history.plan.arrow_types import is_number
from runlake.history.plan.plan import Plan
from runlake.history.plan.reasons import explain_unknown_key
from runlake.history.reader import Reading

Mode = Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class Best:
    """The best value of a key, and the first step at which it was logged.

    Parameters
    ----------
    value : int or float
        The lowest or highest value; never NaN.
    step : int
        First step at which the key has this value.
    """

    value: float
    step: int


def find_best(reading: Reading, mode: Mode) -> Best:
    """Return the best value of the key that ``reading`` reads.

    Parameters
    ----------
    reading : Reading
        A planned read of exactly one key.
    mode : {"min", "max"}
        Whether the lowest or the highest value is best.

    Returns
    -------
    Best
        The best value and its step. NaN is ignored; infinities are not ignored.

    Raises
    ------
    InvalidArgument
        If the run has no such key, if its values are not numbers, or if the rows to read have no
        number of this key besides NaN.
    """
    return reading.healing(lambda whole: _find(whole, mode))


def _find(reading: Reading, mode: Mode) -> Best:
    (key,) = reading.plan.projection.keys or ()
    live = reading.live_rows()
    dtype = plan_types(reading.plan, live)[key]
    if dtype is not None and pa.types.is_null(dtype):
        raise _no_number(reading, key)
    if dtype is None or not is_number(dtype):
        raise _not_numeric(reading, key)
    best = _read_best(reading.plan, live, mode)
    if best is None:
        raise _no_number(reading, key)
    return best


def _read_best(plan: Plan, live: LiveRows, mode: Mode) -> Best | None:
    (key,) = plan.projection.keys or ()
    frame = scan_plan(plan, live).frame
    cell, dtype = named(key), frame.collect_schema()[key]
    # Drop NaN: in a column that contains only NaN, it would be the extreme.
    numbers = frame.filter(cell.is_not_nan()) if dtype.is_float() else frame
    extreme = cell.min() if mode == "min" else cell.max()
    if sum(read.n_rows for read in plan.exports) <= sizes.ROWS_COMPARED_AT_ONCE:
        found = _first(numbers, cell == extreme).collect()
    else:
        # Two queries, batch by batch: a single query that compares each value with the extreme
        # would hold the whole column in memory. The second query ends at the step of the extreme.
        bound = numbers.select(extreme).collect(engine="streaming").item()
        found = _first(numbers, cell == pl.lit(bound, dtype)).collect(engine="streaming")
    if found.is_empty():
        return None
    step, value = found.row(0)
    return Best(float(value) if isinstance(value, Decimal) else value, step)


def _first(numbers: pl.LazyFrame, is_best: pl.Expr) -> pl.LazyFrame:
    return numbers.filter(is_best).first()


def _no_number(reading: Reading, key: str) -> InvalidArgument:
    facts = reading.key_facts()
    if key not in facts:
        return InvalidArgument(f"'{reading.plan.run}': {explain_unknown_key(key, facts)}")
    return InvalidArgument(f"No value of {key!r} in '{reading.plan.run}' is a number but NaN.")


def _not_numeric(reading: Reading, key: str) -> InvalidArgument:
    facts = reading.key_facts()
    kind = facts[key].kind if key in facts else "mixed"
    if kind == "number":
        kind = "mixed"  # the live rows have other values than numbers
    numbers = (name for name, known in facts.items() if known.kind == "number" and name != key)
    return InvalidArgument(
        f"{key!r} of '{reading.plan.run}' has values of {kind} type, which cannot be compared. "
        f"Keys with numbers: {_listed(numbers)}."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)[:5]) or "none"
