"""Find the step at which the last rows begin, so that they can be read as a range of steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import polars as pl

from runlake.history.frames.answer_types import answer_types
from runlake.history.frames.merge import merged_frame
from runlake.history.frames.sources import export_frame, keep_rows, live_frame, open_export
from runlake.history.plan import sizes
from runlake.history.plan.plan import LivePage, Plan, segment_pages
from runlake.history.plan.segments import ExportRead, Segment
from runlake.history.plan.slices import cut_slices, whole_groups
from runlake.history.rows.merge import project_rows
from runlake.values import STEP, Row, StepRange

WINDOW_GROWTH = 4
ReadPage = Callable[[LivePage], list[Row]]
ReadRange = Callable[[StepRange], Iterator[list[Row]]]


def tail_start(
    plan: Plan, n_rows: int, last_step: int, read_page: ReadPage, walk: ReadRange
) -> int | None:
    """Return the step at which the last ``n_rows`` rows of a plan begin.

    Parameters
    ----------
    plan : Plan
        What to read. Only rows that have the requested keys are counted.
    n_rows : int
        Number of rows, counted from the last row.
    last_step : int
        Highest step of the run.
    read_page : callable
        Fetches a page of live rows.
    walk : callable
        Fetches the live rows of a range of steps, page by page. It is called if the backend does
        not list their steps.

    Returns
    -------
    int or None
        The step, inclusive; None if the plan has fewer rows than ``n_rows``.

    Notes
    -----
    Row groups are read from the last to the first. Only the columns of ``_step`` and of the keys
    are read.
    """
    missing = n_rows
    exported = chain.from_iterable(
        _segment_steps(segment, plan, read_page) for segment in reversed(plan.segments)
    )
    found = chain(_walk_backwards(plan, n_rows, last_step, walk), exported)
    for steps in found:
        if len(steps) >= missing:
            return int(steps[-missing])
        missing -= len(steps)
    return None


def _segment_steps(segment: Segment, plan: Plan, read_page: ReadPage) -> Iterator[Sequence[int]]:
    """Yield lists of the steps of a segment's rows that have the requested keys.

    The list with the highest steps is yielded first; each list is ascending.
    """
    if segment.needs_merge:
        # Imported late, as below, because it imports pyarrow, and most segments need no merge.
        from runlake.history.rows.windows import cut_windows

        for window in reversed(cut_windows(segment)):
            yield _merged_steps(window, plan, read_page)
        return
    for page in reversed(list(segment_pages(segment))):
        yield [row[STEP] for row in project_rows(read_page(page), plan.projection)]
    for read in segment.reads:
        yield from _export_steps(read, plan, segment.steps)


def _export_steps(read: ExportRead, plan: Plan, steps: StepRange) -> Iterator[Sequence[int]]:
    types = answer_types([read.columns], plan.projection.keys)
    scan = open_export(read)
    groups = whole_groups([group.n_rows for group in read.facts.row_groups], read.row_groups)
    for place in reversed(list(cut_slices(groups, sizes.ROWS_PER_LOOK, sizes.ROWS_PER_LOOK))):
        yield _kept(export_frame(scan, read, types, steps, place), plan)


def _merged_steps(window: Segment, plan: Plan, read_page: ReadPage) -> Sequence[int]:
    from runlake.history.live.columns import rows_table, table_columns

    rows = list(chain.from_iterable(map(read_page, segment_pages(window))))
    sources = [*(read.columns for read in window.reads), table_columns(rows_table(rows))]
    types = answer_types(sources, plan.projection.keys)
    frames = [export_frame(open_export(r), r, types, window.steps) for r in window.reads]
    if rows:
        frames.append(live_frame(rows, types))
    return _kept(merged_frame(frames, types), plan)


def _kept(frame: pl.LazyFrame, plan: Plan) -> Sequence[int]:
    kept = keep_rows(frame, plan.projection).select(STEP).collect()
    return kept.to_series().to_list()


def _walk_backwards(
    plan: Plan, n_rows: int, last_step: int, walk: ReadRange
) -> Iterator[Sequence[int]]:
    if plan.walk is None:
        return
    stop = last_step + 1 if plan.walk.stop is None else min(plan.walk.stop, last_step + 1)
    width = n_rows
    while stop > plan.walk.start:
        start = max(plan.walk.start, stop - width)
        rows = chain.from_iterable(walk(StepRange(start, stop)))
        yield [row[STEP] for row in project_rows(rows, plan.projection)]
        # Wider ranges from now on: few rows match, and each range costs a request or more.
        stop, width = start, width * WINDOW_GROWTH
