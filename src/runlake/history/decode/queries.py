"""Divide exports into polars queries, each of which decodes one slice of rows."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runlake.history.decode.batches import Reads
from runlake.history.decode.by_polars import likeness, scan_file, scan_files
from runlake.history.decode.corruption import telling_corruption
from runlake.history.decode.prefetch import collect_in_parallel
from runlake.history.decode.selection import Selection, select_columns
from runlake.history.plan import sizes
from runlake.history.plan.key_columns import Column
from runlake.history.plan.segments import ExportRead
from runlake.history.plan.slices import Slice, cut_slices, whole_groups
from runlake.values import Projection, StepRange

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class SliceQuery:
    """A query that decodes some consecutive rows of an export.

    Parameters
    ----------
    read : ExportRead
        The export.
    steps : StepRange
        Range of steps to read.
    projection : Projection
        Keys to read. Rows that do not have these keys are left out.
    rows : Slice
        Index of the first row in the file, and number of rows, including those of ``others``.
    frames : sequence of polars.LazyFrame
        Queries for these rows, each with a share of the columns. They are collected in parallel.
    others : tuple of Path
        Further exports with the same columns. Their rows follow those of ``read``.
    """

    read: ExportRead
    steps: StepRange
    projection: Projection
    rows: Slice
    frames: Sequence[pl.LazyFrame] = field(compare=False, repr=False)
    others: tuple[Path, ...] = ()

    @property
    def selection(self) -> Selection:
        """The query's columns: their names in the result, and the expressions that read them."""
        return select_columns(self.read.columns)

    def collect(self) -> pl.DataFrame:
        """Decode the rows, and return them as a frame."""
        with telling_corruption(self.read.file, *self.others):
            frame = collect_in_parallel(self.frames)
            # Otherwise each file would be a chunk, and be converted to arrays of its own.
            return frame.rechunk() if self.others else frame


def cut_queries(reads: Reads, projection: Projection, n_sharing: int) -> Iterator[SliceQuery]:
    """Yield the queries that read exports; open each export when its first query is requested."""
    is_first = True
    for together in _divided(reads, n_sharing):
        if len(together) > 1:
            yield _whole_files(together, projection)
            continue
        ((read, steps),) = together
        max_rows = sizes.rows_per_slice(len(read.columns), n_sharing)
        limit = min(max_rows, _rows_soon(read)) if is_first else max_rows
        with telling_corruption(read.file):
            yield from _cut_export(read, projection, steps, limit, n_sharing)
        is_first = False


def _divided(reads: Reads, n_sharing: int) -> Iterator[list[tuple[ExportRead, StepRange]]]:
    """Yield groups of consecutive small exports that one query can decode, and other exports alone.

    The first export is always alone, so that its rows arrive soon. The next two groups are smaller
    than later ones: each group is decoded while the rows of the group before it are built.
    """
    n_most = sizes.CELLS_OF_FILES // n_sharing
    limits = chain([n_most, n_most // 4, n_most // 2], repeat(n_most))
    limit = next(limits)
    together: list[tuple[ExportRead, StepRange]] = []
    kind: Hashable = None
    n_cells = 0
    for number, (read, steps) in enumerate(reads):
        own_kind = likeness(read, steps) if number else None
        n_own = read.n_rows * (len(read.columns) + 1)
        is_too_much = n_cells + n_own > limit
        if together and (own_kind is None or own_kind != kind or is_too_much):
            yield together
            together, n_cells, limit = [], 0, next(limits)
        together.append((read, steps))
        kind = own_kind
        n_cells += n_own
    if together:
        yield together


def _whole_files(
    reads: Sequence[tuple[ExportRead, StepRange]], projection: Projection
) -> SliceQuery:
    """Return one query for all rows of several exports with equal columns."""
    (read, steps), *others = reads
    files = [one.file for one, _ in reads]
    with telling_corruption(*files):
        # The files are equal in the wanted columns (`likeness`); they may have different other
        # columns.
        scan = scan_files(files, extra_columns="ignore")
        selection = select_columns(read.columns)
        conditions = _key_conditions(read.columns, selection.names, projection)
        frame = _selected(scan, read, conditions)
    rows = Slice(0, sum(one.n_rows for one, _ in reads))
    return SliceQuery(read, steps, projection, rows, [frame], tuple(one.file for one, _ in others))


def _selected(rows: pl.LazyFrame, read: ExportRead, conditions: Sequence[pl.Expr]) -> pl.LazyFrame:
    """Return a lazy frame of a read's columns, with only the rows that meet ``conditions``."""
    from runlake.history.decode.expressions import whole_step

    selection = select_columns(read.columns)
    is_whole = read.has_whole_steps
    if (
        is_whole
        and selection.is_as_stored
        and not conditions
        and len(selection.names) + 1 == read.facts.n_columns
    ):
        return rows
    selected = rows.select(selection.expressions)
    if not is_whole:
        selected = selected.with_columns(whole_step())
    return selected.filter(conditions) if conditions else selected


def _rows_soon(read: ExportRead) -> int:
    """Return the maximum number of rows of a read's first slice, which is decoded quickly.

    The maximum depends on the number of filled cells in a row: nulls cost little. Strings may be
    long, so there is a second maximum for exports with strings.
    """
    n_rows = read.facts.n_rows
    columns = [read.facts.columns[column.name] for column in read.columns]
    n_filled = n_rows + sum(n_rows - (column.n_nulls or 0) for column in columns)
    n_soon = max(sizes.MIN_ROWS, sizes.CELLS_IN_FIRST_SLICE * n_rows // (n_filled + 1))
    return (
        n_soon if select_columns(read.columns).is_small else min(n_soon, sizes.ROWS_IN_FIRST_SLICE)
    )


def _cut_export(
    read: ExportRead, projection: Projection, steps: StepRange, first_rows: int, n_sharing: int
) -> Iterator[SliceQuery]:
    from runlake.history.decode.expressions import in_range

    scan = scan_file(read)
    groups = whole_groups([group.n_rows for group in read.facts.row_groups], read.row_groups)
    is_exact = read.is_ascending and steps.covers(read.first_step, read.last_step)
    if read.is_ascending and not is_exact:
        groups = [
            _narrowed(read, scan, index, group, steps)
            for index, group in zip(read.row_groups, groups, strict=True)
        ]
    wanted = [group for group in groups if group.n_rows]
    selection = select_columns(read.columns)
    conditions = [] if is_exact else [in_range(steps)]
    conditions += _key_conditions(read.columns, selection.names, projection)
    is_plain = read.has_whole_steps and selection.is_as_stored and not conditions
    whole_rows = sizes.whole_rows(len(read.columns), n_sharing) if selection.is_numeric else 0
    max_rows = sizes.rows_per_slice(len(read.columns), n_sharing)
    query = partial(SliceQuery, read, steps, projection)
    for number, place in enumerate(cut_slices(wanted, first_rows, max_rows, whole_rows)):
        rows = scan.slice(place.offset, place.n_rows)
        # The caller waits for the first two slices, while few other threads work.
        if is_plain and number < sizes.SLICES_WAITED_FOR and len(selection.shares) > 1:
            yield query(place, [rows.select(share) for share in selection.shares])
        else:
            yield query(place, [_selected(rows, read, conditions)])


def _key_conditions(
    columns: tuple[Column, ...], names: Sequence[str], projection: Projection
) -> list[pl.Expr]:
    from runlake.history.decode.expressions import are_present

    if not projection.keys:
        return []
    if projection.how == "any":
        return [are_present(names, "any")]
    held: dict[str, list[str]] = {}
    for column, name in zip(columns, names, strict=True):
        held.setdefault(column.key, []).append(name)
    return [are_present(same, "any") for same in held.values()]


def _narrowed(
    read: ExportRead, scan: pl.LazyFrame, index: int, group: Slice, steps: StepRange
) -> Slice:
    """Return the slice of a row group that contains the group's rows in a range of steps.

    The rows of the group must ascend by step. If no step is missing in the group, the slice is
    computed. Otherwise a small row group is returned whole, without a search.
    """
    facts = read.facts.row_groups[index]
    if facts.first_step is not None and facts.last_step == facts.first_step + group.n_rows - 1:
        # Each row's step is one higher than the step of the row before.
        start = max(0, steps.start - facts.first_step)
        stop = group.n_rows if steps.stop is None else steps.stop - facts.first_step
        stop = min(stop, group.n_rows)
        return Slice(group.offset + start, max(0, stop - start))
    if group.n_rows * len(read.columns) < sizes.CELLS_WORTH_A_SEARCH:
        return group
    every = read.facts.columns.stored((_some_steps, group), lambda: _some_steps(scan, group))
    first = max(0, int(every.searchsorted(steps.start, "right")) - 1)
    last = len(every) if steps.stop is None else int(every.searchsorted(steps.stop, "left"))
    start = first * sizes.ROWS_PER_KNOWN_STEP
    stop = min(last * sizes.ROWS_PER_KNOWN_STEP, group.n_rows)
    return Slice(group.offset + start, max(0, stop - start))


def _some_steps(scan: pl.LazyFrame, group: Slice) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return every `sizes.ROWS_PER_KNOWN_STEP`-th step of a row group, beginning with the first."""
    from runlake.history.decode.expressions import whole_step

    column = scan.slice(group.offset, group.n_rows).select(whole_step()).collect().to_series()
    found: np.ndarray[Any, np.dtype[np.int64]] = column.gather_every(
        sizes.ROWS_PER_KNOWN_STEP
    ).to_numpy()
    return found
