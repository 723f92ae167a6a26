"""Read the histories of many runs as one lazy frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path

import polars as pl
import pyarrow as pa

from runlake.backend.http.client import Client
from runlake.errors import InvalidArgument, NoRowsWarning
from runlake.errors.user_line import warn
from runlake.history.decode.by_polars import scan_files
from runlake.history.decode.expressions import in_order, polars_type
from runlake.history.frames.merge import unused_name
from runlake.history.frames.scan import json_keys, plan_sources, scan_as, warn_of_json
from runlake.history.frames.sources import (
    Types,
    answer_types,
    check_polars,
    empty_frame,
    keep_rows,
    typed_columns,
)
from runlake.history.live.spool import LiveRows
from runlake.history.plan.key_columns import Column
from runlake.history.plan.reasons import explain_unknown_key
from runlake.history.reader import Reading
from runlake.history.runs.open import side_by_side
from runlake.history.runs.same_schema import common_schema
from runlake.values import RUN_ID, STEP, Projection

RUNS_TO_LOOK_AT = 20


@dataclass(frozen=True, slots=True)
class _Opened:
    """A run with its fetched live rows and the columns of its sources."""

    reading: Reading
    live: LiveRows
    sources: tuple[tuple[Column, ...], ...]

    @property
    def schema(self) -> tuple[tuple[str, pa.DataType], ...] | None:
        return common_schema(self.reading)


def scan_readings(
    client: Client,
    readings: Sequence[Reading],
    run_ids: Sequence[str],
    where: str,
    projection: Projection,
    columns: pl.DataFrame | None = None,
) -> pl.LazyFrame:
    """Return the rows of readings as one lazy frame; live rows are fetched now, in parallel.

    Parameters
    ----------
    client : Client
        Its settings limit the number of runs read at once.
    readings : sequence of Reading
        Readings with the same projection.
    run_ids : sequence of str
        The name of each run in the column ``run_id``.
    where : str
        Path of the project, for warnings.
    projection : Projection
        The keys.
    columns : DataFrame, optional
        Fields of runs as additional columns: one row per reading, in order. The fields are repeated
        in all rows of the run.

    Returns
    -------
    polars.LazyFrame
        ``run_id``, the additional columns, ``_step``, then one column per key, of the common type
        over all runs. The rows are ordered by run, then by step.

    Raises
    ------
    InvalidArgument
        If every key is read and a run has a key with the name ``run_id``.
    """
    opened, types = _open_all(client, readings, projection)
    taken = [RUN_ID, *(() if columns is None else columns.columns)]
    doubled = [name for name in taken if name in types]
    if doubled:
        raise InvalidArgument(
            f"A run of '{where}' has a key {doubled[0]!r}, which is also a column of the runs. "
            "Pass the keys to read."
        )
    _warn_of_types(readings, where, types)
    ids = pl.Series(RUN_ID, run_ids, pl.String)
    return _joined(opened, types, pl.DataFrame([ids, *(() if columns is None else columns)]))


def scan_numbered(
    client: Client, readings: Sequence[Reading], where: str, projection: Projection
) -> tuple[pl.LazyFrame, str]:
    """Return the rows of readings as `scan_readings` does, with the place of each row's reading.

    Returns
    -------
    tuple of polars.LazyFrame and str
        A column with the place of the reading (UInt32), ``_step``, then one column per key; and the
        name of the first column, which no key has.
    """
    opened, types = _open_all(client, readings, projection)
    _warn_of_types(readings, where, types)
    number = unused_name({STEP, *types})
    places = pl.Series(number, range(len(opened)), pl.UInt32)
    return _joined(opened, types, places.to_frame()), number


def _open_all(
    client: Client, readings: Sequence[Reading], projection: Projection
) -> tuple[list[_Opened], Types]:
    check_polars()
    opened = side_by_side(client, _open, readings)
    sources = chain.from_iterable(one.sources for one in opened)
    return opened, answer_types(sources, projection.keys)


def _warn_of_types(readings: Sequence[Reading], where: str, types: Types) -> None:
    exports = (export for reading in readings for export in reading.plan.exports)
    warn_of_json(where, json_keys(types), exports)
    _warn_of_unknown(readings, where, types)


def _joined(opened: Sequence[_Opened], types: Types, runs: pl.DataFrame) -> pl.LazyFrame:
    """Return all rows, each with its run's row of ``runs`` before it."""
    frames: list[pl.LazyFrame] = []
    place = 0
    for schema, alike in groupby(opened, lambda one: one.schema):
        found = list(alike)
        frames += _frames(found, types, runs[place : place + len(found)], is_plain=bool(schema))
        place += len(found)
    if not frames:
        return pl.concat([runs, empty_frame(types)], how="horizontal").lazy()
    frame = pl.concat(frames)
    # Without a writable cache the exports are temporary files, deleted with the readings: they
    # would be gone when the caller collects the frame.
    is_lasting = all(one.reading.pulled.keeper is None for one in opened)
    return frame if is_lasting else frame.collect().lazy()


def _open(reading: Reading) -> _Opened:
    reading = reading.tried()
    live = reading.live_rows()
    return _Opened(reading, live, tuple(plan_sources(reading.plan, live)))


def _frames(
    opened: Sequence[_Opened], types: Types, runs: pl.DataFrame, *, is_plain: bool
) -> Iterator[pl.LazyFrame]:
    if is_plain and len(opened) > 1 and _have_own_files(opened):
        yield _scan_alike(opened, types, runs)
        return
    for place, one in enumerate(opened):
        cells = [pl.lit(column).get(place).alias(column.name) for column in runs]
        yield scan_as(one.reading.plan, types, one.live).select(*cells, pl.all())


def _have_own_files(opened: Sequence[_Opened]) -> bool:
    """Return whether no file occurs twice: two forks can have the exports of one parent."""
    files = [read.file for one in opened for read in one.reading.plan.exports]
    return len(files) == len(set(files))


def _scan_alike(opened: Sequence[_Opened], types: Types, runs: pl.DataFrame) -> pl.LazyFrame:
    """Read the exports of runs with equal columns in one scan: the fixed cost is paid once."""
    files = [[str(read.file) for read in one.reading.plan.in_step_order] for one in opened]
    plan = opened[0].reading.plan
    (read, *_) = plan.exports
    dtypes = [(STEP, read.step_dtype), *((column.name, column.dtype) for column in read.columns)]
    stored = {name: polars_type(dtype) for name, dtype in dtypes}
    # The name must differ from all columns of the files, also those that are not read.
    taken = {name for one in opened for name in _column_names(one)}
    file = unused_name(taken.union(runs.columns, types))
    scan = scan_files(
        list(map(Path, chain.from_iterable(files))),
        schema=stored,
        extra_columns="ignore",
        include_file_paths=file,
    )
    rows = keep_rows(scan.select(*typed_columns(read.columns, types), file), plan.projection)
    # A join by file takes a quarter less time than replacing each path with values of its run.
    owners = runs.with_columns(pl.Series(file, files, pl.List(pl.String))).explode(file)
    joined = rows.join(owners.lazy(), on=file, how="left", maintain_order="left")
    return joined.select(in_order([*runs.columns, STEP, *types]))


def _column_names(opened: _Opened) -> Iterator[str]:
    for read in opened.reading.plan.exports:
        yield from read.facts.columns


def _warn_of_unknown(readings: Sequence[Reading], where: str, types: Types) -> None:
    """Warn about keys that no run has, with similar keys."""
    unknown = [key for key, dtype in types.items() if dtype is not None and pa.types.is_null(dtype)]
    if not unknown or not any(reading.pulled.manifest.last_step >= 0 for reading in readings):
        return
    known = {key for reading in readings[:RUNS_TO_LOOK_AT] for key in reading.key_facts()}
    reasons = " ".join(explain_unknown_key(key, known) for key in unknown if key not in known)
    if reasons:
        warn(f"In the runs of '{where}': {reasons}", NoRowsWarning)
