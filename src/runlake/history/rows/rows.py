"""Read the rows of a plan as dicts, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice
from operator import attrgetter

from runlake.history.decode.decode import Begun, decode_exports
from runlake.history.plan import sizes
from runlake.history.plan.plan import Plan, segment_pages
from runlake.history.plan.segments import ExportRead, Segment
from runlake.history.rows.build_rows import Rows, build_rows
from runlake.history.rows.merge import iter_batches, merge_rows, project_rows
from runlake.history.rows.windows import cut_windows
from runlake.values import STEP, Projection, Row


def read_rows(
    plan: Plan, live: Iterator[list[Row]], page_size: int, begun: Begun | None = None
) -> Iterator[Rows]:
    """Yield the rows of a plan as dicts, in batches.

    Parameters
    ----------
    plan : Plan
        What to read.
    live : iterator of list of dict
        The live rows of the plan, which are in no export yet, as `LiveSource.iter_pages` yields
        them.
    page_size : int
        Maximum number of rows in the first batch, unless it is a page of live rows. Later batches
        have the number of rows that is fastest to build.
    begun : callable, optional
        Returns the rows of the first slice if they have been decoded already; see `decode_exports`.

    Yields
    ------
    list of dict, NumberRows or WideRows
        Ascending by ``_step`` over all batches, one row per step, never empty. Only a few batches
        are in memory at once. If the rows of an export do not ascend by step, they are sorted in
        memory, a limited range of steps at a time.

    Raises
    ------
    CacheCorrupt
        If a cached file cannot be read.
    """
    yield from read_segments(plan.segments, plan.projection, live, page_size, begun)
    for page in live:
        yield from _some(project_rows(page, plan.projection))


def read_segments(
    segments: Iterable[Segment],
    projection: Projection,
    live: Iterator[list[Row]],
    page_size: int,
    begun: Begun | None = None,
) -> Iterator[Rows]:
    """Yield the rows of some segments of a plan in batches.

    The other arguments are those of `read_rows`.
    """
    for is_as_it_is, some in groupby(segments, attrgetter("is_one_export")):
        if is_as_it_is:
            reads = ((segment.reads[0], segment.steps) for segment in some)
            batches = decode_exports(reads, projection, page_size, begun=begun)
            yield from build_rows(batches, projection)
            continue
        for segment in some:
            # `live` has the pages of all segments in order: take as many as this segment has.
            pages = islice(live, sum(1 for _ in segment_pages(segment)))
            yield from _read_segment(segment, projection, pages, page_size)


def _read_segment(
    segment: Segment, projection: Projection, pages: Iterable[list[Row]], page_size: int
) -> Iterator[list[Row]]:
    """Yield the rows of a range of steps that has live rows or needs merging."""
    if not segment.needs_merge:
        for page in pages:
            yield from _some(project_rows(page, projection))
        return
    for window, live in _windows(segment, chain.from_iterable(pages)):
        sources = [chain.from_iterable(_ordered(r, projection, window)) for r in window.reads]
        merged = project_rows(merge_rows([*sources, live]), projection)
        yield from iter_batches(merged, min(page_size, sizes.MERGED_ROWS))


def _windows(segment: Segment, live: Iterator[Row]) -> Iterator[tuple[Segment, Iterable[Row]]]:
    """Divide a range of steps into parts to merge one by one; yield each with its live rows.

    If the rows of an export are not in order, each part is small enough to be sorted in memory.
    Otherwise the whole range is one part.
    """
    if all(read.is_ascending for read in segment.reads):
        yield segment, live
        return
    waiting = next(live, None)
    for window in cut_windows(segment):
        within = []
        while waiting is not None and window.steps.touches(waiting[STEP], waiting[STEP]):
            within.append(waiting)
            waiting = next(live, None)
        yield window, within


def _some(rows: Iterator[Row]) -> Iterator[list[Row]]:
    batch = list(rows)
    if batch:
        yield batch


def _ordered(read: ExportRead, projection: Projection, segment: Segment) -> Iterator[Rows]:
    """Yield the rows of one export for a merge, in batches that ascend by step.

    Each row has at least one of the requested keys. The others may be in another export or in a
    live row, so only the merged row shows whether all keys are there.
    """
    some = projection.of_any_key
    decoded = decode_exports(
        [(read, segment.steps)], some, sizes.MERGED_ROWS, n_sharing=len(segment.reads)
    )
    batches = build_rows(decoded, some)
    if read.is_ascending:
        yield from batches
        return
    rows = list(chain.from_iterable(batches))
    rows.sort(key=lambda row: row[STEP])
    yield rows
