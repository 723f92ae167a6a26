"""A plan as a polars frame: exports scanned lazily, live rows beside them."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import polars as pl

from runlake.errors import MixedTypesWarning
from runlake.history.frames import (
    Types,
    answer_types,
    check_polars,
    empty_frame,
    keep_rows,
    live_frame,
    segment_frames,
)
from runlake.history.kinds import is_binary
from runlake.history.live_rows import LiveRows
from runlake.history.plan import Plan

SHOWN_KEYS = 5


@dataclass(frozen=True, slots=True)
class Scanned:
    """A plan as a lazy frame.

    Parameters
    ----------
    frame : polars.LazyFrame
        ``_step`` (Int64, ascending, unique), then a column per key: in the order asked for, or in
        the order of the exports. Integers and floats of one key unify to floats.
    json_keys : tuple of str
        Keys with incompatible types, whose columns are JSON text.
    """

    frame: pl.LazyFrame
    json_keys: tuple[str, ...]


def scan_plan(plan: Plan, live: LiveRows) -> Scanned:
    """Return what a plan reads as a lazy frame.

    Parameters
    ----------
    plan : Plan
        What to read.
    live : LiveRows
        Fetched now: the frame is a picture of this moment.

    Returns
    -------
    Scanned
        Only rows that the plan's projection keeps.
    """
    check_polars()
    types = plan_types(plan, live)
    frames = [
        frame
        for segment in plan.segments
        for frame in segment_frames(segment, types, live.between(segment.steps))
    ]
    if plan.is_walk:
        frames += [live_frame(page, types) for page in live]
    frame = pl.concat(frames) if frames else empty_frame(types).lazy()
    return Scanned(keep_rows(frame, plan.projection), json_keys(types))


def plan_types(plan: Plan, live: LiveRows) -> Types:
    """Return the type of each key of a plan's answer; live rows are fetched for theirs."""
    sources = [read.columns for read in plan.in_step_order]
    if plan.live_pages or plan.is_walk:
        sources.append(live.columns())
    return answer_types(sources, plan.projection.keys)


def json_keys(types: Types) -> tuple[str, ...]:
    """Return the keys whose columns are JSON text."""
    return tuple(key for key, kind in types.items() if kind is None)


def warn_of_json(plan: Plan, keys: tuple[str, ...]) -> None:
    """Say once which columns are JSON text, except for those that are JSON in the exports too."""
    if not keys:
        return
    stored: dict[str, bool] = {}
    for read in plan.exports:
        for column in read.columns:
            stored[column.key] = stored.get(column.key, True) and is_binary(column.kind)
    keys = tuple(key for key in keys if not stored.get(key))
    if not keys:
        return
    shown = ", ".join(map(repr, keys[:SHOWN_KEYS]))
    more = f" and {len(keys) - SHOWN_KEYS:,} more" if len(keys) > SHOWN_KEYS else ""
    warnings.warn(
        f"Cells of {shown}{more} in '{plan.run}' are of types that no column can hold together: "
        "the column is JSON text. Rows have each cell as it was logged.",
        MixedTypesWarning,
        stacklevel=2,
    )
