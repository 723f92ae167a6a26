"""Divide a scan of a lake into parts.

Any process that sees the lake's files can read a part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import polars as pl
import pyarrow as pa

from runlake.cache.layout import RunDirectory
from runlake.cache.store import LIVE, read_manifest
from runlake.errors import CacheError
from runlake.history.decode.expressions import to_arrow
from runlake.history.frames.answer_types import Types
from runlake.history.frames.sources import empty_frame
from runlake.history.reader import Reading
from runlake.history.runs.open import ListedRun
from runlake.history.runs.packed import PackedReading
from runlake.history.runs.scan import (
    OpenedRun,
    checked_types,
    join_runs,
    open_runs,
    open_sources,
)
from runlake.lake.disk_source import WARN, DiskSource
from runlake.lake.fixed_runs import FixedRuns
from runlake.lake.packed.choice import choose_packed
from runlake.lake.packed.elsewhere import shown_place
from runlake.public.runs.scans import RowRequest
from runlake.settings import Settings
from runlake.values import Projection, Question, StepRange

# Opening a run takes a millisecond or more, whatever its rows.
MAX_RUNS = 1_000


@dataclass(frozen=True, slots=True)
class RunPart:
    """A run of a `ScanPart`. The part has all or some of the run's rows.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.
    run_id : str
        The run's name in the column ``run_id``.
    digest : str
        Digest of the run, as `digest_of` returns it. If the digest has changed, the part can no
        longer be read.
    """

    directory: RunDirectory
    run_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class ScanPart:
    """Some rows of a scan, which any process that sees the lake can read.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    runs : tuple of RunPart
        The runs, in the order of their rows in the scan.
    question : Question
        Keys and steps to read.
    types : mapping
        The type of each key, which is the same in all parts of the scan.
    columns : DataFrame
        ``run_id`` and the other requested columns of the runs, one row per run.
    """

    settings: Settings
    runs: tuple[RunPart, ...]
    question: Question
    types: Types
    columns: pl.DataFrame

    def read(self) -> pa.Table:
        """Read the rows of this part, and return them as an Arrow table.

        Raises
        ------
        CacheError
            If this process does not see the lake, or if a run was deleted, or a new pull has
            changed its files, since the scan was planned.
        """
        if not self.runs:
            empty = pl.concat([self.columns, empty_frame(self.types)], how="horizontal")
            return to_arrow(empty)
        for run in self.runs:
            # A part may be read long after it was planned; a frame must not mix rows of two
            # moments.
            if digest_of(run.directory) != run.digest:
                raise self._changed(run)
        listed = [ListedRun(run.directory.run, None, run.run_id) for run in self.runs]
        directories = {run.run_id: run.directory for run in self.runs}
        relative = {run.run_id: run.directory.relative for run in self.runs}
        packed = choose_packed(self.settings.cache_dir, relative)
        source = DiskSource(self.settings, directories, WARN, packed)
        opened = open_sources(source.client, source.open_any(listed, self.question))
        frame = join_runs(opened, self.types, self.columns, self.question.projection)
        return to_arrow(frame.collect())

    def _changed(self, run: RunPart) -> CacheError:
        path = str(run.directory.path)
        if not run.directory.manifest.exists():
            return CacheError(
                f"There is no run '{run.directory.run}' at {path!r}. All workers need the lake "
                "under the same path, on a shared file system.",
                path=path,
            )
        return CacheError(
            f"The run '{run.directory.run}' has changed in the lake at "
            f"{str(run.directory.root)!r} since Lake.dataset was called. Call it again, and "
            "compute the new frame.",
            path=path,
        )


def digest_of(directory: RunDirectory) -> str:
    """Return a digest that changes when a pull changes the run's exports or live rows.

    Live rows are rows that are in no export. A pack does not change the digest.
    """
    stored = read_manifest(directory)
    offered = {} if stored.offer is None else stored.offer.identities
    live = stored.beside.get(LIVE)
    facts = [sorted(offered.items()), None if live is None else (live.file, live.n_bytes)]
    return hashlib.sha256(repr(facts).encode("utf-8", "backslashreplace")).hexdigest()[:32]


def plan_parts(
    runs: FixedRuns, asked: RowRequest, settings: Settings, n_rows: int
) -> list[ScanPart]:
    """Divide a scan into parts; the rows of all parts, one after another, are the scan's rows.

    Parameters
    ----------
    runs : FixedRuns
        The runs.
    asked : RowRequest
        Keys, steps and columns of the scan.
    settings : Settings
        The settings of the lake.
    n_rows : int
        Approximate number of rows of a part. A run with more rows is divided into several parts: at
        the boundaries of row groups if it is read from exports, and into even ranges of steps if it
        is read from packed tables.

    Returns
    -------
    list of ScanPart
        At least one part. If the scan has no rows, its only part has no runs.
    """
    listed, asked, columns = runs.prepared(asked)
    # Parts are sent to other machines, which read from disk and need no key.
    settings = replace(settings, api_key=None)
    question = asked.question
    # No key matches. To the readings, no keys would mean every row.
    if asked.choice is not None and not question.keys:
        return [ScanPart(settings, (), question, {}, columns.clear())]
    readings = runs.source.open_any(listed, question)
    where = shown_place(settings.cache_dir)
    opened, types = open_runs(runs.source.client, readings, where, question.projection)
    types = checked_types(types, opened, columns.columns, where)
    directories = [run.directory for run in runs.runs]
    parts = [
        ScanPart(
            settings,
            tuple(
                RunPart(directories[at], listed[at].run_id, digest_of(directories[at]))
                for at in places
            ),
            replace(question, steps=steps),
            types,
            columns[list(places)],
        )
        for places, steps in _divided(opened, question.projection, question.steps, n_rows)
    ]
    # Without rows there is still a part, because `dask_frame` takes the columns from the first one.
    return parts or [ScanPart(settings, (), question, types, columns.clear())]


def _divided(
    opened: Sequence[OpenedRun], projection: Projection, steps: StepRange, n_rows: int
) -> Iterator[tuple[list[int], StepRange]]:
    """Yield the runs and the range of steps of each part of a scan.

    The runs are given by their indices in ``opened``.
    """
    together: list[int] = []
    n_together = 0
    for place, one in enumerate(opened):
        if not one.can_match(projection):
            continue
        n_own = _n_rows(one)
        if together and (n_together + n_own > n_rows or len(together) == MAX_RUNS):
            yield together, steps
            together, n_together = [], 0
        if n_own > n_rows:
            for some in _step_ranges(one, steps, n_rows):
                yield [place], some
            continue
        together.append(place)
        n_together += n_own
    if together:
        yield together, steps


def _n_rows(opened: OpenedRun) -> int:
    reading = opened.reading
    if isinstance(reading, PackedReading):
        return reading.n_rows
    return sum(export.n_rows for export in reading.plan.exports) + reading.plan.n_live_steps


def _step_ranges(opened: OpenedRun, steps: StepRange, n_rows: int) -> Iterator[StepRange]:
    """Yield ranges of steps that divide a run, each range with about ``n_rows`` rows.

    If the run is read from exports, each range begins where a row group begins.
    """
    reading = opened.reading
    if isinstance(reading, PackedReading):
        bounds = _even_bounds(reading, n_rows)
    else:
        bounds = _group_bounds(reading, n_rows)
    start = steps.start
    for bound in bounds:
        if bound > start and (steps.stop is None or bound < steps.stop):
            yield StepRange(start, bound)
            start = bound
    yield StepRange(start, steps.stop)


def _even_bounds(reading: PackedReading, n_rows: int) -> Iterator[int]:
    # A row group of a packed table has rows of many runs, so the steps are divided evenly.
    facts = reading.key_facts().values()
    first = min((one.first_step for one in facts if one.first_step is not None), default=0)
    last = max((one.last_step for one in facts if one.last_step is not None), default=0)
    n_parts = -(-reading.n_rows // n_rows)
    yield from (first + (last + 1 - first) * part // n_parts for part in range(1, n_parts))


def _group_bounds(reading: Reading, n_rows: int) -> Iterator[int]:
    groups = sorted(
        (group.first_step, group.n_rows)
        for export in reading.plan.exports
        for group in (export.facts.row_groups[at] for at in export.row_groups)
        if group.first_step is not None
    )
    n_before = 0
    for first_step, n_own in groups:
        # A part begins where a row group begins, so that no row group is decoded by two workers.
        if n_before >= n_rows:
            yield first_step
            n_before = 0
        n_before += n_own


def arrow_schema(part: ScanPart) -> pa.Schema:
    """Return the Arrow schema of a part, which is the same for all parts of its scan."""
    return replace(part, runs=(), columns=part.columns.clear()).read().schema
