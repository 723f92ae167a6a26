"""The best value of a key, from the row groups whose statistics let them hold it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from runlake.errors import InvalidArgument
from runlake.exports.facts import leaf_positions
from runlake.history.expressions import named
from runlake.history.kinds import is_number
from runlake.history.live_rows import LiveRows
from runlake.history.plan import Plan
from runlake.history.reader import Reading
from runlake.history.reasons import explain_unknown_key
from runlake.history.scan import plan_types, scan_plan
from runlake.history.segments import ExportRead, cut_segments
from runlake.values import STEP

Mode = Literal["min", "max"]


@dataclass(frozen=True, slots=True)
class Best:
    """The best value of a key.

    Parameters
    ----------
    value : int or float
        Never NaN.
    step : int
        The first step that has it.
    """

    value: float
    step: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may hold the best value.

    Parameters
    ----------
    plan : Plan
        Without the row groups that cannot hold it.
    bound : int, float or None
        What the best value is or surpasses; None where no statistics tell.
    """

    plan: Plan
    bound: float | None


def find_best(reading: Reading, mode: Mode) -> Best:
    """Return the best value of the key of a reading.

    Parameters
    ----------
    reading : Reading
        Of one key.
    mode : {"min", "max"}
        Which is best.

    Returns
    -------
    Best
        NaN is no value; infinities are.

    Raises
    ------
    InvalidArgument
        If the run has no such key, or its cells are no numbers.
    """
    return reading.healing(lambda whole: _find(whole, mode))


def _find(reading: Reading, mode: Mode) -> Best:
    (key,) = reading.plan.projection.keys or ()
    live = reading.live_rows()
    kind = plan_types(reading.plan, live)[key]
    if kind is not None and pa.types.is_null(kind):
        raise _no_number(reading, key)
    if kind is None or not is_number(kind):
        raise _not_numeric(reading, key)
    candidates = plan_best(reading.plan, mode)
    best = _read_best(candidates.plan, live, mode)
    if not _keeps(best, candidates.bound, mode):
        # The bound stands in a row without a step, or the writer's statistics are wrong.
        best = _read_best(reading.plan, live, mode)
    if best is None:
        raise _no_number(reading, key)
    return best


def plan_best(plan: Plan, mode: Mode) -> Candidates:
    """Leave out what cannot hold the best value; reads footers.

    Parameters
    ----------
    plan : Plan
        Of one key.
    mode : {"min", "max"}
        Which is best.

    Returns
    -------
    Candidates
        The plan as it is where sources overlap: a later one may hide a value.
    """
    if plan.needs_merge or plan.is_walk:
        return Candidates(plan, None)
    bounds = {read.file: dict(_bounds(read, mode)) for read in plan.exports}
    known = [bound for groups in bounds.values() for bound in groups.values() if bound is not None]
    if not known:
        return Candidates(plan, None)
    best = min(known) if mode == "min" else max(known)
    reads = tuple(
        replace(read, row_groups=kept)
        for read in plan.exports
        if (kept := _kept(read, bounds[read.file], best))
    )
    live_steps = [step for segment in plan.segments for step in segment.live_steps]
    segments = cut_segments(reads, live_steps, plan.steps)
    return Candidates(replace(plan, exports=reads, segments=segments), best)


def _kept(read: ExportRead, bounds: dict[int, float | None], best: float) -> tuple[int, ...]:
    return tuple(group for group in read.row_groups if bounds.get(group, best) in (None, best))


def _bounds(read: ExportRead, mode: Mode) -> Iterator[tuple[int, float | None]]:
    """Yield the best value that each row group can have; None where the footer does not tell."""
    if len(read.columns) != 1:
        # In no column there is nothing; of several one hides the other.
        yield from ((group, None) for group in read.row_groups if read.columns)
        return
    (column,) = read.columns
    footer = read.facts.footer
    source = read.file if footer is None else pa.BufferReader(footer)
    metadata = pq.read_metadata(source)
    leaf = leaf_positions(metadata.schema.to_arrow_schema())[column.name][0]
    has_bounds = column.is_whole and (
        pa.types.is_integer(column.kind) or column.kind in (pa.float32(), pa.float64())
    )
    for group in read.row_groups:
        statistics = metadata.row_group(group).column(leaf).statistics if has_bounds else None
        if statistics is None or not statistics.has_min_max:
            yield group, None
        else:
            bound = statistics.min if mode == "min" else statistics.max
            yield group, None if bound != bound else bound  # noqa: PLR0124 - NaN


def _read_best(plan: Plan, live: LiveRows, mode: Mode) -> Best | None:
    (key,) = plan.projection.keys or ()
    frame = scan_plan(plan, live).frame
    cell = named(key)
    numbers = frame.filter(cell.is_not_nan()) if _is_float(frame, key) else frame
    extreme = cell.min() if mode == "min" else cell.max()
    found = numbers.filter(cell == extreme).select(STEP, cell).first().collect()
    if found.is_empty():
        return None
    step, value = found.row(0)
    return Best(float(value) if isinstance(value, Decimal) else value, step)


def _is_float(frame: pl.LazyFrame, key: str) -> bool:
    return frame.collect_schema()[key].is_float()


def _keeps(best: Best | None, bound: float | None, mode: Mode) -> bool:
    """Tell whether a value is as good as the statistics promised."""
    if bound is None:
        return True
    if best is None:
        return False
    return best.value <= bound if mode == "min" else best.value >= bound


def _no_number(reading: Reading, key: str) -> InvalidArgument:
    facts = reading.key_facts()
    if key not in facts:
        return InvalidArgument(f"'{reading.plan.run}': {explain_unknown_key(key, facts)}")
    return InvalidArgument(f"No cell of {key!r} in '{reading.plan.run}' is a number but NaN.")


def _not_numeric(reading: Reading, key: str) -> InvalidArgument:
    facts = reading.key_facts()
    kind = facts[key].kind if key in facts else "mixed"
    return InvalidArgument(
        f"{key!r} of '{reading.plan.run}' has cells of {kind} type, of which none is best. "
        f"Keys with numbers: {_listed(name for name, f in facts.items() if f.kind == 'number')}."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names)[:5]) or "none"
