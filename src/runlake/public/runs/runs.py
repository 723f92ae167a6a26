"""`Runs`, the list that `Api.runs` returns: it inherits most methods from a class per topic."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from runlake.errors import InvalidType
from runlake.public.lists.filters import checked_filters
from runlake.public.progress import progress_of
from runlake.public.run.run import Run
from runlake.public.runs.attachments import RunAttachments
from runlake.public.runs.histories import RunHistories
from runlake.public.runs.plots import RunsPlots
from runlake.public.runs.run_list import RunList
from runlake.values import ProgressOption, Question

if TYPE_CHECKING:
    import polars as pl

    from runlake.cache.pull_result import PullResult

Condition: TypeAlias = Union[Mapping[str, Any], "pl.Expr", Callable[[Run], object]]


def check_condition(condition: object, name: str) -> None:
    """Raise `InvalidType` if a condition is neither a mapping, nor an expression, nor callable."""
    if isinstance(condition, Mapping) or callable(condition):
        return
    # Imported only now, because a dict or a function needs no polars.
    import polars as pl

    if not isinstance(condition, pl.Expr):
        raise InvalidType(
            f"{name} must be a dict such as {{'state': 'finished'}}, a polars expression or a "
            f"function of a run, not {reprlib.repr(condition)}."
        )


class Runs(RunHistories, RunsPlots, RunAttachments, RunList):
    """The runs of a project that match a filter; returned by `Api.runs`.

    The parameters are those of `RunList`. Iterate over the list, index it, or read all runs at
    once: `frame` returns the fields of the runs, `scan` their rows, `histories` a sample of their
    rows. `best`, `last` and `at` return one value per run, `align` returns statistics of the curves
    on one axis, and `plot` draws the curves.
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
        check_condition(condition, "The condition")
        if isinstance(condition, Mapping):
            return self._with_filters(checked_filters(condition))
        if callable(condition):
            return self._of([run for run in self if condition(run)])
        chosen = set(self._matching(condition))
        return self._of([run for run in self if run.id in chosen])

    def pull(self, *, progress: ProgressOption = None) -> list[PullResult]:
        """Download the exports of all runs, except exports that are in the cache already.

        Fields, config and summary of the runs are stored too, for offline use.

        Parameters
        ----------
        progress : bool, callable or None
            How to show progress; see `Run.pull`. Only the runs that were not in the cache are
            counted.

        Returns
        -------
        list of PullResult
            One per run, in the order of the list.

        Raises
        ------
        ExportError, CacheError
            If the exports of a run cannot be downloaded.
        """
        shown = progress_of(self._client.settings, progress)
        readings = self._source.open(self._listed_with_fields(), Question(), shown)
        return [reading.pulled for reading in readings]

    def _of(self, runs: Sequence[Run]) -> Runs:
        """Return a list of some runs of this list, without fetching the runs again."""
        # The filter is for later requests of the new list, such as for the states of its runs.
        chosen = self._with_filters({"name": {"$in": [run.id for run in runs]}})
        chosen._take(runs)  # noqa: SLF001 - a list of the same class
        return chosen

    def _repr_html_(self) -> str:
        from runlake.public.cards.runs import show_runs

        return show_runs(self)

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
