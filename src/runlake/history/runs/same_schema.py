"""Read the exports of runs with equal columns in one scan, to pay its fixed cost only once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import polars as pl
import pyarrow as pa

from runlake.history.decode.by_polars import polars_can_scan, scan_files
from runlake.history.decode.corruption import passing_over_corruption
from runlake.history.decode.engines import known_refusals
from runlake.history.decode.expressions import all_named, are_present, pick, polars_type
from runlake.history.plan.arrow_types import is_plain
from runlake.history.plan.plan import Plan
from runlake.history.reader import Reading
from runlake.history.sample.candidates import is_divided
from runlake.history.sample.downsample import choose_rows_of_parts
from runlake.values import STEP

SampledFrame = tuple[pl.DataFrame, int]


@dataclass(frozen=True, slots=True)
class _Group:
    """Planned reads of runs whose exports one scan can read.

    Parameters
    ----------
    schema : tuple of tuple of str and DataType
        Names and Arrow types of the columns, ``_step`` first.
    members : list of int
        Indices of the planned reads of this group.
    """

    schema: tuple[tuple[str, pa.DataType], ...]
    members: list[int]


def sample_together(
    readings: Sequence[Reading], n_rows: int, keys: Sequence[str] | None = None
) -> list[SampledFrame | None]:
    """Sample the exports of runs as `Reading.sampled_frame` does, but many runs in one scan.

    Parameters
    ----------
    readings : sequence of Reading
        The planned reads, all with the same requested keys.
    n_rows : int
        Maximum number of rows per run.
    keys : sequence of str, optional
        As for `Reading.sampled_frame`.

    Returns
    -------
    list of tuple of DataFrame and int, or None
        One item per reading: the chosen rows, and the number of rows from which they were chosen.
        None for a run that must be read alone, for example because it has rows that are in no
        export yet, overlapping exports, columns that need a cast, or too many rows.
    """
    found: list[SampledFrame | None] = [None] * len(readings)
    for group in _groups(readings, n_rows):
        # An unreadable file fails the scan of the whole group; read alone, it has its own error.
        with passing_over_corruption():
            members = [readings[index] for index in group.members]
            for index, sampled in zip(
                group.members, _sample(members, group.schema, n_rows, keys), strict=True
            ):
                found[index] = sampled
    return found


def _groups(readings: Sequence[Reading], n_rows: int) -> list[_Group]:
    groups: dict[tuple[tuple[str, pa.DataType], ...], _Group] = {}
    for index, reading in enumerate(readings):
        schema = None if is_divided(reading.plan, n_rows) else common_schema(reading.plan)
        if schema is not None:
            groups.setdefault(schema, _Group(schema, [])).members.append(index)
    return list(groups.values())


def common_schema(plan: Plan) -> tuple[tuple[str, pa.DataType], ...] | None:
    """Return the columns of a run's exports; None if the run must be read alone.

    Each item is the name and the Arrow type of a column that all exports have.
    """
    return plan.latest(_common_schema, known_refusals())


def _common_schema(plan: Plan, _: object) -> tuple[tuple[str, pa.DataType], ...] | None:
    if plan.live_pages or plan.is_walk or plan.needs_merge or not plan.exports:
        return None
    schemas = {
        ((STEP, export.step_dtype), *((column.key, column.dtype) for column in export.columns))
        for export in plan.exports
    }
    columns = plan.exports[0].columns
    keys = plan.projection.keys
    if len(schemas) != 1 or (keys is not None and tuple(c.key for c in columns) != keys):
        return None
    if not all(column.is_whole for column in columns) or not all(
        map(polars_can_scan, plan.exports)
    ):
        return None
    (schema,) = schemas
    is_whole = all(
        plan.steps.covers(export.first_step, export.last_step) for export in plan.exports
    )
    return schema if is_whole and all(is_plain(dtype) for _, dtype in schema) else None


def _sample(
    readings: Sequence[Reading],
    schema: tuple[tuple[str, pa.DataType], ...],
    n_rows: int,
    keys: Sequence[str] | None,
) -> list[SampledFrame]:
    names = [name for name, _ in schema]
    types = {name: polars_type(dtype) for name, dtype in schema}
    files = [export.file for reading in readings for export in reading.plan.in_step_order]
    scanned = scan_files(files, schema=types, extra_columns="ignore").select(
        pl.col(STEP).cast(pl.Int64), all_named(names[1:])
    )
    frame = scanned.collect().rechunk()
    counts = [sum(export.facts.n_rows for export in reading.plan.exports) for reading in readings]
    # Rows are assigned to runs by these counts, so a wrong footer would mix runs up.
    if frame.height != sum(counts):
        # An error of an engine, which `sample_together` passes over: the runs are then read alone.
        raise pl.exceptions.ShapeError("the exports have other row counts than the manifest")
    frame, counts = _filtered(readings[0], frame, counts)
    wanted = list(names if keys is None else keys)
    chosen = choose_rows_of_parts(frame, counts, n_rows, wanted)
    picked = pick(frame, wanted)[np.concatenate(chosen)]
    ends = accumulate(len(indices) for indices in chosen)
    return [
        (picked.slice(end - len(indices), len(indices)), count)
        for end, indices, count in zip(ends, chosen, counts, strict=True)
    ]


def _filtered(
    reading: Reading, frame: pl.DataFrame, counts: list[int]
) -> tuple[pl.DataFrame, list[int]]:
    """Return the rows that have the requested keys, and the number of these rows per run."""
    projection = reading.plan.projection
    nulls = frame.null_count().row(0, named=True)
    if not projection.keys or not any(nulls[key] for key in projection.keys):
        return frame, counts
    kept = frame.select(are_present(projection.keys, projection.how)).to_series()
    before = np.concatenate([[0], np.cumsum(kept.to_numpy())])
    bounds = np.concatenate([[0], np.cumsum(counts)])
    return frame.filter(kept), np.diff(before[bounds]).tolist()
