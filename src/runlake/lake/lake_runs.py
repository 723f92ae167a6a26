"""`LakeRuns`: a list of runs of a lake, with the methods of `Runs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from runlake.errors import InvalidArgument, InvalidType
from runlake.errors.screen import line_for_screen
from runlake.lake.clusters.datasets import LakeDatasets
from runlake.lake.disk_source import POLICIES, WARN, Lacking
from runlake.lake.fixed_runs import FixedRuns
from runlake.lake.one_run import find_one
from runlake.lake.packed.elsewhere import shown_place
from runlake.lake.publishing.methods import Publishing
from runlake.lake.query.selection import Selection
from runlake.public.lists.filters import checked_filters
from runlake.public.plot_arguments import N_POINTS
from runlake.public.run.run import Run
from runlake.public.runs.runs import Condition, check_condition
from runlake.settings import Settings
from runlake.values import DEFAULT_ORDER, STEP, check_count, check_word

if TYPE_CHECKING:
    import os
    import re

    import duckdb
    import pandas as pd
    import polars as pl

    from runlake.charts.chart import Chart
    from runlake.lake.copies.export import ExportReport
    from runlake.lake.plan import LakePlan

T = TypeVar("T")
PARQUET = "parquet"


class LakeRuns(Publishing, LakeDatasets):
    """A list of runs of a lake: `Lake` has all runs, and `where` returns some of them.

    The methods and their results are those of `Runs`, but no method makes a request to a backend.
    Each method lists the runs when it is called, so that it finds runs that were pulled meanwhile.

    In a result, ``run_id`` is the id of a run if no other run of the result has this id. Otherwise
    it is ``entity/project/id``. If runs of two backends have the same path, ``run_id`` begins with
    the host of the backend. ``id`` is always the id alone. ``entity`` and ``project`` can be named
    in ``columns``, ``by`` and filters.

    Every method that reads histories has the argument ``incomplete``, for runs that lack keys or
    steps on disk. Such a run was pulled with ``keys``, has rows that were in no export and were not
    stored, or has files that are damaged or gone. "warn" reads what is on disk, and issues an
    `IncompleteWarning` with the number of these runs and the first three names; "skip" leaves these
    runs out of the result; "raise" raises `NotCached`.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    selection : Selection
        Which runs to list, and in which order.
    """

    def __init__(self, settings: Settings, selection: Selection) -> None:
        self._settings = settings
        self._selection = selection

    def where(self, condition: Condition) -> LakeRuns:
        """Return the runs for which a condition is true, in the same order.

        Parameters
        ----------
        condition : mapping, polars.Expr or callable
            A filter, as for `runs`; an expression over the columns of `runs` with ``flat=True``; or
            a function that takes a `Run` and returns a bool. A filter is evaluated at each use of
            the result; an expression or a function is evaluated once, by this call.

        Raises
        ------
        InvalidType
            If the condition is neither a mapping, nor an expression, nor callable.
        InvalidArgument
            If a filter or an expression is wrong.
        """
        check_condition(condition, "The condition")
        if isinstance(condition, Mapping):
            return self._with(self._selection.narrowed(checked_filters(condition)))
        fixed = self._fixed(WARN)
        if callable(condition):
            chosen = {run.run_id for run in fixed.runs if condition(fixed.open(run))}
        else:
            chosen = set(self._matching(fixed, condition))
        directories = tuple(run.relative for run in fixed.runs if run.run_id in chosen)
        root, order = self._selection.root, self._selection.order
        return self._with(Selection(root, order=order, directories=directories))

    def runs(
        self,
        filters: Condition | None = None,
        order: str | None = None,
        columns: Sequence[str] | None = None,
        *,
        flat: bool = False,
        limit: int | None = None,
        offset: int = 0,
    ) -> pl.DataFrame:
        """Return the fields, config and summary of runs as a frame, one row per run.

        Parameters
        ----------
        filters : mapping, polars.Expr or callable, optional
            Conditions in the language of `Api.runs`, such as ``{"config.lr": {"$gt": 0.01}}``;
            patterns of ``$regex`` are Python's. Or an expression or a function, as for `where`.
        order : str, optional
            ``+`` (ascending) or ``-`` (descending), followed by the name of a field, such as
            ``+created_at``, the default. Runs without the field come last.
        columns : list of str, optional
            Columns to return, such as ``name``, ``project``, ``config.lr`` and ``summary.loss``. If
            omitted, all fields, config and summary.
        flat : bool
            Return a column per path of config and summary instead of structs; all columns are then
            scalars.
        limit, offset : int
            Maximum number of runs to return, and number of runs to leave out before the first one.

        Returns
        -------
        polars.DataFrame
            The named columns; if ``columns`` is omitted, ``entity``, ``project`` and the columns of
            `Runs.frame`.

        Raises
        ------
        InvalidArgument
            If an argument is wrong.

        Examples
        --------
        The ten best runs: ``lake.runs({"state": "finished"}, "-summary_metrics.acc", limit=10)``
        """
        from runlake.lake.query.table import lake_table

        if filters is None or isinstance(filters, Mapping):
            selection = self._selection.narrowed(checked_filters(filters))
        else:
            selection = self.where(filters)._selection  # noqa: SLF001 - of this class
        if order is not None:
            selection = replace(selection, order=_checked_order(order))
        if limit is not None:
            selection = replace(selection, limit=check_count(limit, "limit"))
        selection = replace(selection, offset=_checked_offset(offset))
        return lake_table(selection, columns, flat=flat)

    def frame(self, *, flat: bool = False) -> pl.DataFrame:
        """Return the fields, config and summary of the runs as a frame.

        The argument and the result are those of `Runs.frame`.
        """
        return self._fixed(WARN).frame(flat=flat)

    def pandas(self) -> pd.DataFrame:
        """Return the fields, config and summary of the runs as a pandas frame of scalar columns."""
        return self._fixed(WARN).pandas()

    def scan(
        self,
        keys: list[str] | None = None,
        *,
        like: str | re.Pattern[str] | None = None,
        kind: str | None = None,
        x: str | None = None,
        columns: Sequence[str] = (),
        how: str | None = None,
        min_step: int | None = None,
        max_step: int | None = None,
        tail: int | None = None,
        lineage: bool = False,
        incomplete: str = WARN,
    ) -> pl.LazyFrame:
        """Read the histories of the runs as one lazy frame.

        Parameters
        ----------
        keys, like, kind, x, columns, how, min_step, max_step, tail, lineage
            As for `Runs.scan`.
        incomplete : {"warn", "raise", "skip"}
            What to do with runs that lack keys or steps on disk; see the class.

        Returns
        -------
        polars.LazyFrame
            The rows and columns that `Runs.scan` returns.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; nothing has been read then.
        NotCached
            If ``incomplete`` is "raise", and a run lacks keys or steps. With ``lineage``, also if a
            parent whose rows are needed was not pulled.
        """
        return self._read(
            incomplete,
            lambda runs: runs.scan(
                keys,
                like=like,
                kind=kind,
                x=x,
                columns=columns,
                how=how,
                min_step=min_step,
                max_step=max_step,
                tail=tail,
                lineage=lineage,
            ),
        )

    def scan_histories(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        incomplete: str = WARN,
    ) -> pl.LazyFrame:
        """Read the histories of the runs as one lazy frame, as `scan` does."""
        return self.scan(keys, min_step=min_step, max_step=max_step, incomplete=incomplete)

    def best(
        self,
        key: str,
        mode: str = "min",
        *,
        x: str | None = None,
        columns: Sequence[str] = (),
        incomplete: str = WARN,
    ) -> pl.DataFrame:
        """Return the best value of a key for each run, and its step.

        The arguments and the result are those of `Runs.best`.
        """
        return self._read(incomplete, lambda runs: runs.best(key, mode, x=x, columns=columns))

    def last(
        self,
        key: str,
        *,
        x: str | None = None,
        columns: Sequence[str] = (),
        incomplete: str = WARN,
    ) -> pl.DataFrame:
        """Return the last value of a key for each run, and its step.

        The arguments and the result are those of `Runs.last`.
        """
        return self._read(incomplete, lambda runs: runs.last(key, x=x, columns=columns))

    def at(
        self,
        key: str,
        step: float,
        tolerance: float | None = 0,
        *,
        x: str | None = None,
        columns: Sequence[str] = (),
        incomplete: str = WARN,
    ) -> pl.DataFrame:
        """Return the value of a key for each run at a step, or at a point of another axis.

        The arguments and the result are those of `Runs.at`.
        """
        return self._read(
            incomplete,
            lambda runs: runs.at(key, step, tolerance, x=x, columns=columns),
        )

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
        incomplete: str = WARN,
    ) -> pl.DataFrame:
        """Return statistics over the runs for each key, at the points of a common x axis.

        The arguments and the result are those of `Runs.align`.
        """
        return self._read(
            incomplete,
            lambda runs: runs.align(
                keys,
                x,
                grid=grid,
                method=method,
                by=by,
                stats=stats,
                smooth=smooth,
                min_step=min_step,
                max_step=max_step,
                lineage=lineage,
            ),
        )

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
        incomplete: str = WARN,
    ) -> Chart:
        """Return a chart of keys, with the curves of all runs.

        The arguments and the result are those of `Runs.plot`.
        """
        return self._read(
            incomplete,
            lambda runs: runs.plot(
                keys,
                x,
                by=by,
                band=band,
                smooth=smooth,
                log=log,
                min_step=min_step,
                max_step=max_step,
                points=points,
            ),
        )

    def keys(
        self, pattern: str | None = None, kind: str | None = None, *, incomplete: str = WARN
    ) -> pl.DataFrame:
        """Return a table of the keys of each run; no history is read.

        The arguments and the result are those of `Runs.keys`. The keys are read from Parquet
        footers, or from the packed table ``stats``. So a key is listed even if its values are not
        on disk.
        """
        return self._read(incomplete, lambda runs: runs.keys(pattern, kind))

    def sql(self, query: str, *, incomplete: str = WARN) -> duckdb.DuckDBPyRelation:
        """Query the runs and their histories with SQL.

        The views are those of `Runs.sql`; the view ``runs`` also has the columns ``entity`` and
        ``project``.
        """
        return self._read(incomplete, lambda runs: runs.sql(query))

    def system(
        self, keys: list[str] | None = None, *, samples: int = 200_000, incomplete: str = WARN
    ) -> pl.DataFrame:
        """Return the system metrics of each run, as `Lake.pull` has stored them.

        The arguments and the result are those of `Runs.system`.
        """
        return self._read(incomplete, lambda runs: runs.system(keys, samples=samples))

    @overload
    def histories(
        self,
        samples: int | None = ...,
        keys: list[str] | None = ...,
        x_axis: str | None = ...,
        format: Literal["default"] = ...,
        stream: str = ...,
        *,
        incomplete: str = ...,
    ) -> list[dict[str, Any]]: ...
    @overload
    def histories(
        self,
        samples: int | None = ...,
        keys: list[str] | None = ...,
        x_axis: str | None = ...,
        *,
        format: Literal["pandas"],
        stream: str = ...,
        incomplete: str = ...,
    ) -> pd.DataFrame: ...
    @overload
    def histories(
        self,
        samples: int | None = ...,
        keys: list[str] | None = ...,
        x_axis: str | None = ...,
        *,
        format: Literal["polars"],
        stream: str = ...,
        incomplete: str = ...,
    ) -> pl.DataFrame: ...
    def histories(
        self,
        samples: int | None = 500,
        keys: list[str] | None = None,
        x_axis: str | None = STEP,
        format: str = "default",  # noqa: A002 - W&B's name
        stream: str = "default",
        *,
        incomplete: str = WARN,
    ) -> list[dict[str, Any]] | pd.DataFrame | pl.DataFrame:
        """Return a sample of the history of every run.

        The arguments, except ``progress``, and the result are those of `Runs.histories`.
        """
        return self._read(
            incomplete, lambda runs: runs.histories(samples, keys, x_axis, format, stream)
        )

    def explain(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
    ) -> LakePlan:
        """Return the plan of a scan: its runs, files and bytes, and what is missing on disk.

        Parameters
        ----------
        keys, min_step, max_step, how
            As for `scan`.

        Returns
        -------
        LakePlan
            The plan. `print` shows it as text. No history has been read.
        """
        from runlake.lake.plan import plan_lake
        from runlake.values import Question

        question = Question.from_arguments(keys, how, min_step, max_step)
        return plan_lake(self._fixed(WARN), question)

    def tables(self, key: str, step: int | None = None) -> pl.DataFrame:
        """Read the tables that the runs logged under one key.

        The arguments and the result are those of `Runs.tables`.
        """
        runs = self._fixed(WARN)
        runs.refuse_if_published("tables")
        return runs.tables(key, step)

    def export(
        self,
        dest: str | os.PathLike[str],
        format: str = PARQUET,  # noqa: A002 - the usual name
        partition_by: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        *,
        keys: list[str] | None = None,
        how: str = "all",
        min_step: int | None = None,
        max_step: int | None = None,
        incomplete: str = WARN,
        storage_options: Mapping[str, str] | None = None,
    ) -> ExportReport:
        """Copy the runs and their histories out of the lake.

        Parameters
        ----------
        dest : path or str
            A directory, or the URL of one in object storage (``s3://bucket/prefix``); for "duckdb",
            a file. Files that an earlier export with the same arguments wrote to ``dest`` are kept
            if they are up to date, so an interrupted export continues.
        format : {"parquet", "csv", "jsonl", "duckdb"}
            The directory gets ``runs`` with a row per run, and ``history`` with a file per run; the
            database gets two tables of these names.
        partition_by : list of str, optional
            Columns of the runs, such as ``project`` or ``config.lr``, that divide ``history`` into
            folders such as ``project=mnist``. These columns are left out of the files.
        columns : list of str, optional
            Columns of the runs to repeat in every row.
        keys, how, min_step, max_step
            As for `scan`.
        incomplete : {"warn", "raise", "skip"}
            What to do with runs that lack keys or steps on disk; see the class.
        storage_options : dict, optional
            Options of the object storage; see `publish`.

        Returns
        -------
        ExportReport
            Counts of runs, files and bytes.

        Raises
        ------
        InvalidArgument
            If an argument is wrong, or ``dest`` has files that no export wrote; nothing has been
            written then.

        Notes
        -----
        In Parquet, CSV and DuckDB, each key has one type for all runs. Parquet keeps NaN and nested
        values. In CSV, nested values are JSON text, and a null is an empty cell. A line of JSON has
        only the keys of its row, and NaN and infinities are the strings "NaN", "Infinity" and
        "-Infinity". A file gets its final name when it is complete. Memory use is bounded by the
        rows of one batch.
        """
        from runlake.lake.copies.copying import copy_out

        steps = (min_step, max_step)
        chosen = (format, keys, how, *steps, partition_by, columns, storage_options)
        return self._read(incomplete, copy_out(self._settings.cache_dir, dest, *chosen))

    def __len__(self) -> int:
        return self._selection.count()

    def __iter__(self) -> Iterator[Run]:
        fixed = self._fixed(WARN)
        return map(fixed.open, fixed.runs)

    @overload
    def __getitem__(self, index: int | str) -> Run: ...
    @overload
    def __getitem__(self, index: slice) -> list[Run]: ...
    def __getitem__(self, index: int | str | slice) -> Run | list[Run]:
        """Return a run by its index, or by its path as `Lake.run` does; a slice returns a list."""
        fixed = self._fixed(WARN)
        if isinstance(index, str):
            return fixed.open(find_one(fixed.runs, index, self._selection.root))
        if isinstance(index, slice):
            return [fixed.open(run) for run in fixed.runs[index]]
        return fixed.open(fixed.runs[index])

    def _read(self, incomplete: str, read: Callable[[FixedRuns], T]) -> T:
        check_word(incomplete, "incomplete", POLICIES)
        runs = self._fixed(incomplete)
        # More than once: a read of system metrics finds only one incomplete run at a time.
        while True:
            try:
                found = read(runs)
            except Lacking as lacking:
                runs = runs.without(lacking.run_ids)
            else:
                runs.warn_of_lacking()
                return found

    def _fixed(self, policy: str) -> FixedRuns:
        return FixedRuns(self._settings, self._selection, policy)

    def _with(self, selection: Selection) -> LakeRuns:
        return LakeRuns(self._settings, selection)

    def _matching(self, fixed: FixedRuns, condition: pl.Expr) -> list[str]:
        import polars as pl

        from runlake.values import RUN_ID

        # The same list of runs, so that the names in `run_id` are those of `fixed`.
        chosen = Selection(
            self._selection.root,
            order=self._selection.order,
            directories=tuple(run.relative for run in fixed.runs),
        )
        table = LakeRuns(self._settings, chosen).runs(flat=True)
        if table.is_empty():
            return []
        try:
            found: list[str] = table.filter(condition)[RUN_ID].to_list()
        except pl.exceptions.PolarsError as error:
            raise InvalidArgument(
                f"The expression does not work over the runs of '{fixed.place}': {error}."
            ) from error
        return found

    def _repr_html_(self) -> str:
        from runlake.public.cards.runs import show_pulled_runs

        return show_pulled_runs(self)

    def __repr__(self) -> str:
        filters = f" {self._selection.filters}" if self._selection.filters else ""
        return line_for_screen(f"<LakeRuns {shown_place(self._selection.root)!r}{filters}>")


def _checked_offset(offset: object) -> int:
    if isinstance(offset, bool) or not isinstance(offset, int) or offset < 0:
        raise InvalidArgument(f"offset must be an integer of at least 0, not {offset!r}.")
    return offset


def _checked_order(order: object) -> str:
    if not isinstance(order, str):
        raise InvalidType(f"order must be a string such as '-created_at', not {order!r}.")
    return order or DEFAULT_ORDER
