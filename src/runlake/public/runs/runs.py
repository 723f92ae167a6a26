"""`Runs`, the list that `Api.runs` returns: it inherits most methods from a class per topic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from runlake.errors import InvalidType
from runlake.public.lists.filters import checked_filters
from runlake.public.run.run import Run
from runlake.public.runs.answers import RunAnswers
from runlake.public.runs.histories import RunHistories

if TYPE_CHECKING:
    import polars as pl

    from runlake.public.files import File

Condition: TypeAlias = Union[Mapping[str, Any], "pl.Expr", Callable[[Run], object]]


def _is_expression(condition: object) -> bool:
    import polars as pl

    return isinstance(condition, pl.Expr)


class Runs(RunHistories, RunAnswers):
    """The runs of a project that match a filter; returned by `Api.runs`.

    The parameters are those of `RunList`. Iterate over it, index it, or read all its runs at once:
    `frame` has their fields, `scan` their rows, `histories` a sample, `best`, `last` and `at` one
    value per run, and `align` brings the curves of the runs onto one axis.
    """

    def where(self, condition: Condition) -> Runs:
        """Return a list of the runs for which a condition is true.

        Parameters
        ----------
        condition : mapping, polars.Expr or callable
            A filter in the language of `Api.runs`; an expression over the columns of
            ``frame(flat=True)``; or a function that takes a `Run` and returns a bool.

        Returns
        -------
        Runs
            In the same order. A mapping is evaluated by the backend, when the list is used. An
            expression or a function is evaluated now, for all runs: runs that are logged later are
            not in the list.

        Raises
        ------
        InvalidType
            If the condition is neither a mapping, nor an expression, nor callable.
        InvalidArgument
            If a filter or an expression is wrong.

        Examples
        --------
        ``runs.where(pl.col("config.lr") < 0.1)``, ``runs.where(lambda run: "best" in run.tags)``
        """
        if isinstance(condition, Mapping):
            return self._with_filters(checked_filters(condition))
        if callable(condition):
            chosen = [run.id for run in self if condition(run)]
        elif _is_expression(condition):
            chosen = self._matching(condition)
        else:
            raise InvalidType(
                "The condition must be a dict, a polars expression or a function of a run, not "
                f"{condition!r}."
            )
        return self._with_filters({"name": {"$in": chosen}})

    def files(self, pattern: str | None = None) -> dict[str, list[File]]:
        """Return the files of all runs, listed in parallel.

        Parameters
        ----------
        pattern : str, optional
            As for `Run.files`: ``%.json`` matches every name that ends in ``.json``.

        Returns
        -------
        dict of str to list of File
            The files by run id, in the order of the list. They have not been downloaded yet.

        Raises
        ------
        InvalidArgument
            If the pattern is not text; no request has been made then.
        """
        from runlake.history.runs.open import side_by_side
        from runlake.public.files import check_pattern

        check_pattern(pattern)
        runs = list(self)
        listed = side_by_side(self._client, lambda run: list(run.files(pattern=pattern)), runs)
        return {run.id: files for run, files in zip(runs, listed, strict=True)}

    def tables(self, key: str, step: int | None = None) -> pl.DataFrame:
        """Read the tables that the runs logged with ``wandb.Table`` under one key, in parallel.

        Parameters
        ----------
        key, step
            As for `Run.table`.

        Returns
        -------
        polars.DataFrame
            ``run_id``, then the columns of the tables, run by run in the order of the list. Runs
            without the table have no rows. A column without a common type is JSON text.

        Raises
        ------
        InvalidArgument
            If no run logged a table under this key, or not at this step.
        """
        import polars as pl

        from runlake.errors import InvalidArgument
        from runlake.history.frames.json_columns import stack
        from runlake.history.runs.open import side_by_side
        from runlake.values import RUN_ID

        self.upgrade_to_full()
        runs = list(self)

        def read(run: Run) -> pl.DataFrame | InvalidArgument:
            try:
                return run.table(key, step)
            except InvalidArgument as error:
                return error

        found = side_by_side(self._client, read, runs)
        tables = [
            (run, table)
            for run, table in zip(runs, found, strict=True)
            if isinstance(table, pl.DataFrame)
        ]
        for run, table in tables:
            if RUN_ID in table.columns:
                raise InvalidArgument(
                    f"The table {key!r} of run '{run.id}' has a column {RUN_ID!r}, which would "
                    "replace the column that names the run. Read the tables with Run.table."
                )
        frames = [
            pl.DataFrame([pl.repeat(run.id, table.height, eager=True).alias(RUN_ID), *table])
            for run, table in tables
        ]
        if not frames:
            missing = [error for error in found if isinstance(error, InvalidArgument)]
            raise missing[0] if missing else InvalidArgument(f"'{self._place}' lists no runs.")
        return stack(frames)

    def _matching(self, condition: pl.Expr) -> list[str]:
        import polars as pl

        from runlake.errors import InvalidArgument
        from runlake.values import RUN_ID

        table = self.frame(flat=True)
        try:
            chosen: list[str] = table.filter(condition)[RUN_ID].to_list()
        except pl.exceptions.PolarsError as error:
            raise InvalidArgument(
                f"The expression does not work over the runs of '{self._place}': {error}."
            ) from error
        return chosen

    def _with_filters(self, added: dict[str, Any]) -> Runs:
        both = [one for one in (self.filters, added) if one]
        return Runs(
            self._client,
            self.entity,
            self.project,
            {"$and": both} if len(both) > 1 else both[0] if both else None,
            self.order,
            self.per_page,
            self._include_sweeps,
            self._lazy,
        )
