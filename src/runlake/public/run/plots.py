"""Methods of a run that draw its curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runlake.errors import InvalidArgument
from runlake.history.reader import Reading, open_reading
from runlake.public.plot_arguments import (
    N_POINTS,
    PlotRequest,
    choose_axis,
    expand_globs,
    has_points,
)
from runlake.public.run.fields import RunFields
from runlake.values import STEP, Projection, Question

if TYPE_CHECKING:
    import polars as pl

    from runlake.charts.chart import Chart


class RunPlots(RunFields):
    """Methods of a run that draw its curves."""

    def plot(
        self,
        keys: str | Sequence[str],
        x: str | None = None,
        *,
        smooth: float | None = None,
        log: bool | str = False,
        min_step: int | None = None,
        max_step: int | None = None,
        points: int = N_POINTS,
    ) -> Chart:
        """Return a chart with a curve for each key.

        Parameters
        ----------
        keys : str or list of str
            Keys whose values are numbers, booleans or times. A name with ``*``, ``?`` or ``[`` that
            is not a key of the run is a glob over the keys with numbers: ``"val/*"``. A glob leaves
            out keys that begin with ``_``.
        x : str, optional
            The key of the x axis, such as ``_step``, ``_runtime`` or ``_timestamp``. If omitted,
            the axis that ``define_metric`` declared for the keys, else ``_step``.
        smooth : float or int, optional
            A number from 0 to below 1 is the weight of the exponential moving average of W&B's
            charts. An integer from 1 is a number of points: each value is replaced by the mean of a
            window of this many points.
        log : bool or {"x", "y", "xy"}
            Which axes have a log scale; True means the y axis.
        min_step, max_step : int or None
            First step, inclusive, and the step to stop before, exclusive; None means no limit.
        points : int
            Maximum number of points to draw, chosen so that they show the shape of each curve. The
            chart says how many points there are in all.

        Returns
        -------
        Chart
            A notebook draws it at the end of a cell; ``print`` draws it with characters, and
            ``save`` writes a file. NaN and infinities are marked.

        Raises
        ------
        InvalidArgument
            If an argument is wrong (checked before any request), if the run has no such key, or
            if the values of a key cannot be drawn.
        ExportError, CacheError
            If the exports cannot be downloaded.
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
        wanted = self._plotted_keys(asked)
        # Declarations are in the config, which may have to be loaded.
        declared = [] if asked.x is not None else [(wanted, self.metrics())]
        axis, notes = choose_axis(declared, asked.x)
        if axis in wanted:
            raise InvalidArgument(f"{axis!r} is the x axis: name another one with x=.")
        reading = self._plot_reading(asked, wanted, axis)
        needs_all = asked.smooth is not None
        frame, n_found = reading.frame_or_sample(points, [axis, *wanted], needs_all=needs_all)
        axis, more = self._known_axis(asked, axis, frame, reading)
        empty = [
            key for key in wanted if not has_points(self._path, key, frame, reading.logged_keys)
        ]
        if len(empty) == len(wanted):
            reading.warn_no_rows()
        notes += [*more, *(f"no points: {key}" for key in empty)]
        return self._chart(asked, wanted, axis, frame, n_found, notes)

    def _plotted_keys(self, asked: PlotRequest) -> list[str]:
        if not asked.has_globs:
            return list(asked.names)
        reading = open_reading(self._client, self._path, Question(Projection(())))
        return expand_globs(asked.names, reading.logged_keys(), self._path)

    def _plot_reading(self, asked: PlotRequest, keys: Sequence[str], axis: str) -> Reading:
        # The run may never have logged a declared axis. Then rows without the axis are needed.
        is_asked = asked.x is not None or axis == STEP
        how = "all" if len(keys) == 1 and is_asked else "any"
        read = [*keys, axis]
        question = Question.from_arguments(read, how, asked.min_step, asked.max_step)
        return open_reading(self._client, self._path, question, attrs=self._sent)

    def _known_axis(
        self, asked: PlotRequest, axis: str, frame: pl.DataFrame, reading: Reading
    ) -> tuple[str, list[str]]:
        """Return the key of the x axis, and a list of notes for the chart.

        If ``define_metric`` declared an axis that has no values, the axis is ``_step``, and a note
        says so. Else there are no notes.
        """
        if axis == STEP:
            return axis, []
        if asked.x is None and frame.get_column(axis).null_count() == frame.height:
            return STEP, [f"x is {STEP}, because the declared axis {axis!r} has no values"]
        # Only for its error, if the axis is unknown or its values cannot be drawn.
        has_points(self._path, axis, frame, reading.logged_keys)
        return axis, []

    def _chart(
        self,
        asked: PlotRequest,
        keys: Sequence[str],
        axis: str,
        frame: pl.DataFrame,
        n_found: int,
        notes: Sequence[str],
    ) -> Chart:
        from runlake.charts.series import Series

        name = self.name or self.id
        n_points = n_found if n_found > frame.height else None
        series = [Series(frame, key, axis, name, n_points=n_points) for key in keys]
        return asked.chart(series, axis, notes)
