"""Methods of a list of runs that return a value per run, or aligned curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from runlake.errors import InvalidArgument
from runlake.public.runs.scans import RowRequest, RunScans, check_request
from runlake.values import RUN_ID, STEP, StepRange, check_number, check_word

if TYPE_CHECKING:
    import polars as pl

    from runlake.history.runs.values import Choice


class RunAnswers(RunScans):
    """Methods of a list of runs that return a value per run, or aligned curves."""

    def best(
        self, key: str, mode: str = "min", *, x: str | None = None, columns: Sequence[str] = ()
    ) -> pl.DataFrame:
        """Return the best value of a key for each run, and the step at which it was first logged.

        Parameters
        ----------
        key : str
            A key whose values are numbers.
        mode : {"min", "max"}
            Which value is best: "min" means the lowest, "max" the highest.
        x : str, optional
            As for `scan`.
        columns : list of str
            More columns to return, such as ``name`` or ``config.lr``; as for `scan`.

        Returns
        -------
        polars.DataFrame
            A row per run, in the order of the list: ``run_id``, the requested ``columns``,
            ``_step`` or the x axis, and the key. NaN is ignored. The last two columns are null for
            a run in which the key has no number.

        Raises
        ------
        InvalidArgument
            If an argument is wrong (checked before any request), or if the values of the key are
            not numbers.

        Examples
        --------
        The best run: ``runs.best("val/loss", columns=["config.lr"]).sort("val/loss").head(1)``
        """
        from runlake.history.runs.values import best_choice

        check_word(mode, "mode", ("min", "max"))
        return self._one_per_run(key, x, columns, best_choice("min" if mode == "min" else "max"))

    def last(self, key: str, *, x: str | None = None, columns: Sequence[str] = ()) -> pl.DataFrame:
        """Return the last value of a key for each run, and the step at which it was logged.

        The parameters are those of `best`, without ``mode``; but the values of the key need not be
        numbers. The result is as for `best`, but the last value may be NaN. The last two columns
        are null for a run that does not have the key.
        """
        from runlake.history.runs.values import last_choice

        return self._one_per_run(key, x, columns, last_choice())

    def at(
        self,
        key: str,
        step: float,
        tolerance: float | None = 0,
        *,
        x: str | None = None,
        columns: Sequence[str] = (),
    ) -> pl.DataFrame:
        """Return the value of a key for each run at a step, or at a point of another axis.

        Parameters
        ----------
        key : str
            The key whose value to return.
        step : int or float
            The step, or the value of the axis ``x``.
        tolerance : float or None
            Greatest distance from the step, inclusive; None means any distance. The nearest row is
            taken; if two rows are equally near, the earlier one is taken.
        x, columns
            As for `scan`.

        Returns
        -------
        polars.DataFrame
            As for `best`. For a run that has no row within ``tolerance`` of the step, the columns
            of the axis and of the key are null.

        Raises
        ------
        InvalidArgument
            If an argument is wrong (checked before any request), or if the values of the axis
            are not numbers.
        """
        from runlake.history.runs.values import nearest_choice

        point = check_number(step, "step")
        limit = None if tolerance is None else check_number(tolerance, "tolerance", at_least=0)
        return self._one_per_run(key, x, columns, nearest_choice(point, limit))

    def align(
        self,
        keys: list[str],
        x: str = STEP,
        *,
        grid: int | Sequence[float] | None = None,
        method: str = "asof",
        by: Sequence[str] = (),
        stats: Sequence[str] = ("mean", "std", "n"),
        smooth: float | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        lineage: bool = False,
    ) -> pl.DataFrame:
        """Return statistics over runs for each key, at the points of one x axis.

        Parameters
        ----------
        keys : list of str
            Keys whose values are numbers.
        x : str
            The key of the x axis, or "auto"; see `scan`.
        grid : int, list of float, or None
            Points of the axis at which the statistics are computed. An int is a number of points,
            at most 10,000,000, at equal distances from the lowest to the highest x of each group
            and key. A list contains the points, which are then the same for all groups and keys.
            None means each x at which any run of the group has the key. Points with an infinite x
            are ignored.
        method : {"asof", "linear"}
            How to get the value of a run between two of its points: "asof" takes the value of the
            earlier point, "linear" interpolates. A run has no value before its first point or after
            its last point.
        by : list of str
            Columns of the runs, such as ``config.lr``: runs with equal values in all of them are a
            group. If omitted, all runs are one group.
        stats : list of str
            Any of "mean", "std" and "sem" (both with n - 1), "median", "min", "max", "q10", "q90",
            "ci95" and "n". "ci95" gives two columns: the bounds of 95 % of the means of 1,000
            resamples of the runs, from a fixed seed.
        smooth : float, optional
            Weight of the exponential moving average of W&B's charts, from 0 to below 1. It is
            applied to each run before the runs are aligned.
        min_step, max_step : int or None
            As for `scan`.
        lineage : bool
            As for `scan`: the curve of a forked run begins at the root of its lineage.

        Returns
        -------
        polars.DataFrame
            The columns of ``by``, ``key``, the x axis (Float64, ascending), the statistics, and
            three counts of runs: ``n`` (runs with a number), ``n_nan`` (runs whose value is NaN)
            and ``n_missing`` (runs without a value). The groups are in the order of their first
            runs in the list; the rows of a group are ordered by key, as in ``keys``, then by x.
            Only runs with a number count in the statistics; the three counts add up to the number
            of runs in the group.

        Raises
        ------
        InvalidArgument
            If an argument is wrong (checked before any request), or if values of a key or of the
            axis are not numbers.

        Examples
        --------
        Mean and spread over seeds: ``runs.align(["loss"], by=["config.lr"])``
        """
        if smooth is not None:
            check_number(smooth, "smooth", at_least=0)
            if smooth >= 1:
                raise InvalidArgument(f"smooth must be below 1, not {smooth!r}.")
        steps = StepRange.from_arguments(min_step, max_step)
        return self._aligned(keys, x, grid, method, by, stats, smooth, steps, lineage=lineage)

    def _aligned(
        self,
        keys: list[str],
        x: str,
        grid: int | Sequence[float] | None,
        method: str,
        by: Sequence[str],
        stats: Sequence[str],
        smoothing: float | None,
        steps: StepRange,
        *,
        lineage: bool = False,
    ) -> pl.DataFrame:
        """Return the result of `align`, also with smoothing by the mean of a window of points.

        ``smoothing`` is a weight, like ``smooth`` of `align`, or the number of points of a window.
        """
        from runlake.history.decode.expressions import named
        from runlake.history.runs import align
        from runlake.history.runs.aligned import Alignment, aligned_frame, check_axis
        from runlake.history.runs.run_rows import read_runs

        if not keys:
            raise InvalidArgument("keys must name at least one key.")
        check_word(method, "method", align.METHODS)
        points = align.checked_grid(grid)
        if not isinstance(stats, (list, tuple)):
            raise InvalidArgument(f"stats must be a list of statistics, not {stats!r}.")
        for name in stats:
            check_word(name, "stats", align.STAT_NAMES)
        asked = check_request(
            keys,
            x=x,
            columns=by,
            how="any",
            min_step=steps.start,
            max_step=steps.stop,
            lineage=lineage,
        )
        if STEP in keys:
            raise InvalidArgument("keys must name logged keys, not '_step'.")
        check_axis(x)
        readings, question, axis = self._planned(asked)
        check_axis(axis)
        n_runs, places = len(readings), list(range(len(readings)))
        if lineage:
            readings, places = self._with_parents(readings, question)
        rows = read_runs(self._client, readings, self._place, question.projection)
        rows = rows.of_runs(places, n_runs)
        # With "any" of the keys, a row may lack the axis.
        if axis != STEP:
            rows = rows.matching(named(axis).is_not_null())
        groups = self._columns(asked.columns) if asked.columns else None
        return aligned_frame(
            rows,
            groups,
            axis,
            list(dict.fromkeys(keys)),
            Alignment(points, "linear" if method == "linear" else "asof", tuple(stats), smoothing),
        )

    def _one_per_run(
        self, key: str, x: str | None, columns: Sequence[str], choice: Choice
    ) -> pl.DataFrame:
        import polars as pl

        asked = check_request([key], x=x, columns=columns)
        if not asked.question.keys:
            raise InvalidArgument("key must name a logged key, not '_step'.")
        # The statistics of packed runs know steps, not values of other axes.
        found = self._known_per_run(key, choice) if asked.x == STEP else None
        if found is None:
            found = self._read_per_run(asked, choice)
        ids = pl.DataFrame({RUN_ID: self._ids()}, schema={RUN_ID: pl.String})
        names = [name for name in asked.columns if name != RUN_ID]
        tables = [self._columns(names)] if names else []
        return pl.concat([ids, *tables, found], how="horizontal")

    def _read_per_run(self, asked: RowRequest, choice: Choice) -> pl.DataFrame:
        from runlake.history.runs.values import value_per_run

        readings, question, axis = self._planned(asked)
        return value_per_run(self._client, readings, self._place, question.projection, axis, choice)

    def _known_per_run(self, key: str, choice: Choice) -> pl.DataFrame | None:
        """Return, for each run, the value of ``key`` that ``choice`` chooses, and its ``_step``.

        None if this is not known without reading the runs' files. This method always returns None;
        a list of the runs in a lake overrides it.
        """
        del key, choice
        return None
