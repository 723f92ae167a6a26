"""Read the histories of many runs as one lazy frame."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress, groupby
from typing import TypeAlias

import polars as pl
import pyarrow as pa

from runlake.backend.http.client import Client
from runlake.errors import InvalidArgument, NoRowsWarning
from runlake.errors.user_line import warn
from runlake.history.decode.by_polars import scan_files
from runlake.history.decode.expressions import in_order, polars_type
from runlake.history.frames.answer_types import Types, answer_types
from runlake.history.frames.merge import unused_name
from runlake.history.frames.scan import HasColumns, json_keys, plan_sources, scan_as, warn_of_json
from runlake.history.frames.sources import check_polars, empty_frame, keep_rows, typed_columns
from runlake.history.live.spool import LiveRows
from runlake.history.plan.key_columns import Column, KeyColumns
from runlake.history.plan.plan import Plan
from runlake.history.plan.reasons import explain_unknown_key
from runlake.history.reader import Reading
from runlake.history.runs.open import side_by_side
from runlake.history.runs.packed import PackedReading, PackedRows
from runlake.history.runs.same_schema import common_schema
from runlake.values import RUN_ID, STEP, Projection, RunPath

RUNS_TO_LOOK_AT = 20
AnyReading: TypeAlias = Reading | PackedReading


@dataclass(frozen=True, slots=True)
class OpenedRun:
    """A run that is ready to be read.

    It has the planned read (``reading``), the rows that are in no export yet (``live``), and the
    columns of each export and of these rows (``sources``).
    """

    reading: Reading | PackedReading
    live: LiveRows
    sources: tuple[tuple[Column, ...], ...]

    @property
    def run(self) -> RunPath:
        """Path of the run."""
        reading = self.reading
        return reading.run if isinstance(reading, PackedReading) else reading.plan.run

    @property
    def exported(self) -> Reading:
        """The planned read of a run whose rows are in exports, not in packed tables."""
        assert isinstance(self.reading, Reading)  # noqa: S101 - for mypy
        return self.reading

    @property
    def packed(self) -> PackedRows | None:
        """The packed tables that contain the run's rows; None if the rows are in exports."""
        return self.reading.rows if isinstance(self.reading, PackedReading) else None

    @property
    def schema(self) -> tuple[tuple[str, pa.DataType], ...] | None:
        """Name and type of each column of the run's exports; None if the run must be read alone."""
        return None if self.packed is not None else common_schema(self.exported.plan)

    @property
    def group(self) -> Hashable:
        """A value that is equal for runs that one polars query can read; None for a run alone."""
        return self.packed or self.schema

    def can_match(self, projection: Projection) -> bool:
        """Return whether the run has the requested keys; if not, its files are not opened."""
        if not projection.keys:
            return True
        held = [
            columns.once(_typed_keys) if isinstance(columns, KeyColumns) else _typed_keys(columns)
            for columns in self.sources
        ]
        has = [any(key in known for known in held) for key in projection.keys]
        return all(has) if projection.how == "all" else any(has)

    def has_column(self, key: str) -> bool:
        """Return whether an export or the live rows have a column for a key, even an empty one."""
        return any(column.key == key for columns in self.sources for column in columns)


def scan_readings(
    client: Client,
    readings: Sequence[AnyReading],
    run_ids: Sequence[str],
    where: str,
    projection: Projection,
    columns: pl.DataFrame | None = None,
    *,
    leaves_out: bool = False,
) -> pl.LazyFrame:
    """Return the rows of many planned reads as one lazy frame.

    The rows that are in no export yet (live rows) are fetched now, in parallel.

    Parameters
    ----------
    client : Client
        Its settings limit the number of runs read at once.
    readings : sequence of Reading
        The planned reads, all with the same requested keys.
    run_ids : sequence of str
        The name of each run in the column ``run_id``.
    where : str
        Path of the project, for warnings.
    projection : Projection
        Keys to read, and whether a row must have all of them or at least one.
    columns : DataFrame, optional
        Fields of runs as additional columns: one row per reading, in order. The fields are repeated
        in all rows of the run.
    leaves_out : bool
        What to do if a key has the name ``run_id`` or the name of an additional column: True leaves
        the key out with a warning, False raises an error.

    Returns
    -------
    polars.LazyFrame
        ``run_id``, the additional columns, ``_step``, then one column per key, of the common type
        over all runs. The rows are ordered by run, then by step.

    Raises
    ------
    InvalidArgument
        If ``leaves_out`` is False, and a key has the name ``run_id`` or the name of an additional
        column.
    """
    taken = [RUN_ID, *(() if columns is None else columns.columns)]
    opened, types = open_runs(client, readings, where, projection)
    free_types = _without if leaves_out else checked_types
    types = free_types(types, opened, taken, where)
    ids = pl.Series(RUN_ID, run_ids, pl.String)
    runs = pl.DataFrame([ids, *(() if columns is None else columns)])
    return join_runs(opened, types, runs, projection)


def scan_numbered(
    client: Client, readings: Sequence[AnyReading], where: str, projection: Projection
) -> tuple[pl.LazyFrame, str]:
    """Return rows as `scan_readings` does, but with a column of numbers instead of ``run_id``.

    Returns
    -------
    tuple of polars.LazyFrame and str
        The frame, and the name of its first column. The first column is the index in ``readings``
        of the read that the row comes from (UInt32); no key has its name. ``_step`` and one column
        per key follow.
    """
    opened, types = open_runs(client, readings, where, projection)
    number = unused_name({STEP, *types})
    places = pl.Series(number, range(len(opened)), pl.UInt32)
    return join_runs(opened, types, places.to_frame(), projection), number


def join_runs(
    opened: Sequence[OpenedRun], types: Types, runs: pl.DataFrame, projection: Projection
) -> pl.LazyFrame:
    """Return the rows of opened runs as one lazy frame, each row after the columns of its run.

    Parameters
    ----------
    opened : sequence of OpenedRun
        The runs.
    types : mapping
        The type of the result's column for each key.
    runs : DataFrame
        The columns of the runs, with a row per run. Each row of the result begins with the cells of
        its run.
    projection : Projection
        Keys to read, and whether a row must have all of them or at least one.
    """
    can_match = [one.can_match(projection) for one in opened]
    opened = list(compress(opened, can_match))
    runs = runs.filter(pl.Series(can_match, dtype=pl.Boolean))
    frames: list[pl.LazyFrame] = []
    place = 0
    for group, alike in groupby(opened, lambda one: one.group):
        found = list(alike)
        of_group = runs[place : place + len(found)]
        if found[0].packed is not None:
            frames.append(scan_packed(found, types, of_group))
        else:
            frames += _frames(found, types, of_group, is_plain=bool(group))
        place += len(found)
    if not frames:
        return pl.concat([runs.clear(), empty_frame(types)], how="horizontal").lazy()
    frame = pl.concat(frames)
    # Without a writable cache the exports are temporary files, deleted with the readings: they
    # would be gone when the caller collects the frame.
    is_lasting = all(one.packed or one.exported.pulled.keeper is None for one in opened)
    return frame if is_lasting else frame.collect().lazy()


def open_runs(
    client: Client,
    readings: Sequence[AnyReading],
    where: str,
    projection: Projection,
) -> tuple[list[OpenedRun], Types]:
    """Fetch the live rows of planned reads; return the runs, and each key's type over all runs.

    Parameters
    ----------
    client, readings, where, projection
        As for `scan_readings`.
    """
    opened = open_sources(client, readings)
    sources = chain.from_iterable(one.sources for one in opened)
    types = answer_types(sources, projection.keys)
    exports = (one for reading in readings for one in _files_with_columns(reading))
    warn_of_json(where, json_keys(types), exports)
    _warn_of_unknown(readings, where, types)
    return opened, types


def open_sources(client: Client, readings: Sequence[AnyReading]) -> list[OpenedRun]:
    """Fetch the live rows of planned reads, and return each read with the columns of its rows."""
    check_polars()
    # Threads would cost more than opening a run for which there is nothing to fetch or to try.
    waits = [not _is_ready(reading) for reading in readings]
    fetched = iter(side_by_side(client, _open, list(compress(readings, waits))))
    nothing = LiveRows(iter(()))
    return [
        next(fetched) if is_late else OpenedRun(reading, nothing, _known_sources(reading))
        for reading, is_late in zip(readings, waits, strict=True)
    ]


def checked_types(
    types: Types, opened: Sequence[OpenedRun], taken: Sequence[str], where: str
) -> Types:
    """Return ``types`` unchanged; raise `InvalidArgument` if a key has a name in ``taken``.

    Parameters
    ----------
    types : mapping
        The type of the result's column for each key.
    opened : sequence of OpenedRun
        The runs; the error names one that has the key.
    taken : sequence of str
        Names of the columns of the runs.
    where : str
        Path of the project or the lake, for the error.
    """
    doubled = [name for name in taken if name in types]
    if doubled:
        raise InvalidArgument(f"{_clash(doubled[0], opened, where)}. Pass the keys to read.")
    return types


def _without(types: Types, opened: Sequence[OpenedRun], taken: Sequence[str], where: str) -> Types:
    doubled = [name for name in taken if name in types]
    if doubled:
        warn(f"{_clash(doubled[0], opened, where)}: the key is left out. Run.scan reads it.")
    return {key: dtype for key, dtype in types.items() if key not in doubled}


def _clash(key: str, opened: Sequence[OpenedRun], where: str) -> str:
    run = next(one.run for one in opened if one.has_column(key))
    return f"Run '{run}' in '{where}' has a key {key!r}, which is also a column of the runs"


def _is_ready(reading: AnyReading) -> bool:
    if isinstance(reading, PackedReading):
        return True
    plan = reading.plan
    return not (plan.live_pages or plan.is_walk) and all(e.is_promised for e in plan.exports)


def _typed_keys(columns: Sequence[Column]) -> frozenset[str]:
    return frozenset(column.key for column in columns if not pa.types.is_null(column.dtype))


def _sources(plan: Plan) -> tuple[tuple[Column, ...], ...]:
    return tuple(read.columns for read in plan.in_step_order)


def _known_sources(reading: AnyReading) -> tuple[tuple[Column, ...], ...]:
    if isinstance(reading, PackedReading):
        return (reading.columns,)
    return reading.plan.once(_sources)


def _files_with_columns(reading: AnyReading) -> Sequence[HasColumns]:
    return (reading,) if isinstance(reading, PackedReading) else reading.plan.exports


def _open(reading: AnyReading) -> OpenedRun:
    assert isinstance(reading, Reading)  # noqa: S101 - a packed run is always ready
    reading = reading.tried()
    live = reading.live_rows()
    return OpenedRun(reading, live, tuple(plan_sources(reading.plan, live)))


def _frames(
    opened: Sequence[OpenedRun], types: Types, runs: pl.DataFrame, *, is_plain: bool
) -> Iterator[pl.LazyFrame]:
    if is_plain and len(opened) > 1 and _have_own_files(opened):
        yield _scan_with_columns(opened, types, runs)
        return
    for place, one in enumerate(opened):
        cells = [pl.lit(column).get(place).alias(column.name) for column in runs]
        yield scan_as(one.exported.plan, types, one.live).select(*cells, pl.all())


def _have_own_files(opened: Sequence[OpenedRun]) -> bool:
    """Return whether each file belongs to one run only.

    Two forks may have the same exports of one parent.
    """
    files = [name for one in opened for name in _files(one)]
    return len(files) == len(set(files))


def _scan_with_columns(
    opened: Sequence[OpenedRun], types: Types, runs: pl.DataFrame
) -> pl.LazyFrame:
    """Scan runs with equal columns; each row of the result begins with the columns of its run."""
    # The name must differ from all columns of the files, also those that are not read.
    taken = {name for one in opened for name in _column_names(one)}
    file = unused_name(taken.union(runs.columns, types))
    rows = keep_rows(scan_alike(opened, types, file), opened[0].exported.plan.projection)
    # A join by file takes a quarter less time than replacing each path with values of its run.
    places = [place for place, one in enumerate(opened) for _ in _files(one)]
    files = pl.Series(file, [name for one in opened for name in _files(one)], pl.String)
    owners = runs.select(pl.all().gather(places)).with_columns(files)
    joined = rows.join(owners.lazy(), on=file, how="left", maintain_order="left")
    return joined.select(in_order([*runs.columns, STEP, *types]))


def scan_packed(opened: Sequence[OpenedRun], types: Types, runs: pl.DataFrame) -> pl.LazyFrame:
    """Read packed runs of the same tables; each row begins with the columns of its run."""
    rows = opened[0].packed
    assert rows is not None  # noqa: S101 - for mypy
    readings = [one.reading for one in opened]
    numbers = [one.number for one in readings if isinstance(one, PackedReading)]
    return rows.scan(numbers, types, runs)


def scan_alike(opened: Sequence[OpenedRun], types: Types, file: str | None = None) -> pl.LazyFrame:
    """Read the exports of runs with equal columns in one scan, whose fixed cost is paid once.

    Parameters
    ----------
    opened : sequence of OpenedRun
        Runs with equal `OpenedRun.schema`, which is not None.
    types : mapping
        The type of the result's column for each key.
    file : str, optional
        Name of an additional column, with the path of the file of each row.

    Returns
    -------
    polars.LazyFrame
        ``_step``, the keys, then the file; all rows, run by run.
    """
    (read, *_) = opened[0].exported.plan.exports
    dtypes = [(STEP, read.step_dtype), *((column.name, column.dtype) for column in read.columns)]
    scan = scan_files(
        [name for one in opened for name in _files(one)],
        schema={name: polars_type(dtype) for name, dtype in dtypes},
        extra_columns="ignore",
        include_file_paths=file,
    )
    return scan.select(*typed_columns(read.columns, types), *([] if file is None else [file]))


def _files(opened: OpenedRun) -> list[str]:
    return opened.exported.plan.once(_file_names)


def _file_names(plan: Plan) -> list[str]:
    return [str(read.file) for read in plan.in_step_order]


def _column_names(opened: OpenedRun) -> Iterator[str]:
    for read in opened.exported.plan.exports:
        yield from read.facts.columns


def _has_rows(reading: AnyReading) -> bool:
    if isinstance(reading, PackedReading):
        return reading.n_rows > 0
    return reading.pulled.manifest.last_step >= 0


def _warn_of_unknown(readings: Sequence[AnyReading], where: str, types: Types) -> None:
    """Warn about keys that no run has, with similar keys."""
    unknown = [key for key, dtype in types.items() if dtype is not None and pa.types.is_null(dtype)]
    if not unknown or not any(map(_has_rows, readings)):
        return
    known = {key for reading in readings[:RUNS_TO_LOOK_AT] for key in reading.key_facts()}
    reasons = " ".join(explain_unknown_key(key, known) for key in unknown if key not in known)
    if reasons:
        warn(f"In the runs of '{where}': {reasons}", NoRowsWarning)
