"""Read the ``_step`` column of an export, and compare it with the footer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.exports.footers.facts import RowGroup
from runlake.exports.footers.schema import Columns, UnreadableExport
from runlake.exports.numpy_views import numbers_of
from runlake.values import STEP

# Bounds memory: a row group may have any number of rows.
STEPS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True)
class _Steps:
    """What is known of the steps in a row group, or in a part of a row group.

    These are the first and last step, the numbers of rows and nulls, and whether the steps ascend.
    """

    group: RowGroup
    is_ascending: bool
    n_nulls: int


def read_row_groups(
    parquet: pq.ParquetFile, columns: Columns
) -> tuple[tuple[RowGroup, ...], bool, bool]:
    """Return the row groups, whether steps ascend, and whether the footer agrees with the steps."""
    metadata = parquet.metadata
    if STEP not in columns.leaves:
        stated = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        groups = tuple(RowGroup(group.num_rows, None, None) for group in stated)
        return groups, False, _has_rows_as_stated(metadata, groups)
    leaf, _, place = columns.leaves[STEP]
    is_integer = pa.types.is_integer(columns.schema.field(place).type)
    found = []
    is_as_stated = True
    for index in range(metadata.num_row_groups):
        steps = _joined([_step_facts(column) for column in _step_columns(parquet, index)])
        row_group = metadata.row_group(index)
        n_stored = row_group.column(leaf).num_values
        if steps.group.n_rows < n_stored:
            # Engines read only as many rows as the footer states, so the rest would be lost.
            raise UnreadableExport(
                f"row group {index} has {n_stored:,} steps, but states {row_group.num_rows:,} rows"
            )
        found.append(steps)
        is_as_stated = is_as_stated and _is_as_stated(row_group, leaf, steps, is_integer=is_integer)
    groups = tuple(steps.group for steps in found)
    is_ascending = _joined(found).is_ascending
    is_as_stated = (
        is_as_stated
        and _has_rows_as_stated(metadata, groups)
        and _is_sorted_as_stated(metadata, leaf, is_ascending)
    )
    return groups, is_ascending, is_as_stated


def _has_rows_as_stated(metadata: pq.FileMetaData, groups: Iterable[RowGroup]) -> bool:
    return bool(sum(group.n_rows for group in groups) == metadata.num_rows)


def _step_columns(parquet: pq.ParquetFile, index: int) -> Iterator[pa.Array]:
    """Yield the ``_step`` column of a row group in pieces of bounded size."""
    if parquet.metadata.row_group(index).num_rows > STEPS_AT_ONCE:
        for batch in parquet.iter_batches(
            STEPS_AT_ONCE, row_groups=[index], columns=[STEP], use_threads=False
        ):
            yield batch.column(STEP)
        return
    table = parquet.read_row_group(index, columns=[STEP], use_threads=False)
    steps = table.column(STEP)
    yield steps.chunk(0) if steps.num_chunks == 1 else steps.combine_chunks()


def _joined(parts: Sequence[_Steps]) -> _Steps:
    """Combine the `_Steps` of consecutive parts of the ``_step`` column."""
    if len(parts) == 1:
        return parts[0]
    n_rows = n_nulls = 0
    first: int | None = None
    last: int | None = None
    highest: int | None = None
    is_ascending = True
    for part in parts:
        group = part.group
        n_rows += group.n_rows
        n_nulls += part.n_nulls
        is_ascending = is_ascending and part.is_ascending
        if group.first_step is None or group.last_step is None:
            continue
        is_ascending = is_ascending and (highest is None or group.first_step > highest)
        highest = group.last_step
        first = group.first_step if first is None else min(first, group.first_step)
        last = group.last_step if last is None else max(last, group.last_step)
    return _Steps(RowGroup(n_rows, first, last), is_ascending, n_nulls)


def _is_as_stated(
    stated: pq.RowGroupMetaData, leaf: int, steps: _Steps, *, is_integer: bool
) -> bool:
    """Return whether a row group's rows and integer steps agree with the footer."""
    group = steps.group
    if stated.num_rows != group.n_rows:
        return False
    statistics = stated.column(leaf).statistics
    if not is_integer or statistics is None:
        return True
    if statistics.has_null_count and statistics.null_count != steps.n_nulls:
        return False
    if not statistics.has_min_max:
        return True
    return bool((statistics.min, statistics.max) == (group.first_step, group.last_step))


def _is_sorted_as_stated(metadata: pq.FileMetaData, step: int, is_ascending: bool) -> bool:
    """Return whether the footer states no sorting, or correctly states a sorting by step.

    polars relies on a stated sorting without checking it.
    """
    stated = [metadata.row_group(n).sorting_columns for n in range(metadata.num_row_groups)]
    return all(
        sorting.column_index == step and not sorting.descending and is_ascending
        for columns in stated
        for sorting in columns[:1]
    )


def _step_facts(column: pa.Array) -> _Steps:
    steps = numbers_of(_whole_steps(column))
    n_rows = len(column)
    if len(steps) == 0:
        return _Steps(RowGroup(n_rows, None, None), n_rows == 0, column.null_count)
    rises = bool((steps[1:] > steps[:-1]).all())
    first, last = (steps[0], steps[-1]) if rises else (steps.min(), steps.max())
    group = RowGroup(n_rows, int(first), int(last))
    return _Steps(group, rises and len(steps) == n_rows, column.null_count)


def _whole_steps(column: pa.Array) -> pa.Array:
    """Return the steps as int64, without nulls, NaN and infinities."""
    if column.type == pa.int64() and not column.null_count:
        return column
    # Imported late: it takes as long as the rest of pyarrow, and most exports do not need it.
    import pyarrow.compute as pc

    steps = pc.drop_null(column)
    if pa.types.is_floating(steps.type):
        steps = steps.filter(pc.is_finite(steps))
    return pc.cast(steps, pa.int64(), safe=False)
