"""A plan's rows as dicts, batch by batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runlake.backend.client import Client
from runlake.cache.pull import pull_run
from runlake.errors import CacheCorrupt
from runlake.history.cells import list_values
from runlake.history.live import iter_live_rows
from runlake.history.merge import iter_batches, merge_rows, project_rows
from runlake.history.plan import ExportRead, Plan, plan_read
from runlake.values import STEP, Projection, Row, StepRange

CELLS_PER_BATCH = 1 << 17
MIN_BATCH_ROWS = 256
MAX_GENERATED_KEYS = 256
Build = Callable[[Sequence[list[Any]]], list[Row]]


def read_rows(client: Client, plan: Plan, page_size: int) -> Iterator[list[Row]]:
    """Yield the rows of a plan.

    Parameters
    ----------
    client : Client
        Asked for live rows only.
    plan : Plan
        What to read.
    page_size : int
        Rows in the first batch at most; later ones are as large as is fast.

    Yields
    ------
    list of dict
        Ascending by ``_step`` over all batches, one row per step, never empty. Memory is bounded
        by a batch, unless an export is out of order: such a file is sorted in memory.

    Raises
    ------
    CacheCorrupt
        If a cached file cannot be read.
    BackendError
        If live rows cannot be fetched.
    """
    live = iter_live_rows(client, plan, lambda steps: _recover(client, plan, steps))
    if plan.needs_merge:
        sources = [chain.from_iterable(_ordered(read, plan)) for read in plan.exports]
        merged = merge_rows([*sources, chain.from_iterable(live)])
        yield from iter_batches(project_rows(merged, plan.projection), page_size)
        return
    for read in plan.in_step_order:
        yield from read_export(read, plan.projection, plan.steps, page_size)
    for page in live:
        rows = list(project_rows(page, plan.projection))
        if rows:
            yield rows


def read_live_rows(client: Client, plan: Plan) -> list[Row]:
    """Return all live rows of a plan, ascending by step, not filtered unless the backend did."""
    live = iter_live_rows(client, plan, lambda steps: _recover(client, plan, steps))
    return list(chain.from_iterable(live))


def read_export(
    read: ExportRead, projection: Projection, steps: StepRange, page_size: int
) -> Iterator[list[Row]]:
    """Yield the rows of one export, in file order.

    Parameters
    ----------
    read : ExportRead
        The file, its columns and row groups.
    projection : Projection
        Which rows to keep; a key that the file lacks is missing in all of its rows.
    steps : StepRange
        Steps to keep.
    page_size : int
        Rows in the first batch at most.

    Yields
    ------
    list of dict
        Never empty.
    """
    keys = projection.keys
    if keys and projection.how == "all" and len(read.columns) < len(keys):
        return
    try:
        with pq.ParquetFile(read.file) as parquet:
            for batch in _batches(parquet, read, page_size):
                cut = _cut(batch, read, projection, steps)
                if len(cut):
                    yield _build_rows(cut, read.columns)
    except (pa.ArrowException, OSError) as error:
        raise CacheCorrupt(
            f"The cached export {str(read.file)!r} cannot be read ({error}). Scan with "
            "use_cache=False to fetch it again.",
            path=str(read.file),
        ) from error


def _batches(parquet: pq.ParquetFile, read: ExportRead, page_size: int) -> Iterator[pa.RecordBatch]:
    n_rows = max(MIN_BATCH_ROWS, CELLS_PER_BATCH // (len(read.columns) + 1))
    batches = parquet.iter_batches(
        batch_size=n_rows, row_groups=list(read.row_groups), columns=[STEP, *read.columns]
    )
    first = next(batches, None)
    if first is None:
        return
    # The first rows come fast, the rest in batches that are fast.
    yield first[:page_size]
    if len(first) > page_size:
        yield first[page_size:]
    yield from batches


def _cut(
    batch: pa.RecordBatch, read: ExportRead, projection: Projection, steps: StepRange
) -> pa.RecordBatch:
    """Keep the rows in range that the projection wants; ``_step`` becomes int64."""
    # pyarrow selects by prefix: asked for 'a' it brings 'a.b' too.
    batch = batch.select([STEP, *read.columns])
    masks = []
    step = batch.column(0)
    if pa.types.is_floating(step.type):
        masks.append(pc.fill_null(pc.is_finite(step), fill_value=False))
        step = pc.cast(pc.if_else(masks[0], step, 0.0), pa.int64(), safe=False)
    elif step.null_count:
        masks.append(pc.is_valid(step))
    step = pc.cast(step, pa.int64())
    if not steps.covers(read.first_step, read.last_step):
        masks.append(pc.greater_equal(step, steps.start))
        if steps.stop is not None:
            masks.append(pc.less(step, steps.stop))
    masks += _key_masks(batch, projection)
    batch = batch.set_column(0, STEP, step)
    if not masks:
        return batch
    mask = masks[0]
    for other in masks[1:]:
        mask = pc.and_kleene(mask, other)
    return batch if pc.all(mask).as_py() else batch.filter(mask)


def _key_masks(batch: pa.RecordBatch, projection: Projection) -> list[pa.Array]:
    if not projection.keys:
        return []
    columns = batch.columns[1:]
    if projection.how == "all":
        return [pc.is_valid(column) for column in columns if column.null_count]
    mask = pa.repeat(pa.scalar(value=False), len(batch))
    for column in columns:
        mask = pc.or_(mask, pc.is_valid(column))
    return [mask]


def _build_rows(batch: pa.RecordBatch, columns: tuple[str, ...]) -> list[Row]:
    """Turn columns into dicts; a sparse column costs its filled cells only."""
    dense = [STEP]
    lists = [list_values(batch.column(0))]
    sparse: list[tuple[str, pa.Array]] = []
    for position, name in enumerate(columns, start=1):
        column = batch.column(position)
        if column.null_count == 0:
            dense.append(name)
            lists.append(list_values(column))
        elif column.null_count < len(column):
            sparse.append((name, column))
    rows = _row_builder(tuple(dense))(lists)
    for name, column in sparse:
        filled = pc.indices_nonzero(pc.is_valid(column))
        cells = list_values(pc.drop_null(column))
        for index, cell in zip(list_values(pc.cast(filled, pa.int64())), cells, strict=True):
            rows[index][name] = cell
    return rows


@lru_cache(maxsize=256)
def _row_builder(keys: tuple[str, ...]) -> Build:
    """Return a function from columns to dicts with the keys as literals of its code.

    A dict display whose keys are constants is three times as fast as ``dict(zip(...))``.
    """
    if len(keys) > MAX_GENERATED_KEYS:
        return lambda lists: [dict(zip(keys, row, strict=True)) for row in zip(*lists, strict=True)]
    names = [f"cell_{index}" for index in range(len(keys))]
    display = ", ".join(f"{key!r}: {name}" for key, name in zip(keys, names, strict=True))
    source = f"lambda lists: [{{{display}}} for {', '.join(names)}, in zip(*lists)]"
    built: Build = eval(source, {"zip": zip, "__builtins__": {}})  # noqa: S307 - literals by repr
    return built


def _ordered(read: ExportRead, plan: Plan) -> Iterator[list[Row]]:
    """Yield the rows of one source of a merge: unfiltered by key, ascending."""
    every = Projection(plan.projection.keys, "any") if plan.projection.keys else plan.projection
    batches = read_export(read, every, plan.steps, page_size=MIN_BATCH_ROWS)
    if read.facts.is_ascending:
        yield from batches
        return
    rows = list(chain.from_iterable(batches))
    rows.sort(key=lambda row: row[STEP])
    yield rows


def _recover(client: Client, plan: Plan, steps: list[int]) -> list[Row]:
    """Read steps that were live a moment ago from the exports that took them in meanwhile."""
    pulled = pull_run(client, plan.run)
    still_live = pulled.manifest.live_steps
    gone = set(steps) - set(steps if still_live is None else still_live)
    if not gone:
        return []
    window = StepRange(min(gone), max(gone) + 1)
    now = plan_read(pulled, plan.projection, window)
    sources = [chain.from_iterable(_ordered(read, now)) for read in now.exports]
    return [row for row in merge_rows(sources) if row[STEP] in gone]
