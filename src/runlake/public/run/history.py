"""The readers of a run's history: rows, samples, frames and SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from runlake.errors import InvalidType, SampleWarning
from runlake.errors.user_line import warn
from runlake.exports.manifest import Manifest
from runlake.history.follow import follow_run
from runlake.history.plan.plan import Plan
from runlake.history.reader import Reading, open_reading
from runlake.history.runs.samples import Sampling
from runlake.history.sample.by_server import fetch_sampled_rows, fetch_system_rows
from runlake.history.sample.sample import Sample
from runlake.public.pandas_frame import as_pandas, frame_to_pandas
from runlake.public.run.fields import RunFields
from runlake.public.run.history_scan import HistoryScan
from runlake.values import (
    STEP,
    Question,
    Row,
    check_count,
    check_seconds,
    check_text,
    check_word,
)

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa


class RunHistory(RunFields):
    """What reads the history of a run."""

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
        check_count(page_size, "page_size")
        question = Question.from_arguments(keys, how, min_step, max_step)
        reading = self._open(question, use_cache=use_cache, as_rows=True)
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

    def history(
        self,
        samples: int | None = 500,
        keys: list[str] | None = None,
        x_axis: str | None = STEP,
        pandas: bool = True,
        stream: str = "default",
        *,
        sample: str = "shape",
    ) -> pd.DataFrame | list[dict[str, Any]]:
        """Return a sample of the history.

        Parameters
        ----------
        samples : int or None
            Rows at most; 500 for None, as the backend takes it.
        keys : list of str, optional
            Only rows that have all of them and the x axis come out, with just those; every row and
            key if omitted.
        x_axis : str or None
            Stands first in rows of chosen keys; ``_step`` for None.
        pandas : bool
            Return a pandas frame; without pandas there is a warning and a list.
        stream : {"default", "system", "events", "systemMetrics"}
            "system" and its two other names give what the machine did, as the backend samples it.
        sample : {"shape", "server"}
            "shape" reads the cached exports and the live rows, and keeps the points that show the
            shape of each key, a sparse key's own among them. "server" lets the backend choose.

        Returns
        -------
        pandas.DataFrame or list of dict
            Ascending by ``_step``; the same at every call. A `SampleWarning` says when rows were
            left out.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; no request has been made then.
        """
        found = self._sampled(samples, keys, x_axis, stream, sample)
        if found.is_partial:
            warn(
                f"A sample of '{self._path}': {len(found.rows):,} of {found.n_rows:,} rows; "
                "run.frame() gives all.",
                SampleWarning,
            )
        return as_pandas(found.rows) if pandas else found.rows

    def _sampled(
        self,
        samples: int | None,
        keys: list[str] | None,
        x_axis: str | None,
        stream: str,
        sample: str,
    ) -> Sample:
        asked = Sampling.from_arguments(samples, keys, x_axis, stream)
        check_word(sample, "sample", ("shape", "server"))
        if asked.is_system:
            rows = fetch_system_rows(self._client, self._path, asked.n_rows)
            return Sample(rows, len(rows))
        if sample == "server":
            rows = fetch_sampled_rows(self._client, self._path, asked.keys, asked.n_rows)
            return Sample(rows, len(rows))
        return self._open(asked.question).sample(asked.n_rows, asked.keys)

    def scan(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
        tail: int | None = None,
    ) -> pl.LazyFrame:
        """Read the history as a lazy frame; live rows are fetched at the call.

        Parameters
        ----------
        keys, min_step, max_step, how
            As for `beta_scan_history`.
        tail : int, optional
            Only the last so many of the rows that the other arguments leave.

        Returns
        -------
        polars.LazyFrame
            ``_step`` (Int64, ascending, unique), then one column per key in the order asked for.
            Conditions and choices of columns reach down into the cached files.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; no request has been made then.
        RunNotFoundError, ExportError, CacheError
            If the exports cannot be brought to disk.

        Notes
        -----
        Integers and floats of one key unify to floats. Cells that fit no type together are JSON
        text, and a `MixedTypesWarning` names their keys.
        """
        return self._reading(keys, min_step, max_step, how, tail).scan()

    def frame(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
        tail: int | None = None,
    ) -> pl.DataFrame:
        """Read the history as a frame: `scan`, collected."""
        return self._reading(keys, min_step, max_step, how, tail).frame()

    def arrow(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
        tail: int | None = None,
    ) -> pa.RecordBatchReader:
        """Read the history as a stream of Arrow record batches, in bounded memory.

        Parameters
        ----------
        keys, min_step, max_step, how, tail
            As for `scan`.

        Returns
        -------
        pyarrow.RecordBatchReader
            The columns of `scan`. It can be read once; polars, pandas and DuckDB take it as it is.
        """
        return self._reading(keys, min_step, max_step, how, tail).arrow()

    def pandas(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
        tail: int | None = None,
    ) -> pd.DataFrame:
        """Read the history as a pandas frame.

        Parameters
        ----------
        keys, min_step, max_step, how, tail
            As for `scan`.

        Returns
        -------
        pandas.DataFrame
            The columns of `scan`; NaN, or None, where a row lacks a key.

        Raises
        ------
        MissingExtra
            If pandas is not installed.
        """
        return frame_to_pandas(self._reading(keys, min_step, max_step, how, tail).frame())

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Query the history with SQL.

        Parameters
        ----------
        query : str
            DuckDB's dialect over the view ``history``: ``SELECT max(acc) FROM history``, and the
            view ``system`` of what the machine did. A key with a slash or a dot stands in double
            quotes: ``"val/loss"``.

        Returns
        -------
        duckdb.DuckDBPyRelation
            Not run yet: ``.pl()``, ``.df()``, ``.fetchall()``, ``.show()``. Rows come in no order
            unless the query gives one.

        Raises
        ------
        InvalidArgument
            If the query is wrong or selects nothing, or names a key of which there are two that
            differ by case only: such keys are named ``"Loss (1)"`` and ``"loss (2)"``.
        CacheCorrupt
            If an export cannot be decoded, fetched again or not.

        Notes
        -----
        Exports of which the storage host promised no digest are decoded once, before the relation
        is returned. A query that fails on a value raises DuckDB's own error when it is run.
        """
        if not isinstance(query, str):
            raise InvalidType(f"query must be SQL as text, not {query!r}.")
        check_text(query, "The SQL")
        return self._open(Question()).sql(query)

    def follow(
        self,
        keys: list[str] | None = None,
        *,
        poll: float = 5.0,
        min_step: int | None = None,
        how: str = "all",
    ) -> Iterator[Row]:
        """Yield the rows of the run as they come, from those that are there until it is over.

        Parameters
        ----------
        keys, how
            As for `beta_scan_history`.
        poll : float
            Seconds between two looks; one without news costs one request.
        min_step : int, optional
            First step, inclusive; the first of the run if omitted.

        Yields
        ------
        dict
            The rows of `beta_scan_history`, ascending by ``_step``, each step once: as it was when
            it was first seen, whether it is live or exported by then. Where the run is rewound,
            the rows behind the step to which it was come again, as they are logged again.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; no request has been made then.
        RunNotFoundError, BackendError, ExportError, CacheError
            If the first look fails, or a later one for good. A backend that does not answer later
            on is waited for.

        Notes
        -----
        A run is over when the backend says that it neither runs nor is pending nor preempting. A
        run that is resumed after that is followed on with the next step as ``min_step``. That a run
        was rewound is seen if it is shorter than before at two looks in a row. Each look notes the
        state of the run, when it was last heard of and how many lines it has; what else this object
        knows, such as the summary, is as it was until ``run.load(force=True)``.
        """
        check_seconds(poll, "poll")
        question = Question.from_arguments(keys, how, min_step)
        return follow_run(self._client, self._path, question, poll, self._note_moment)

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
        return self._open(Question.from_arguments(keys, how, min_step, max_step)).explain()

    def _note_moment(self, manifest: Manifest) -> None:
        moment = {
            "state": manifest.state,
            "heartbeatAt": manifest.heartbeat_at,
            "historyLineCount": manifest.line_count,
        }
        known = self._attrs
        known.update({k: v for k, v in moment.items() if k in known and v is not None})

    def _reading(
        self,
        keys: list[str] | None,
        min_step: int | None,
        max_step: int | None,
        how: str,
        tail: int | None,
    ) -> Reading:
        """Open a reading for the arguments that all outputs take."""
        question = Question.from_arguments(keys, how, min_step, max_step)
        if tail is not None:
            check_count(tail, "tail")
        reading = self._open(question)
        return reading if tail is None else reading.last(tail)

    def _open(
        self, question: Question, *, use_cache: bool = True, as_rows: bool = False
    ) -> Reading:
        return open_reading(
            self._client,
            self._path,
            question,
            use_cache=use_cache,
            attrs=self._sent,
            as_rows=as_rows,
        )

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("A run is not iterable; use run.beta_scan_history().")
