"""A run, under W&B's names."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.backend.client import Client
from runlake.backend.graphql import fetch_history_keys, fetch_run
from runlake.cache.pull import PullResult, pull_run
from runlake.errors import ProtocolError
from runlake.exports.progress import Progress
from runlake.history.plan import Plan
from runlake.history.reader import Reading, open_reading
from runlake.public.exports import DownloadHistoryResult, download_history_exports
from runlake.public.history import HistoryScan
from runlake.values import Projection, RunPath, StepRange, check_page_size

if TYPE_CHECKING:
    import duckdb
    import polars as pl

INTERNAL_CONFIG = {"_wandb", "wandb_version"}


class Run:
    """One training job of a project; made by `Api.run`.

    Parameters
    ----------
    client : Client
        The backend.
    path : RunPath
        The run.
    """

    def __init__(self, client: Client, path: RunPath) -> None:
        self._client = client
        self._path = path
        self._attrs: dict[str, Any] = {}

    def load(self, force: bool = False) -> dict[str, Any]:
        """Load the run's fields, unless they are there; one request.

        Parameters
        ----------
        force : bool
            Ask again.

        Returns
        -------
        dict
            The fields as the backend names them, ``config`` and ``summaryMetrics`` decoded.

        Raises
        ------
        RunNotFoundError
            If there is no such run.
        """
        if force or not self._attrs:
            attrs = fetch_run(self._client, self._path)
            for name in ("config", "summaryMetrics", "systemMetrics"):
                attrs[name] = self._decoded(name, attrs.get(name))
            self._attrs = attrs
        return self._attrs

    @property
    def entity(self) -> str:
        """The user or team that owns the run."""
        return self._path.entity

    @property
    def project(self) -> str:
        """The project of the run."""
        return self._path.project

    @property
    def id(self) -> str:
        """The short id of the run, unique in its project."""
        return str(self.load().get("name") or self._path.run_id)

    @property
    def storage_id(self) -> str:
        """The backend's own id of the run."""
        return str(self.load()["id"])

    @property
    def name(self) -> str | None:
        """The display name, as people gave it."""
        return self.load().get("displayName")

    @property
    def state(self) -> str | None:
        """``running``, ``finished``, ``failed``, ``crashed``, ... when the run was loaded."""
        return self.load().get("state")

    @property
    def path(self) -> list[str]:
        """Entity, project and run id, percent-encoded."""
        return self._path.quoted

    @property
    def url(self) -> str:
        """The page of the run."""
        entity, project, run_id = self._path.quoted
        return f"{self._client.settings.app_url}/{entity}/{project}/runs/{run_id}"

    @property
    def config(self) -> dict[str, Any]:
        """The config that the run was started with, without W&B's own entries."""
        return {k: v for k, v in self.rawconfig.items() if k not in INTERNAL_CONFIG}

    @property
    def rawconfig(self) -> dict[str, Any]:
        """The config with W&B's own entries."""
        config: Mapping[str, Any] = self.load()["config"]
        return {
            key: entry["value"] if isinstance(entry, dict) and "value" in entry else entry
            for key, entry in config.items()
        }

    @property
    def summary(self) -> dict[str, Any]:
        """The last value of each key, or what ``define_metric`` asked for."""
        return dict(self.load()["summaryMetrics"])

    @property
    def lastHistoryStep(self) -> int:  # noqa: N802 - W&B's name
        """The highest step of the run, -1 without history; each access is one request."""
        last = fetch_history_keys(self._client, self._path).get("lastStep")
        return -1 if last is None else int(last)

    def beta_scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = 0,
        max_step: int | None = None,
        use_cache: bool = True,
        *,
        how: str = "all",
    ) -> HistoryScan:
        """Scan the rows of the history, from the cache where they are exported.

        Parameters
        ----------
        keys : list of str, optional
            Keys to read. Only rows that have all of them come out; every row and key if omitted.
        page_size : int
            A hint: rows in the first batch at most.
        min_step, max_step : int or None
            First step, inclusive, and the step to stop before, exclusive; None means open.
        use_cache : bool
            False downloads the exports again.
        how : {"all", "any"}
            "any" keeps rows that have at least one of the keys.

        Returns
        -------
        HistoryScan
            Iterable of dicts, ascending by ``_step``, one per step; a key that was not logged at a
            step is absent.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; no request has been made then.
        RunNotFoundError, ExportError, CacheError
            If the exports cannot be brought to disk.

        Notes
        -----
        Exports and live rows follow the W&B protocol's ``parquetHistory``; the vendor's reader
        does not filter exported rows by key, although its documentation promises it.
        """
        check_page_size(page_size)
        projection = Projection.from_arguments(keys, how)
        steps = StepRange.from_arguments(min_step, max_step)
        reading = open_reading(self._client, self._path, projection, steps, use_cache=use_cache)
        return HistoryScan(reading, page_size)

    def scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = None,
        max_step: int | None = None,
        use_cache: bool = True,
        *,
        how: str = "all",
    ) -> HistoryScan:
        """Scan the rows of the history; the same as `beta_scan_history`."""
        return self.beta_scan_history(keys, page_size, min_step, max_step, use_cache, how=how)

    def scan(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
    ) -> pl.LazyFrame:
        """Read the history as a lazy frame; live rows are fetched at the call.

        Parameters
        ----------
        keys, min_step, max_step, how
            As for `beta_scan_history`.

        Returns
        -------
        polars.LazyFrame
            ``_step`` (Int64, ascending, unique), then one column per key in the order asked for.
        """
        return self._reading(keys, min_step, max_step, how).scan()

    def frame(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
    ) -> pl.DataFrame:
        """Read the history as a frame: `scan`, collected."""
        return self._reading(keys, min_step, max_step, how).frame()

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Query the history with SQL.

        Parameters
        ----------
        query : str
            DuckDB's dialect over the view ``history``: ``SELECT max(acc) FROM history``. A key
            with a slash stands in double quotes: ``"val/loss"``.

        Returns
        -------
        duckdb.DuckDBPyRelation
            Not run yet: ``.pl()``, ``.df()``, ``.fetchall()``, ``.show()``.

        Raises
        ------
        InvalidArgument
            If the query is wrong.
        """
        from runlake.history.sql import query_frame

        return query_frame(self.scan(), query)

    def explain(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
    ) -> Plan:
        """Return what a scan with these arguments reads: files, row groups, live requests.

        Parameters
        ----------
        keys, min_step, max_step, how
            As for `beta_scan_history`.

        Returns
        -------
        Plan
            Prints as text.
        """
        return self._reading(keys, min_step, max_step, how).plan

    def pull(self, *, use_cache: bool = True, progress: Progress | None = None) -> PullResult:
        """Bring the exports of the run to the cache.

        Parameters
        ----------
        use_cache : bool
            False downloads all of them again.
        progress : Progress, optional
            Watches the downloads.

        Returns
        -------
        PullResult
            Counts of exports, files, bytes and rows, and the directory.
        """
        return pull_run(self._client, self._path, use_cache=use_cache, progress=progress)

    def download_history_exports(
        self, download_dir: Path | str, require_complete_history: bool = True
    ) -> DownloadHistoryResult:
        """Copy the history exports of the run to a directory.

        Parameters
        ----------
        download_dir : path
            Made if it is not there; files of the same names are replaced.
        require_complete_history : bool
            Refuse a run that has rows in no export yet.

        Returns
        -------
        DownloadHistoryResult
            The files, ordered by first step.

        Raises
        ------
        IncompleteRunHistoryError
            If rows are missing from the exports and the call does not allow that.
        WandbApiFailedError
            If the download fails for another reason.
        """
        return download_history_exports(
            self._client,
            self._path,
            Path(download_dir),
            require_complete_history=require_complete_history,
        )

    def _reading(
        self, keys: list[str] | None, min_step: int | None, max_step: int | None, how: str
    ) -> Reading:
        projection = Projection.from_arguments(keys, how)
        steps = StepRange.from_arguments(min_step, max_step)
        return open_reading(self._client, self._path, projection, steps)

    def _decoded(self, name: str, value: object) -> dict[str, Any]:
        try:
            decoded = json.loads(value, strict=False) if isinstance(value, (str, bytes)) else value
        except ValueError:
            decoded = value
        if decoded is None:
            return {}
        if isinstance(decoded, dict):
            return decoded
        if name == "config":
            return {}
        raise ProtocolError(
            f"The backend's {name} of '{self._path}' is no JSON object.",
            operation="Run",
            origin=self._client.origin,
        )

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("A run is not iterable; use run.beta_scan_history().")

    def __repr__(self) -> str:
        return f"<Run {'/'.join(self._path.quoted)} ({self._attrs.get('state', 'not loaded')})>"
