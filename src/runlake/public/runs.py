"""Lists of runs, filtered and ordered by the backend; their histories are read in parallel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from runlake.backend.graphql import documents
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.graphql.walk import Walk
from runlake.backend.http.client import Client
from runlake.errors import (
    BackendError,
    InvalidArgument,
    MissingExtra,
    SampleWarning,
    Unreachable,
)
from runlake.errors.screen import line_for_screen
from runlake.errors.user_line import warn
from runlake.exports.manifest import freshness_of
from runlake.history.runs.open import ListedRun, open_readings
from runlake.history.runs.samples import Sampling, sample_runs, sample_runs_as_frames
from runlake.public.lists.filters import checked_filters
from runlake.public.lists.in_project import PagesInProject
from runlake.public.lists.pages import Page, SizedPages, page_of
from runlake.public.run.page_fields import MAX_TOGETHER, PageFields, count_fitting
from runlake.public.run.run import Run
from runlake.public.sweeps import Sweep
from runlake.values import RUN_ID, STEP, Question, RunPath, check_word

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

DEFAULT_ORDER = "+created_at"
# Pages that hold only ids and times are small, so they can have more runs.
FRESHNESS_PER_PAGE = 500


class Runs(PagesInProject[Run], SizedPages[Run]):
    """The runs of a project that match a filter; returned by `Api.runs`.

    Parameters
    ----------
    client : Client
        The backend.
    entity, project : str
        The project of the runs.
    filters : mapping, optional
        In the protocol's MongoDB-like language: ``{"config.lr": {"$gt": 0.01}}``.
    order : str
        ``+`` (ascending) or ``-`` (descending) and a field.
    per_page : int
        Runs per request.
    include_sweeps : bool
        Fetch the sweep of each run with the list, once per sweep.
    lazy : bool
        List the runs without config and summary. The first access to one of them fetches both for
        the runs of the same page, up to 100 runs in one request.

    Raises
    ------
    InvalidArgument
        If an argument is wrong; no request has been made then.
    """

    _operation = "Runs"

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        filters: Mapping[str, Any] | None = None,
        order: str = DEFAULT_ORDER,
        per_page: int = 50,
        include_sweeps: bool = False,
        lazy: bool = True,
    ) -> None:
        super().__init__(client, entity, project, per_page)
        self.filters = checked_filters(filters)
        self.order = _checked_order(order)
        self._include_sweeps = include_sweeps
        self._lazy = lazy
        self._sweeps: dict[str, Sweep] = {}
        self._together: PageFields | None = None
        self._is_large = False
        self._reads_all = False
        self._n_fitting = 0

    def _key(self, one: Run) -> str:
        return one.id

    @property
    def _what(self) -> str:
        return f"the runs of '{self._place}'"

    def _fetch(self, cursor: str | None) -> Page[Run]:
        if not self._lazy:
            n_runs = max(self.per_page, self._n_fitting if self._reads_all else 0)
            edges = self._edges(documents.runs(is_light=False), cursor, n_runs)
            self._n_fitting = count_fitting([edge["node"] for edge in edges.objects])
            return edges.opened(self._open)
        edges, large = self._lazy_edges(cursor)
        page = edges.opened(self._open)
        self._together = PageFields(
            self.entity, self.project, [run.id for run in page.objects], large
        )
        for run in page.objects:
            run._load_with(self._together)  # noqa: SLF001 - the list fills its own runs
        return page

    def _lazy_edges(
        self, cursor: str | None
    ) -> tuple[Page[dict[str, Any]], dict[str, dict[str, Any]]]:
        """Return a page without its large fields, and these fields by run.

        Large fields are requested only if those of most runs of the previous page were read.
        """
        is_read = self._together is not None and self._together.is_read
        if is_read and not self._is_large and self.per_page <= MAX_TOGETHER:
            try:
                edges = self._edges(documents.runs(is_light=False), cursor, self.per_page)
            except Unreachable:
                raise
            except BackendError:
                # The page may be too large for the backend.
                self._is_large = True
            else:
                large = {edge["node"]["name"]: edge["node"] for edge in edges.objects}
                return edges.opened(_without_large), large
        return self._edges(documents.runs(is_light=True), cursor, self.per_page), {}

    def _open(self, edge: dict[str, Any]) -> Run:
        node = edge["node"]
        run = Run(self._client, self.entity, self.project, node["name"], node, lazy=self._lazy)
        if self._include_sweeps and run.sweep_name:
            run.sweep = self._sweep(run.sweep_name)
        return run

    def _edges(self, document: str, cursor: str | None, per_page: int) -> Page[dict[str, Any]]:
        project = self._ask(
            document,
            cursor,
            filters=json.dumps(self.filters),
            order=self.order,
            perPage=per_page,
            # The count of all runs is requested with the first page only.
            isFirst=cursor is None,
        )
        with answer_to(self._client, self._operation, self._what):
            total = project.get("runCount")
            if total is None and self._last is not None:
                total = self._last.total
            page = page_of(project.get("runs"), total)
            if not all(isinstance(edge["node"]["name"], str) for edge in page.objects):
                raise TypeError("a run without a name")
        return page

    def _pages(self, document: str, per_page: int) -> Iterator[dict[str, Any]]:
        """Request the runs' fields again, and yield them page by page; the list stays unchanged."""
        walk = Walk(self._client, self._what)
        cursor, has_next = None, True
        seen: set[str] = set()
        while has_next:
            walk.check()
            page = self._edges(document, cursor, per_page)
            n_known = len(seen)
            nodes = [edge["node"] for edge in page.objects]
            seen.update(node["name"] for node in nodes)
            yield from nodes
            cursor, has_next = page.cursor, page.has_next
            walk.note(cursor, len(seen) - n_known, has_next=has_next)

    def _sweep(self, name: str) -> Sweep:
        if name not in self._sweeps:
            self._sweeps[name] = Sweep(self._client, self.entity, self.project, name)
        return self._sweeps[name]

    def upgrade_to_full(self) -> None:
        """Load config and summary of all runs of a lazy list, one request per page."""
        if not self._lazy:
            return
        lazy = {run.id: run for run in self.objects if run.is_lazy}
        if lazy:
            for node in self._pages(documents.runs(is_light=False), self.per_page):
                found = lazy.pop(node["name"], None)
                if found is not None:
                    found._take_full_data(node)  # noqa: SLF001 - the list fills its own runs
                if not lazy:
                    break
        for run in lazy.values():
            # The run no longer matches the filter, so the pages do not have it any more.
            run.load_full_data()
        self._lazy = False

    @overload
    def histories(
        self,
        samples: int | None = ...,
        keys: list[str] | None = ...,
        x_axis: str | None = ...,
        format: Literal["default"] = ...,
        stream: str = ...,
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
    ) -> pl.DataFrame: ...
    @overload
    def histories(
        self,
        samples: int | None = ...,
        keys: list[str] | None = ...,
        x_axis: str | None = ...,
        format: str = ...,
        stream: str = ...,
    ) -> list[dict[str, Any]] | pd.DataFrame | pl.DataFrame: ...
    def histories(
        self,
        samples: int | None = 500,
        keys: list[str] | None = None,
        x_axis: str | None = STEP,
        format: str = "default",  # noqa: A002 - W&B's name
        stream: str = "default",
    ) -> list[dict[str, Any]] | pd.DataFrame | pl.DataFrame:
        """Return a sample of the history of every run, read in parallel from the cache.

        A run without live rows that has not changed since its exports were downloaded costs no
        request; a run that was resumed or has live rows costs one request and its live pages.

        Parameters
        ----------
        samples : int or None
            Maximum number of rows per run; None means 500.
        keys : list of str, optional
            Return only these keys, and only rows that have all of them and the x axis. If omitted,
            every row and key is returned.
        x_axis : str or None
            An additional key that a row must have; None means ``_step``.
        format : {"default", "pandas", "polars"}
            "default" is a list of dicts; frames have their columns in alphabetical order.
        stream : {"default", "system", "events", "systemMetrics"}
            "system" and its two synonyms return the backend's sample of the system metrics.

        Returns
        -------
        list of dict, pandas.DataFrame or polars.DataFrame
            The rows of `Run.history`, run by run, with ``run_id``. A `SampleWarning` is issued if
            rows were left out.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; no request has been made then.
        MissingExtra
            If ``format`` is "pandas" and pandas is not installed.
        """
        check_word(format, "format", ("default", "pandas", "polars"))
        sampling = Sampling.from_arguments(samples, keys, x_axis, stream)
        if format == "polars":
            return self._polars_histories(sampling)
        rows = self._row_histories(sampling)
        if format == "default":
            return rows
        pandas = _import_pandas()
        frame = pandas.DataFrame.from_records(rows)
        return frame[sorted(frame.columns)]

    def scan(
        self,
        keys: list[str] | None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
    ) -> pl.LazyFrame:
        """Read the histories of all runs as one lazy frame; live rows are fetched at once.

        A run without live rows that has not changed since its exports were downloaded costs no
        request; a run that was resumed or has live rows costs one request and its live pages.

        Parameters
        ----------
        keys : list of str or None
            Return only these keys, and only rows that have all of them. None means every row and
            key.
        min_step, max_step : int or None
            First step, inclusive, and the step to stop before, exclusive; None means no limit.
        how : {"all", "any"}
            "any" returns rows that have at least one of the keys.

        Returns
        -------
        polars.LazyFrame
            ``run_id``, ``_step``, then one column per key; run by run in the order of the list,
            ascending by step. Predicates and projections are pushed down to the cached files.

        Raises
        ------
        InvalidArgument
            If an argument is wrong (then no request has been made), or if ``keys`` is None and a
            run logged a key ``run_id``.
        ExportError, CacheError
            If the exports of a run cannot be downloaded.

        Notes
        -----
        Each key has one type for all runs. If its values have no common type, they become JSON
        text, and a `MixedTypesWarning` names the key. A `NoRowsWarning` names keys that no run has.
        """
        question = Question.from_arguments(keys, how, min_step, max_step)
        if RUN_ID in (question.keys or ()):
            raise InvalidArgument(f"keys must not name {RUN_ID!r}: that column names the run.")
        from runlake.history.runs.scan import scan_readings

        listed = self._listed()
        readings = open_readings(self._client, listed, question)
        return scan_readings(self._client, readings, self._place, question.projection)

    def _row_histories(self, sampling: Sampling) -> list[dict[str, Any]]:
        listed = self._listed()
        found = sample_runs(self._client, listed, sampling)
        self._warn_of_samples([(len(one.rows), one.n_rows) for one in found])
        return [
            {**row, RUN_ID: run.path.run_id}
            for run, one in zip(listed, found, strict=True)
            for row in one.rows
        ]

    def _polars_histories(self, sampling: Sampling) -> pl.DataFrame:
        import polars as pl

        from runlake.history.frames.json_columns import stack

        listed = self._listed()
        found = sample_runs_as_frames(self._client, listed, sampling)
        self._warn_of_samples([(frame.height, n_rows) for frame, n_rows in found])
        frames = [frame for frame, _ in found if not frame.is_empty()]
        if not frames:
            return pl.DataFrame()
        stacked = stack(frames)
        ids = pl.DataFrame(
            {
                RUN_ID: [run.path.run_id for run in listed],
                "n_rows": [frame.height for frame, _ in found],
            }
        )
        stacked = stacked.with_columns(
            ids.select(pl.col(RUN_ID).repeat_by("n_rows").explode()).to_series().drop_nulls()
        )
        return stacked[sorted(stacked.columns)]

    def _listed(self) -> list[ListedRun]:
        """Return the runs with their present states, heartbeats and numbers of logged lines."""
        if self._last is None:
            self._reach(None)
            facts = {run.id: run.load() for run in self.objects}
        else:
            # Runs may have changed since they were listed, and a listed run never updates itself.
            per_page = max(self.per_page, FRESHNESS_PER_PAGE)
            nodes = self._pages(documents.runs_freshness(), per_page)
            facts = {node["name"]: node for node in nodes}
        listed = []
        for run in self:
            now = facts.get(run.id)
            listed.append(
                ListedRun(
                    RunPath(run.entity, run.project, run.id),
                    freshness_of(
                        now.get("state"), now.get("heartbeatAt"), now.get("historyLineCount")
                    )
                    if now
                    else None,
                )
            )
        return listed

    def _warn_of_samples(self, counts: Sequence[tuple[int, int]]) -> None:
        partial = [pair for pair in counts if pair[0] < pair[1]]
        if partial:
            kept, total = (sum(column) for column in zip(*counts, strict=True))
            warn(
                f"Samples of {len(partial):,} of {len(counts):,} runs of "
                f"'{self._place}': {kept:,} of {total:,} rows; "
                f"samples={max(n_rows for _, n_rows in counts)} gives all.",
                SampleWarning,
            )

    def frame(self) -> pl.DataFrame:
        """Return the fields, config and summary of the runs as a frame, one row per run.

        Returns
        -------
        polars.DataFrame
            In the order of the list: ``id``, ``name``, ``state``, ``tags`` (list), ``group``,
            ``job_type``, ``user``, ``sweep``, ``notes``, ``created_at`` and ``heartbeat_at``
            (UTC), ``history_line_count``, and ``config`` and ``summary`` as structs with the keys
            of all runs. A key whose values have no common type is JSON text.

        Notes
        -----
        No history is read. Config and summary are loaded into the runs. For runs that a lazy list
        has fetched already, this is one request per page. The other runs are fetched together with
        these fields, in pages of up to 1,000 runs; the first page shows how many runs a page can
        have.
        """
        from runlake.history.runs.run_table import run_table

        self.upgrade_to_full()
        with self._guard:
            self._reads_all = True
            try:
                self._reach(None)
            finally:
                self._reads_all = False
        return run_table([{**run.load(), "config": run.config} for run in self.objects])

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_together": None}

    def __repr__(self) -> str:
        return line_for_screen(f"<Runs {self._place}>")


def _without_large(edge: dict[str, Any]) -> dict[str, Any]:
    node = edge["node"]
    kept = {name: node[name] for name in node if name not in documents.RUN_LARGE_FIELDS}
    return {**edge, "node": kept}


def _checked_order(order: object) -> str:
    if order is not None and not isinstance(order, str):
        raise InvalidArgument(f"order must be a string such as '-created_at', not {order!r}.")
    return order or DEFAULT_ORDER


def _import_pandas() -> Any:
    try:
        import pandas as pd
    except ImportError:
        raise MissingExtra(
            "format='pandas' needs pandas. Install it with 'pip install runlake[pandas]', or use "
            "another format.",
            extra="pandas",
        ) from None
    return pd
