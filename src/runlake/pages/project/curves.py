"""Charts of many runs: one curve per run, or one mean curve with a band per group of runs.

`Runs.plot` reads the rows, several keys at once. If a chart draws a sample, its notes say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from runlake.charts.chart import Chart
from runlake.charts.html import payload_of
from runlake.charts.series import Series
from runlake.errors import (
    IncompleteWarning,
    InvalidArgument,
    MixedTypesWarning,
    NoRowsWarning,
    RunlakeError,
    SampleWarning,
)
from runlake.errors.user_line import silenced
from runlake.history.runs.axes import axis_of
from runlake.pages.project.colors import looks_of
from runlake.pages.project.listing import named_runs, runs_of
from runlake.pages.project.view import ProjectView
from runlake.pages.source import RunList, Source
from runlake.public.runs.runs import Runs
from runlake.values import RUN_ID, STEP, check_number
from runlake.values.counted import counted

# Maximum number of points of all curves of a chart: a browser can redraw this many while the
# chart is panned. Only a chart with more than 160 curves has more, because of `POINTS_PER_RUN`.
MAX_POINTS = 16_000
POINTS_PER_RUN = (100, 2_000)
MAX_KEYS = 24
EXPECTED = (IncompleteWarning, MixedTypesWarning, NoRowsWarning, SampleWarning)
MAX_DRAWN = 100
MAX_GROUPED = 500


@dataclass(frozen=True, slots=True)
class Range:
    """A range of the x axis, inclusive at both ends; an end that is None has no limit."""

    low: float | None = None
    high: float | None = None

    @classmethod
    def from_texts(cls, low: str | None, high: str | None) -> Range:
        """Parse both ends of the range from parameters of a URL.

        Raises
        ------
        InvalidArgument
            If an end is not a finite number.
        """
        return cls(*(_number(text, name) for text, name in ((low, "low"), (high, "high"))))

    def steps(self, x: str) -> dict[str, Any]:
        """Return the `Runs.plot` arguments for this range of steps; empty if x is not ``_step``."""
        if x != STEP:
            return {}
        found: dict[str, Any] = {}
        # Beyond these bounds the range limits no steps, and the number would not fit into 64 bits.
        if self.low is not None and 0 < self.low < 2**62:
            found["min_step"] = int(self.low)
        if self.high is not None and 0 <= self.high < 2**62:
            found["max_step"] = int(self.high) + 1
        return found


def read_charts(
    source: Source, view: ProjectView, keys: Sequence[str], part: Range
) -> list[dict[str, Any]]:
    """Read the rows of the given keys, and return a chart for each key.

    Parameters
    ----------
    source : Source
        The source to read from.
    view : ProjectView
        The visitor's choices, such as the runs, the x axis, and the groups.
    keys : sequence of str
        Keys to draw, each in its own chart.
    part : Range
        The range of the x axis to draw. The maximum number of points is the same for any range.

    Returns
    -------
    list of dict
        A dict per key, in the given order: ``key``, and either ``payload`` for ``chart.js``, or
        ``error``, which says why the key cannot be drawn.

    Raises
    ------
    InvalidArgument
        If a value of the view is wrong, or there are too many keys.
    """
    if len(keys) > MAX_KEYS:
        raise InvalidArgument(f"Ask for {MAX_KEYS} keys at most, not {len(keys):,}.")
    view.check()
    options = {"smooth": view.smoothing, "log": view.log or False}
    runs, notes = drawn_runs(source, view)
    if runs is None:
        return [{"key": key, "error": "No run is selected."} for key in keys]
    axes = dict.fromkeys(keys, Axis(view.x)) if view.x else declared_axes(runs, keys)
    found: dict[str, dict[str, Any]] = {}
    # Keys with one axis are read together.
    for axis in dict.fromkeys(axes.values()):
        plot = _Plot(runs, view, part, {**options, "x": axis.key}, (*notes, *axis.notes))
        same = [key for key in keys if axes[key] == axis]
        try:
            answers = plot.payloads(same)
        except InvalidArgument:
            # One key that cannot be drawn must not hide the others.
            answers = [plot.tried(key) for key in same]
        found |= {answer["key"]: answer for answer in answers}
    return [found[key] for key in keys]


@dataclass(frozen=True, slots=True)
class Axis:
    """The key of an x axis, and notes for the chart about the choice of this key."""

    key: str
    notes: tuple[str, ...] = ()


def declared_axes(runs: RunList, keys: Sequence[str]) -> dict[str, Axis]:
    """Return the x axis of each key; it is ``_step`` if the runs declare different axes."""
    if isinstance(runs, Runs):
        # The list was not used yet, so its first request can fetch the configs too.
        runs.upgrade_to_full()
    declared = [run.metrics() for run in runs]
    found = {}
    for key in keys:
        axes = {axis_of(key, metrics) for metrics in declared}
        if len(axes) > 1:
            named = ", ".join(sorted(axes))
            found[key] = Axis(STEP, (f"x is {STEP}, because the declared axes differ: {named}",))
        else:
            found[key] = Axis(next(iter(axes), STEP))
    return found


def drawn_runs(source: Source, view: ProjectView) -> tuple[RunList | None, list[str]]:
    """Return two values: the runs to draw (None if no run is selected), and notes for a chart."""
    shown = [one for one in view.run if one not in view.hide]
    if view.is_grouped and not view.run:
        return _grouped_runs(source, view)
    if not shown:
        return None, []
    notes = []
    if len(shown) > MAX_DRAWN and not view.is_grouped:
        notes.append(f"the first {MAX_DRAWN} of {len(shown):,} selected runs")
        shown = shown[:MAX_DRAWN]
    return named_runs(source, view, shown), notes


def _grouped_runs(source: Source, view: ProjectView) -> tuple[RunList, list[str]]:
    """Return a view's first `MAX_GROUPED` runs except hidden runs, and notes for the chart."""
    runs = runs_of(source, view)
    n_runs = len(runs)
    if n_runs <= MAX_GROUPED and not view.hide:
        return runs, []
    ids = [run.id for run in runs[:MAX_GROUPED] if run.id not in view.hide]
    notes = [f"the first {MAX_GROUPED:,} of {n_runs:,} runs"] if n_runs > MAX_GROUPED else []
    return named_runs(source, view, ids), notes


@dataclass(frozen=True, slots=True)
class _Plot:
    runs: RunList
    view: ProjectView
    part: Range
    options: Mapping[str, Any]
    notes: Sequence[str]

    def payloads(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        view = self.view
        groups: dict[str, Any] = {}
        if view.is_grouped:
            groups = {"by": list(view.by), "band": view.bands or "std"}
        # A moving average needs the rows before the part too, so all steps are read.
        steps = {} if view.smooth else self.part.steps(self.options["x"])
        # Silenced, because the notes of the chart say what is missing.
        with silenced(*EXPECTED):
            chart = self.runs.plot(list(keys), **self.options, **groups, **steps)
        return [self._answer(chart, key) for key in keys]

    def tried(self, key: str) -> dict[str, Any]:
        try:
            return self.payloads([key])[0]
        except RunlakeError as error:
            return {"key": key, "error": str(error)}

    def _answer(self, chart: Chart, key: str) -> dict[str, Any]:
        series = tuple(one for one in chart.series if one.key == key)
        if not series:
            # The key is for example a pattern with an asterisk, which names other keys or none.
            return {"key": key, "error": f"These runs have no points of {key!r}."}
        return {"key": key, "payload": self._payload(chart, key, series)}

    def _payload(self, chart: Chart, key: str, series: tuple[Series, ...]) -> dict[str, Any]:
        least, most = POINTS_PER_RUN
        # The points of a chart are divided between its curves.
        points = max(least, min(most, MAX_POINTS // len(series)))
        notes = (*self.notes, *self._own_notes(chart, series))
        drawn = replace(chart, series=series, title=key, points=points, notes=notes)
        drawn = drawn.within(self.part.low, self.part.high)
        payload = payload_of(drawn.drawing)
        if not self.view.is_grouped:
            looks = looks_of(map(_run_id, series))
            for curve, (color, dash) in zip(payload["curves"], looks, strict=True):
                curve |= {"color": color, "dash": list(dash)}
        return payload

    def _own_notes(self, chart: Chart, series: Sequence[Series]) -> list[str]:
        """Return the notes of one key's chart.

        If the runs are grouped, these are the notes of the whole chart, except those about missing
        points. Else it is at most one note: how many runs have no points of the key.
        """
        if self.view.is_grouped:
            return [note for note in chart.notes if not note.startswith("no points: ")]
        n_runs = len(self.runs)
        n_empty = n_runs - sum(not one.frame.is_empty() for one in series)
        return [f"no points: {n_empty:,} of {counted(n_runs, 'run')}"] if n_empty else []


def _run_id(series: Series) -> str:
    """Return the run id of a series; the rows may name the run by its id or by its whole path."""
    if RUN_ID not in series.frame.columns or series.frame.is_empty():
        return series.run
    return str(series.frame.get_column(RUN_ID)[0]).rpartition("/")[2]


def _number(text: str | None, name: str) -> float | None:
    if not text:
        return None
    try:
        return check_number(float(text), name)
    except ValueError:
        raise InvalidArgument(f"{name} must be a finite number, not {text!r}.") from None
