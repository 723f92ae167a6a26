"""Decode the rows of exports to Arrow arrays, slice by slice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from runlake.history.decode.batches import Batch, Reads, WideFrame, arrays_of
from runlake.history.decode.by_polars import polars_can_scan
from runlake.history.decode.first_slices import collect_first
from runlake.history.decode.forked import polars_is_usable
from runlake.history.decode.prefetch import run_ahead
from runlake.history.decode.queries import SliceQuery, cut_queries
from runlake.history.plan import sizes
from runlake.history.plan.plan import Plan
from runlake.history.plan.segments import ExportRead
from runlake.values import STEP, Projection, Row

if TYPE_CHECKING:
    import polars as pl

Begun = Callable[[SliceQuery], "pl.DataFrame | None"]
Decoded = tuple[SliceQuery, "pl.DataFrame"]


def decode_exports(
    reads: Reads,
    projection: Projection,
    first_rows: int,
    *,
    n_sharing: int = 1,
    begun: Begun | None = None,
) -> Iterator[Batch]:
    """Yield the rows of exports in batches, one export after the other, each in file order.

    Parameters
    ----------
    reads : iterable of (ExportRead, StepRange)
        Each item is an export, with its columns and row groups, and the range of steps to read from
        it. Rows outside the range and rows without a step are left out.
    projection : Projection
        Rows that do not have the requested keys are left out. A cell with the JSON text ``null``
        counts as a value, because this function does not parse JSON.
    first_rows : int
        Maximum number of rows in the first batch. A small batch is yielded sooner.
    n_sharing : int
        Number of exports that are read at the same time and share the memory.
    begun : callable, optional
        Takes a query and returns its rows if they have been decoded already, else returns None.

    Yields
    ------
    Batch
        Never empty; batches of one export have equal columns and types. Only a few batches are in
        memory at once.

    Raises
    ------
    CacheCorrupt
        If a file cannot be read.
    """
    for is_fast, some in groupby(_wanted(reads, projection), lambda one: _is_for_polars(one[0])):
        if is_fast:
            batches = _decode_polars(some, projection, first_rows, n_sharing, begun)
        else:
            from runlake.history.decode.by_pyarrow import decode_pyarrow

            batches = decode_pyarrow(some, projection, first_rows, n_sharing)
        for batch in batches:
            if len(batch):
                yield batch


def _wanted(reads: Reads, projection: Projection) -> Reads:
    return [(read, steps) for read, steps in reads if _can_have_rows(read, projection)]


def _can_have_rows(read: ExportRead, projection: Projection) -> bool:
    keys = projection.keys
    if not keys:
        return True
    held = {column.key for column in read.columns}
    return bool(held) and (projection.how == "any" or len(held) == len(keys))


def _is_for_polars(read: ExportRead) -> bool:
    return polars_is_usable() and polars_can_scan(read)


def first_query(plan: Plan) -> SliceQuery | None:
    """Return the query that decodes the first rows of a plan.

    None if these rows are in no export yet, have to be sorted or merged, or cannot be read by
    polars. Also None if the first export lacks requested keys.
    """
    first = next(iter(plan.segments), None)
    if first is None or not (first.is_one_export and _is_for_polars(first.reads[0])):
        return None
    wanted = _wanted([(first.reads[0], first.steps)], plan.projection)
    return next(cut_queries(wanted, plan.projection, 1), None)


def _decode_polars(
    reads: Reads,
    projection: Projection,
    first_rows: int,
    n_sharing: int,
    begun: Begun | None,
) -> Iterator[Batch]:
    def collect(query: SliceQuery, *, is_first: bool) -> Decoded:
        frame = None if begun is None else begun(query)
        if frame is None:
            frame = collect_first(query) if is_first else query.collect()
        return query, frame

    def divide(first: Decoded) -> tuple[Decoded, Decoded]:
        query, frame = first
        n_columns = len(query.read.columns)
        n_rows = max(1, min(first_rows, sizes.CELLS_IN_FIRST_ROWS // (n_columns + 1)))
        return (query, frame.head(n_rows)), (query, frame.slice(n_rows))

    # polars' own stream of batches (`collect_batches`) takes as long, but yields its first batch
    # only after whole row groups: slices let the reader choose how many rows come first.
    queries = enumerate(cut_queries(reads, projection, n_sharing))
    tasks = (partial(collect, query, is_first=number == 0) for number, query in queries)
    is_first = True
    for query, frame in run_ahead(tasks, divide):
        names, is_numeric = query.selection.names, query.selection.is_numeric
        if is_first and is_numeric and len(names) >= sizes.COLUMNS_WORTH_A_THREAD:
            yield _first_rows(query, frame)
        elif is_numeric and _is_wide_and_full(frame):
            wide = WideFrame(frame, [STEP, *names], query.selection.typed)
            yield Batch(frame[STEP].to_arrow(), query.read.columns, (), wide=wide)
        else:
            for arrays in arrays_of(frame, is_numeric=is_numeric):
                columns = tuple(arrays[name] for name in names)
                yield Batch(arrays[STEP], query.read.columns, columns)
        is_first = False


def _is_wide_and_full(frame: pl.DataFrame) -> bool:
    is_wide = frame.width > sizes.MAX_GENERATED_KEYS
    return is_wide and not any(column.has_nulls() for column in frame.iter_columns())


def _first_rows(query: SliceQuery, frame: pl.DataFrame) -> Batch:
    """Return a batch of a few numeric rows as dicts, because arrays have a high fixed cost."""
    rows = frame[list(dict.fromkeys([STEP, *query.selection.names]))].to_dicts()
    return Batch(frame[STEP].to_arrow(), query.read.columns, (), tuple(map(_filled, rows)))


def _filled(row: Row) -> Row:
    if None not in row.values():
        return row
    return {key: cell for key, cell in row.items() if cell is not None}
