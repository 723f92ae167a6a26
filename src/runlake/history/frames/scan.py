"""Read the rows of a plan as a lazy frame.

Exports are scanned lazily. Rows that are in no export yet (live rows) are fetched into memory.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Protocol

import polars as pl

from runlake.errors import MixedTypesWarning
from runlake.errors.user_line import warn
from runlake.history.decode.by_polars import likeness
from runlake.history.decode.engines import known_refusals
from runlake.history.frames.answer_types import (
    Types,
    answer_types,
    distinct_columns,
    simple_type,
)
from runlake.history.frames.sources import (
    alike_frame,
    check_polars,
    empty_frame,
    keep_rows,
    live_frame,
    segment_frames,
)
from runlake.history.live.spool import LiveRows
from runlake.history.plan.key_columns import Column
from runlake.history.plan.plan import Plan
from runlake.history.plan.segments import Segment, Segments

SHOWN_KEYS = 5


class HasColumns(Protocol):
    """Interface of an export or a packed run, whose columns contain the keys of a read."""

    @property
    def columns(self) -> Sequence[Column]:
        """The columns that contain the keys of a read."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """The rows of a plan as a lazy frame, and the keys whose columns are JSON text.

    Parameters
    ----------
    frame : polars.LazyFrame
        ``_step`` (Int64, ascending, unique), then a column per key, in the order of the requested
        keys or of the exports. A key with integers and floats is a column of floats.
    json_keys : tuple of str
        Keys without a common type, whose columns are JSON text.
    """

    frame: pl.LazyFrame
    json_keys: tuple[str, ...]


def scan_plan(plan: Plan, live: LiveRows) -> Scanned:
    """Return the rows of a plan as a lazy frame.

    Parameters
    ----------
    plan : Plan
        What to read.
    live : LiveRows
        The plan's rows that are in no export yet. They are fetched now, so that the frame does not
        change later.

    Returns
    -------
    Scanned
        The rows that have the requested keys, as a lazy frame.
    """
    check_polars()
    types = plan_types(plan, live)
    return Scanned(scan_as(plan, types, live), json_keys(types))


def scan_as(plan: Plan, types: Types, live: LiveRows) -> pl.LazyFrame:
    """Return the rows of a plan as a lazy frame with the given column types; see `scan_plan`."""
    frames = [
        frame
        # The refusals are a part of the key: an engine may have failed on a file since the last
        # read, and then one scan cannot read that file together with the others.
        for segments in plan.segments.latest(_alike, known_refusals())
        for frame in (
            [alike_frame([segment.reads[0] for segment in segments], types)]
            if len(segments) > 1
            else segment_frames(segments[0], types, live.between(segments[0].steps))
        )
    ]
    if plan.walk is not None:
        frames += [live_frame(page, types) for page in live.between(plan.walk)]
    frame = pl.concat(frames) if frames else empty_frame(types).lazy()
    return keep_rows(frame, plan.projection)


def _alike(segments: Segments, _: object) -> list[list[Segment]]:
    """Group consecutive segments whose exports one scan can read; every other segment is alone.

    For files of 200 rows, creating a scan per file would take more than half of polars' time. The
    caller caches the result. The second argument, the files that some engine cannot decode, is
    only a part of the cache key: if it changes, the groups are found again.
    """
    divided: list[list[Segment]] = []
    for kind, found in groupby(segments, _likeness):
        same = list(found)
        divided += [[segment] for segment in same] if kind is None else [same]
    return divided


def _likeness(segment: Segment) -> Hashable:
    return likeness(segment.reads[0], segment.steps) if segment.is_one_export else None


def plan_types(plan: Plan, live: LiveRows) -> Types:
    """Return the type of each key's column in the result of a plan; fetch the plan's live rows."""
    return answer_types(plan_sources(plan, live), plan.projection.keys)


def plan_keys(plan: Plan, live: LiveRows) -> list[str]:
    """Return the keys that a plan reads, in the order of the result's columns.

    If the plan reads all keys, the rows that are in no export yet are fetched to find their keys.
    """
    if plan.projection.keys is not None:
        return list(plan.projection.keys)
    columns = chain.from_iterable(distinct_columns(plan_sources(plan, live)))
    return list(dict.fromkeys(column.key for column in columns))


def plan_sources(plan: Plan, live: LiveRows) -> list[tuple[Column, ...]]:
    """Fetch a plan's live rows; return the columns of each export, then those of the live rows."""
    sources: list[tuple[Column, ...]] = [read.columns for read in plan.in_step_order]
    if plan.live_pages or plan.is_walk:
        sources.append(live.columns())
    return sources


def json_keys(types: Types) -> tuple[str, ...]:
    """Return the keys whose columns are JSON text."""
    return tuple(key for key in types if simple_type(types, key) is None and types[key] is None)


def warn_of_json(where: object, keys: tuple[str, ...], exports: Iterable[HasColumns]) -> None:
    """Warn about columns of JSON text, except columns that are JSON in the exports too.

    Parameters
    ----------
    where : object
        An object whose ``str()`` is the path of the run or project.
    keys : tuple of str
        Keys whose columns are JSON text.
    exports : iterable
        The exports or packed runs that were read.
    """
    if not keys:
        return
    stored: dict[str, bool] = {}
    from runlake.history.plan.arrow_types import is_binary

    for read in exports:
        for column in read.columns:
            stored[column.key] = stored.get(column.key, True) and is_binary(column.dtype)
    keys = tuple(key for key in keys if not stored.get(key))
    if not keys:
        return
    shown = ", ".join(map(repr, keys[:SHOWN_KEYS]))
    more = f" and {len(keys) - SHOWN_KEYS:,} more" if len(keys) > SHOWN_KEYS else ""
    warn(
        f"Values of {shown}{more} in '{where}' have several types that do not fit one column, so "
        "the column is JSON text. Rows have each value as it was logged.",
        MixedTypesWarning,
    )
