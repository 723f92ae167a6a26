"""Methods of a list of runs that draw curves of many runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from runlake.errors import InvalidArgument, InvalidType, NoRowsWarning
from runlake.errors.user_line import silenced
from runlake.history.plan.key_facts import KeyFacts
from runlake.history.plan.reasons import near_names
from runlake.public.plot_arguments import (
    N_POINTS,
    PlotRequest,
    choose_axis,
    expand_globs,
    has_points,
)
from runlake.public.runs.answers import RunAnswers
from runlake.values import RUN_ID, STEP, StepRange, check_word
from runlake.values.counted import counted

if TYPE_CHECKING:
    import polars as pl

    from runlake.charts.chart import Chart

NO_BAND = "none"
# For each band, the statistics at its edges, and its name in the notes.
BANDS = {
    "std": (("std",), "standard deviation"),
    "sem": (("sem",), "standard error of the mean"),
    "min-max": (("min", "max"), "minimum to maximum"),
    "quantiles": (("q10", "q90"), "10 % to 90 % of the runs"),
    "ci95": (("ci95",), "95 % confidence interval of the mean"),
    NO_BAND: ((), ""),
}
SYNONYMS = {"minmax": "min-max"}
# Maximum number of points of all curves in a chart; with more, a browser reacts slowly.
MAX_POINTS = 100_000
MIN_POINTS_PER_RUN = 50


class RunsPlots(RunAnswers):
    """Methods of a list of runs that draw curves of many runs."""

    def plot(
        self,
        keys: str | Sequence[str],
        x: str | None = None,
        *,
        by: str | Sequence[str] | None = None,
        band: str | None = None,
        smooth: float | None = None,
        log: bool | str = False,
        min_step: int | None = None,
        max_step: int | None = None,
        points: int = N_POINTS,
    ) -> Chart:
        """Return a chart of all runs: for each key, a curve per run or a mean curve per group.

        Parameters
        ----------
        keys : str or list of str
            As for `Run.plot`.
        x : str, optional
            As for `Run.plot`.
        by : str or list of str, optional
            Columns of the runs, such as ``config.lr``: runs with equal values in all of them are a
            group, whose mean is drawn. An empty list makes one group of all runs. If omitted, each
            run has a curve of its own; but if ``band`` is passed, all runs are one group.
        band : {"std", "sem", "min-max", "quantiles", "ci95", "none"}, optional
            What surrounds the mean: standard deviation (the default), standard error, minimum to
            maximum, 10 % to 90 % of the runs, the confidence interval of `align`, or nothing.
        smooth, log, min_step, max_step
            As for `Run.plot`. The curve of each run is smoothed before the mean is computed.
        points : int
            Maximum number of points to draw, per run or group.

        Returns
        -------
        Chart
            The curves are in the order of the list.

        Raises
        ------
        InvalidArgument
            If an argument is wrong (checked before any request), if no run has such a key or
            column, or if the values of a key cannot be drawn.
        ExportError, CacheError
            If the exports of a run cannot be downloaded.

        Examples
        --------
        Mean and spread over seeds: ``runs.plot("loss", by="config.lr", band="std")``
        """
        asked = PlotRequest.from_arguments(
            keys,
            x=x,
            smooth=smooth,
            log=log,
            min_step=min_step,
            max_step=max_step,
            points=points,
        )
        if STEP in asked.names:
            raise InvalidArgument("keys must name logged keys, not '_step'.")
        edge = "std" if band is None else SYNONYMS.get(str(band), band)
        check_word(edge, "band", tuple(BANDS))
        columns = _checked_by(by)
        is_grouped = by is not None or band is not None
        self._check_columns(columns)
        wanted = self._plotted_keys(asked)
        axis, notes = self._plot_axis(asked, wanted)
        if axis in wanted:
            raise InvalidArgument(f"{axis!r} is the x axis: name another one with x=.")
        if is_grouped:
            return self._group_chart(asked, wanted, axis, columns, edge, notes)
        return self._run_chart(asked, wanted, axis, notes)

    def _check_columns(self, columns: Sequence[str]) -> None:
        """Raise `InvalidArgument` for an entry of config or summary that no run has."""
        entries = [name for name in columns if "." in name]
        if not entries or not self._ids():
            return
        table = self._columns(entries)
        for name in entries:
            if table.get_column(name).null_count() == table.height:
                near = near_names(name, self.frame(flat=True).columns)
                hint = f"; closest columns: {', '.join(map(repr, near))}" if near else ""
                raise InvalidArgument(f"No run of '{self._place}' has {name!r}{hint}.")

    def _plotted_keys(self, asked: PlotRequest) -> list[str]:
        if not asked.has_globs:
            return list(asked.names)
        return expand_globs(asked.names, self._known_keys(), self._place)

    def _known_keys(self) -> dict[str, KeyFacts]:
        facts = self._key_facts(self._listed())
        return {key: one for of_run in facts for key, one in of_run.items()}

    def _plot_axis(self, asked: PlotRequest, keys: Sequence[str]) -> tuple[str, list[str]]:
        if asked.x is not None:
            return choose_axis([], asked.x)
        return choose_axis(((keys, run.metrics()) for run in self._full_runs()), None)

    def _run_chart(self, asked: PlotRequest, keys: list[str], axis: str, notes: list[str]) -> Chart:
        from runlake.charts.series import Series

        steps = (asked.min_step, asked.max_step)
        # Not needed: a plot raises an error for wrong keys, and notes runs without points.
        with silenced(NoRowsWarning):
            scan = self.scan(keys, x=axis, how="any", min_step=steps[0], max_step=steps[1])
            rows = scan.collect()
        names = self._run_names()
        if names:
            known = cache(self._known_keys)
            for name in (*keys, axis):
                has_points(self._place, name, rows, known)
        found = [
            Series(frame, key, axis, names[run_id])
            for run_id, frame in _frames(rows)
            for key in keys
            if frame.get_column(key).null_count() < frame.height
        ]
        # The series of one run share its frame, so frames are counted, not series.
        n_empty = len(names) - len({id(one.frame) for one in found})
        if n_empty:
            notes.append(f"no points: {n_empty:,} of {counted(len(names), 'run')}")
        per_run = max(MIN_POINTS_PER_RUN, MAX_POINTS // max(1, len(found)))
        series = found or [Series(rows.clear(), key, axis) for key in keys]
        asked = replace(asked, points=min(asked.points, per_run))
        return asked.chart(series, axis, notes)

    def _run_names(self) -> dict[str, str]:
        """Return a name for each run id; if several runs have the same name, the id is appended."""
        ids = self._ids()
        if not ids:
            return {}
        shown = [name or "" for name in self._columns(["name"]).to_series().to_list()]
        counts = Counter(shown)
        return {
            run_id: (f"{name} ({run_id})" if counts[name] > 1 else name) if name else run_id
            for run_id, name in zip(ids, shown, strict=True)
        }

    def _group_chart(
        self,
        asked: PlotRequest,
        keys: list[str],
        axis: str,
        columns: Sequence[str],
        edge: str,
        notes: list[str],
    ) -> Chart:
        from runlake.charts.groups import series_of_groups
        from runlake.charts.series import Series
        from runlake.charts.smoothing import describe

        stats, said = BANDS[edge]
        n_runs = len(self._ids())
        is_steps = axis == STEP
        # Different runs usually log at the same steps, but seldom at equal values of another axis.
        # Without a grid, most points of another axis would belong to a single run.
        with silenced(NoRowsWarning):
            aligned = self._aligned(
                keys,
                axis,
                None if is_steps else asked.points,
                "asof" if is_steps else "linear",
                columns,
                ("mean", *stats),
                asked.smooth,
                StepRange.from_arguments(asked.min_step, asked.max_step),
            )
        series = series_of_groups(aligned, axis, columns, stats)
        drawn = {one.key for one in series if one.frame.get_column(one.key).is_finite().any()}
        missing = [key for key in keys if key not in drawn]
        if missing and n_runs:
            known = self._known_keys()
            for key in missing:
                # Only for its error, if the key is unknown or its values cannot be drawn.
                has_points(self._place, key, _nothing(axis, key), lambda: known)
        notes += [f"no points: {key}" for key in missing]
        notes.append(f"mean of {counted(n_runs, 'run')}{f', band: {said}' if said else ''}")
        if asked.smooth is not None:
            notes.append(describe(asked.smooth))
        series = series or [Series(_nothing(axis, key), key, axis) for key in keys]
        return replace(asked, smooth=None).chart(series, axis, notes)


def _checked_by(by: str | Sequence[str] | None) -> tuple[str, ...]:
    from runlake.history.runs.run_table import checked_columns

    if by is not None and not isinstance(by, (str, list, tuple)):
        raise InvalidType(f"by must be a column of the runs, or a list of them, not {by!r}.")
    names = [by] if isinstance(by, str) else list(by or ())
    if RUN_ID in names:
        raise InvalidArgument("Leave out by: without it, each run has a curve of its own.")
    return checked_columns(names)


def _frames(rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the id and the rows of each run; the rows of one run must be adjacent."""
    if rows.is_empty():
        return
    runs = rows.get_column(RUN_ID).rle().struct.unnest()
    start = 0
    for length, run_id in runs.rows():
        yield run_id, rows.slice(start, length)
        start += length


def _nothing(axis: str, key: str) -> pl.DataFrame:
    import polars as pl

    return pl.DataFrame(schema={axis: pl.Float64, key: pl.Float64})
