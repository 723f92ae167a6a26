"""Read the rows of many runs into one frame, with the number of rows of each run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
import numpy.typing as npt
import polars as pl

from runlake.backend.http.client import Client
from runlake.history.decode.corruption import passing_over_corruption
from runlake.history.decode.expressions import are_present
from runlake.history.frames.answer_types import Types
from runlake.history.frames.merge import unused_name
from runlake.history.frames.scan import scan_as
from runlake.history.frames.sources import empty_frame
from runlake.history.plan.plan import Plan
from runlake.history.runs.scan import (
    AnyReading,
    OpenedRun,
    open_runs,
    scan_alike,
    scan_packed,
)
from runlake.values import STEP, Projection

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class RunRows:
    """Rows of several runs in one frame, one run after the other.

    Parameters
    ----------
    frame : DataFrame
        ``_step``, then a column per key; ascending by step within a run.
    counts : array of int64
        Number of rows of each run, in order.
    """

    frame: pl.DataFrame
    counts: Counts

    @cached_property
    def stops(self) -> Counts:
        """For each run, the index in ``frame`` of the row after the run's last row."""
        return np.cumsum(self.counts)

    @cached_property
    def starts(self) -> Counts:
        """For each run, the index in ``frame`` of the run's first row."""
        return self.stops - self.counts

    def of_runs(self, places: Sequence[int], n_runs: int) -> RunRows:
        """Return the same rows, counted per run instead of per planned read.

        A fork that is read together with its parents has several consecutive reads.

        Parameters
        ----------
        places : sequence of int
            For each read, the index of its run, ascending.
        n_runs : int
            Number of runs.
        """
        owners = np.asarray(places, dtype=np.int64)
        counts = np.bincount(owners, weights=self.counts, minlength=n_runs)
        return RunRows(self.frame, counts.astype(np.int64))

    def matching(self, condition: pl.Expr) -> RunRows:
        """Return only the rows for which a condition is true."""
        kept = self.frame.select(condition.alias("kept")).to_series().fill_null(value=False)
        if kept.all():
            return self
        before = np.concatenate([[0], np.cumsum(kept.to_numpy())])
        counts = before[self.stops] - before[self.starts]
        return RunRows(self.frame.filter(kept), counts.astype(np.int64))


def read_runs(
    client: Client, readings: Sequence[AnyReading], where: str, projection: Projection
) -> RunRows:
    """Return the rows of many planned reads in one frame, with the number of rows of each read.

    The arguments are those of `runlake.history.runs.scan.scan_readings`. If a file is broken, it is
    mended and read again.
    """
    opened, types = open_runs(client, readings, where, projection)
    return read_opened(opened, types, projection)


def read_opened(opened: Sequence[OpenedRun], types: Types, projection: Projection) -> RunRows:
    """Return the rows of opened runs in one frame, with columns of the given types."""
    matching = [place for place, one in enumerate(opened) if one.can_match(projection)]
    counts = np.zeros(len(opened), np.int64)
    if not matching:
        return RunRows(empty_frame(types), counts)
    groups = list(_groups([opened[place] for place in matching]))
    collected: list[RunRows | None] = [None] * len(groups)
    # If a file is unreadable, the scan of all groups fails; then each run is read alone, and the
    # file is mended.
    with passing_over_corruption():
        frames = pl.collect_all([_scan(group, types) for group in groups])
        collected = [_counted(f, group) for f, group in zip(frames, groups, strict=True)]
    found = [
        one if one is not None else _read_alone(group, types)
        for one, group in zip(collected, groups, strict=True)
    ]
    frame = pl.concat([one.frame for one in found], rechunk=True)
    counts[matching] = np.concatenate([one.counts for one in found])
    rows = RunRows(frame, counts)
    keys = projection.keys or ()
    if any(frame[key].null_count() for key in keys):
        return rows.matching(are_present(keys, projection.how))
    return rows


def _groups(opened: Sequence[OpenedRun]) -> Iterator[list[OpenedRun]]:
    """Yield runs that one scan can read together; other runs are yielded alone."""
    for group, alike in groupby(opened, lambda one: one.group):
        found = list(alike)
        if group is None:
            yield from ([one] for one in found)
        else:
            yield found


def _scan(group: Sequence[OpenedRun], types: Types) -> pl.LazyFrame:
    if group[0].packed is not None:
        return scan_packed(group, types, _places(group, types))
    if len(group) > 1:
        return scan_alike(group, types)
    (one,) = group
    return scan_as(one.exported.plan, types, one.live)


def _places(group: Sequence[OpenedRun], types: Types) -> pl.DataFrame:
    """Return a frame with one column: the index of each run in ``group``.

    The column has a name that no key has.
    """
    name = unused_name({STEP, *types})
    return pl.Series(name, range(len(group)), pl.UInt32).to_frame()


def _counted(frame: pl.DataFrame, group: Sequence[OpenedRun]) -> RunRows | None:
    """Count the rows of each run; return None if the footers' total is not the frame's."""
    if group[0].packed is not None:
        places, *columns = frame.get_columns()
        counts = np.bincount(places.to_numpy(), minlength=len(group))
        return RunRows(pl.DataFrame(columns), counts.astype(np.int64))
    if len(group) == 1:
        return RunRows(frame, np.array([frame.height]))
    counts = np.array([_stated_rows(one.exported.plan) for one in group])
    # Rows are assigned to runs by these counts, so a wrong footer would mix runs up.
    return RunRows(frame, counts) if counts.sum() == frame.height else None


def _stated_rows(plan: Plan) -> int:
    return sum(export.facts.n_rows for export in plan.exports)


def _read_alone(group: Sequence[OpenedRun], types: Types) -> RunRows:
    if group[0].packed is not None:
        found = _counted(_scan(group, types).collect(), group)
        assert found is not None  # noqa: S101 - for mypy
        return found
    frames = [
        one.exported.healing(lambda whole: scan_as(whole.plan, types, whole.live_rows()).collect())
        for one in group
    ]
    return RunRows(pl.concat(frames), np.array([frame.height for frame in frames]))
