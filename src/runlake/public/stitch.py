"""`stitch` reads the rows of several runs as one history."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from runlake.errors import InvalidArgument, InvalidType
from runlake.errors.screen import line_for_screen
from runlake.public.pandas_frame import frame_to_pandas
from runlake.public.run.history_scan import HistoryScan
from runlake.public.run.run import Run
from runlake.values import Question, check_count, check_text

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from runlake.history.reader import Reading
    from runlake.history.runs.stitched import Stitched


class StitchedRuns:
    """Several runs that are read as one history; returned by `stitch`.

    Parameters
    ----------
    runs : tuple of Run
        The runs, from the earliest to the latest.
    """

    def __init__(self, runs: tuple[Run, ...]) -> None:
        self._runs = runs

    @property
    def runs(self) -> list[Run]:
        """The runs, in the order in which they were passed to `stitch`."""
        return list(self._runs)

    def beta_scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = 0,
        max_step: int | None = None,
        *,
        how: str = "all",
    ) -> HistoryScan:
        """Scan the rows of all runs, as `Run.beta_scan_history` does for one run."""
        check_count(page_size, "page_size")
        question = Question.from_arguments(keys, how, min_step, max_step)
        return HistoryScan(self._open(question), page_size)

    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = None,
        max_step: int | None = None,
        *,
        how: str = "all",
    ) -> HistoryScan:
        """Scan the rows of all runs. This is an alias of `beta_scan_history`."""
        return self.beta_scan_history(keys, page_size, min_step, max_step, how=how)

    def scan(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
        tail: int | None = None,
    ) -> pl.LazyFrame:
        """Read the rows of all runs as a lazy frame, as `Run.scan` does for one run."""
        question = Question.from_arguments(keys, how, min_step, max_step)
        if tail is not None:
            check_count(tail, "tail")
        opened = self._open(question)
        return (opened if tail is None else opened.last(tail)).scan()

    def frame(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
        tail: int | None = None,
    ) -> pl.DataFrame:
        """Read the rows of all runs as a polars frame: the result of `scan`, collected."""
        found = self.scan(keys, min_step=min_step, max_step=max_step, how=how, tail=tail)
        return found.collect()

    def arrow(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
    ) -> pa.RecordBatchReader:
        """Read the rows of all runs into memory, and return them as Arrow record batches."""
        return self._open(Question.from_arguments(keys, how, min_step, max_step)).arrow()

    def pandas(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
        tail: int | None = None,
    ) -> pd.DataFrame:
        """Read the rows of all runs as a pandas frame, as `Run.pandas` does for one run."""
        found = self.frame(keys, min_step=min_step, max_step=max_step, how=how, tail=tail)
        return frame_to_pandas(found)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Query the rows of all runs with SQL, over the same views as in `Run.sql`."""
        if not isinstance(query, str):
            raise InvalidType(f"query must be SQL as text, not {query!r}.")
        check_text(query, "The SQL")
        return self._open(Question()).sql(query)

    def _open(self, question: Question) -> Reading | Stitched:
        from runlake.history.runs.stitched import stitch_readings

        return stitch_readings([run._open(question) for run in self._runs])  # noqa: SLF001

    def __repr__(self) -> str:
        paths = ", ".join("/".join(run.path) for run in self._runs)
        return line_for_screen(f"<StitchedRuns {paths}>")


def stitch(runs: Iterable[Run]) -> StitchedRuns:
    """Read runs that belong together as one history, for example a run that a crash cut in two.

    Parameters
    ----------
    runs : iterable of Run
        The runs, from the earliest to the latest. They may belong to different projects.

    Returns
    -------
    StitchedRuns
        An object with these methods of a run: ``scan_history``, ``beta_scan_history``, ``scan``,
        ``frame``, ``arrow``, ``pandas`` and ``sql``. Each step occurs once: if several runs have a
        row at a step, only the row of the last of these runs in ``runs`` is returned.

    Raises
    ------
    InvalidArgument
        If there are no runs, or an object is not a `Run`; this is checked before any request.

    Examples
    --------
    ``runlake.stitch([api.run("team/proj/first"), api.run("team/proj/second")]).frame(["loss"])``
    """
    given: object = runs
    # A string is iterable too, but its characters are no runs.
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidType(f"runs must be a list of runs, not {runs!r}.")
    found = tuple(given)
    for run in found:
        if not isinstance(run, Run):
            raise InvalidType(f"runs must be a list of runs, found {run!r}. Open it with Api.run.")
    if not found:
        raise InvalidArgument("runs must have at least one run.")
    return StitchedRuns(found)
