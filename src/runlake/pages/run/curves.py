"""Builds the charts of a run: payloads for ``chart.js``, or reasons why there is no chart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from runlake.charts.buffers import Buffers
from runlake.charts.chart import Chart
from runlake.charts.html import payload_of
from runlake.charts.series import Axis, Series
from runlake.errors import InvalidArgument
from runlake.history.plan.reasons import explain_unknown_key
from runlake.history.runs.axes import axis_of
from runlake.pages.run.columns import Columns, Contents, Rows
from runlake.pages.run.view import View
from runlake.public.run.run import Run
from runlake.values import STEP, StepRange
from runlake.values.counted import counted

HEIGHT = 220


def draw_charts(columns: Columns, run: Run, keys: Sequence[str], view: View) -> dict[str, Any]:
    """Return one chart for each of the given keys.

    Parameters
    ----------
    columns : Columns
        Reads the rows of the keys.
    run : Run
        The run.
    keys : sequence of str
        The keys to draw. The charts are in this order.
    view : View
        How to draw the charts.

    Returns
    -------
    dict
        ``end``, a step before which no chart lacks rows; ``charts``, a list with a ``payload``, or
        a ``reason`` why there is no chart, for each key; and ``buffers``, the numbers of all
        payloads, because most charts of a run share the numbers of their x axis.
    """
    contents = columns.contents(run, view.end)
    names = list(dict.fromkeys(keys))
    by_axis: dict[str, list[str]] = {}
    # Axes are declared in the config, which is read only if it is needed.
    metrics = run.metrics() if view.x is None else []
    for key in names:
        axis = view.x or axis_of(key, metrics)
        if key in contents.facts or key == STEP:
            by_axis.setdefault(STEP if axis == key else axis, []).append(key)
    drawn: dict[str, dict[str, Any]] = {}
    buffers = Buffers()
    for axis, some in by_axis.items():
        read = columns.read(run, some, axis, contents, view.high)
        for key in some:
            drawn[key] = _chart_of(columns, run, key, axis, read[key], view, buffers)
    ends = [one.pop("end") for one in drawn.values()]
    found = [{"key": key, **(drawn.get(key) or _unknown(key, contents))} for key in names]
    if contents.lacking is not None:
        for one in found:
            if "payload" in one:
                notes = one["payload"]["notes"]
                one["payload"]["notes"] = [*notes, f"incomplete on disk: {contents.lacking}"]
    # The least end: charts from memory may lack rows, which the page then adds as they are sent.
    end = min(ends, default=contents.end)
    return {"end": end, "charts": found, "buffers": buffers.stored}


def _unknown(key: str, contents: Contents) -> dict[str, Any]:
    return {"reason": explain_unknown_key(key, contents.facts)}


def _chart_of(
    columns: Columns, run: Run, key: str, axis: str, rows: Rows, view: View, buffers: Buffers
) -> dict[str, Any]:
    # A sample of all rows has too few rows in a small range.
    if not rows.is_whole and (view.low is not None or view.high is not None):
        steps = _steps_of(rows.frame, axis, view)
        rows = columns.read_part(run, key, axis, steps)
    n_others = rows.n_others.get(key, 0)
    notes = [f"{counted(n_others, 'value')} of other types"] if n_others else []
    frame, axis = _with_axis(rows.frame, key, axis, notes)
    sampled_from = None if rows.is_whole else rows.n_rows
    try:
        payload = chart_payload(frame, key, axis, view, notes, sampled_from, buffers)
    except InvalidArgument as error:
        return {"reason": str(error), "end": rows.end}
    return {"payload": payload, "end": rows.end}


def chart_payload(
    frame: pl.DataFrame,
    key: str,
    axis: str,
    view: View,
    notes: Sequence[str] = (),
    n_points: int | None = None,
    shared: Buffers | None = None,
) -> dict[str, Any]:
    """Return the payload with which ``chart.js`` draws the chart of one key.

    Parameters
    ----------
    frame : polars.DataFrame
        The rows to draw.
    key, axis : str
        Names of the columns for the y axis and for the x axis.
    view : View
        How to draw the chart.
    notes : sequence of str
        Facts to show below the curve.
    n_points : int, optional
        Number of rows from which the frame was sampled; if omitted, the frame has all rows.
    shared : Buffers, optional
        Stores the numbers of several payloads, as for `payload_of`.

    Raises
    ------
    InvalidArgument
        If the values are not numbers.
    """
    low, high = view.low, view.high
    # A moving average depends on the rows before the range, so smoothed rows are cut later.
    if view.smooth is None and (low is not None or high is not None):
        cut = _cut(frame, axis, low, high)
        if cut is not None:
            frame, low, high = cut, None, None
    chart = Chart(
        (Series(frame, key, axis, n_points=n_points),),
        Axis(axis, low=low, high=high),
        Axis(scale="log" if view.log else "linear"),
        view.smooth,
        title=key,
        notes=tuple(notes),
        points=view.points,
    )
    curve = chart.curves[0]
    counts = {"shown": len(curve.x), "all": max(curve.n_points, len(curve.x))}
    return {**payload_of(chart.drawing, shared), "height": HEIGHT, "counts": counts}


def _with_axis(
    frame: pl.DataFrame, key: str, axis: str, notes: list[str]
) -> tuple[pl.DataFrame, str]:
    """Return the rows that have a value of the x axis, and the key of the x axis.

    If no row has such a value, return all rows, and ``_step`` as the x axis.
    """
    if key not in frame.columns:
        # Every row with the key was deleted, or has not been written yet.
        frame = frame.with_columns(pl.lit(None, pl.Float64).alias(key))
    if axis == STEP:
        return frame, axis
    x = frame.get_column(axis) if axis in frame.columns else None
    if x is None or x.null_count() == len(x):
        notes.append(f"x is {STEP}, because {axis!r} has no values")
        return frame, STEP
    return (frame.filter(x.is_not_null()) if x.null_count() else frame), axis


def _cut(
    frame: pl.DataFrame, axis: str, low: float | None, high: float | None
) -> pl.DataFrame | None:
    """Return the rows in a range of the x axis, and one more row on either side.

    With these two rows, the curve reaches the edges of the range. Return None if the rows are not
    sorted by x.
    """
    x = frame.get_column(axis)
    if not x.dtype.is_numeric() or x.null_count() or not x.is_sorted():
        return None
    # numpy searches here: polars would wait for its threads, which other reads may keep busy.
    places = x.to_numpy()
    start = 0 if low is None else int(places.searchsorted(low, "left"))
    stop = len(x) if high is None else int(places.searchsorted(high, "right"))
    start = max(0, start - 1)
    return frame.slice(start, stop + 1 - start)


def _steps_of(frame: pl.DataFrame, axis: str, view: View) -> StepRange:
    """Return the steps that cover a view's range of the x axis, found in a sample of the run."""
    if axis not in frame.columns or not frame.get_column(axis).dtype.is_numeric():
        return StepRange()
    x = frame.get_column(axis)
    inside = pl.Series([True]).new_from_index(0, frame.height)
    if view.low is not None:
        inside &= (x >= view.low).fill_null(value=False)
    if view.high is not None:
        inside &= (x <= view.high).fill_null(value=False)
    places = inside.arg_true()
    if not len(places):
        # The range is between two rows of the sample.
        at = int(x.search_sorted(view.low if view.low is not None else view.high or 0, "left"))
        first, last = at - 1, at
    else:
        first, last = int(places[0]) - 1, int(places[-1]) + 1
    steps = frame.get_column(STEP)
    stop = None if last >= frame.height else int(steps[last]) + 1
    return StepRange(int(steps[max(first, 0)]), stop)
