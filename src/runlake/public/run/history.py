"""Methods of a run that read its history: rows, samples, frames, Arrow and SQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, overload

from runlake.errors import InvalidType, SampleWarning
from runlake.errors.user_line import warn
from runlake.exports.manifest import Manifest
from runlake.history.plan.plan import Plan
from runlake.history.reader import Reading, open_reading
from runlake.history.sample.sample import Sample
from runlake.public.pandas_frame import as_pandas, frame_to_pandas
from runlake.public.progress import progress_of
from runlake.public.run.fields import RunFields
from runlake.public.run.history_scan import HistoryScan
from runlake.values import (
    STEP,
    Question,
    Row,
    check_count,
    check_flag,
    check_seconds,
    check_text,
    check_word,
)
from runlake.values.counted import counted

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from runlake.history.runs.stitched import Stitched


class RunHistory(RunFields):
    """Methods of a run that read its history."""

    def beta_scan_history(
        self,
        keys: list[str] | None = None,
        page_size: int = 1000,
        min_step: int | None = 0,
        max_step: int | None = None,
        use_cache: bool = True,
        *,
        how: str = "all",
        lineage: bool = False,
    ) -> HistoryScan:
        """Scan all rows of the history: exported rows from the cache, live rows from the backend.

        Parameters
        ----------
        keys : list of str, optional
            Keys to read. Only rows that have all of these keys are returned. If omitted, every row
            and key is returned.
        page_size : int
            Maximum number of rows in the first batch. This is only a hint: later batches may be
            larger.
        min_step, max_step : int or None
            First step, inclusive, and the step to stop before, exclusive; None means no limit.
        use_cache : bool
            False downloads the exports again.
        how : {"all", "any"}
            "any" returns rows that have at least one of the keys.
        lineage : bool
            If the run was forked, begin with the rows of the runs from which it was forked, up to
            the branch points; see `forked_from`. Each step is returned once, even if the backend
            has copied these rows into the run.

        Returns
        -------
        HistoryScan
            Iterable of dicts, ascending by ``_step``, one per step; a key that was not logged at a
            step is absent.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request.
        RunNotFoundError, ExportError, CacheError
            If the exports cannot be downloaded.

        Notes
        -----
        Exports and live rows are those of the W&B protocol's ``parquetHistory``. The SDK's
        documentation promises that exported rows are filtered by key. This method filters them; the
        SDK's reader does not.
        """
        check_count(page_size, "page_size")
        question = Question.from_arguments(keys, how, min_step, max_step)
        reading = self._curve(question, lineage=lineage, use_cache=use_cache, as_rows=True)
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
        lineage: bool = False,
    ) -> HistoryScan:
        """Scan all rows of the history. This is an alias of `beta_scan_history`."""
        return self.beta_scan_history(
            keys, page_size, min_step, max_step, use_cache, how=how, lineage=lineage
        )

    @overload
    def history(
        self,
        samples: int | None = ...,
        keys: list[str] | None = ...,
        x_axis: str | None = ...,
        *,
        pandas: Literal[False],
        stream: str = ...,
        sample: str = ...,
    ) -> list[dict[str, Any]]: ...
    @overload
    def history(
        self,
        samples: int | None,
        keys: list[str] | None,
        x_axis: str | None,
        pandas: Literal[False],
        stream: str = ...,
        *,
        sample: str = ...,
    ) -> list[dict[str, Any]]: ...
    @overload
    def history(
        self,
        samples: int | None = ...,
        keys: list[str] | None = ...,
        x_axis: str | None = ...,
        pandas: bool = ...,
        stream: str = ...,
        *,
        sample: str = ...,
    ) -> pd.DataFrame | list[dict[str, Any]]: ...
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
        """Return a sample of the history: a few rows that show the shape of each key's curve.

        Parameters
        ----------
        samples : int or None
            Maximum number of rows; None means 500, as in the backend.
        keys : list of str, optional
            Keys to return. Only rows that have all of these keys and the x axis are returned. If
            omitted, the sample is chosen from all rows, and has all keys of the chosen rows.
        x_axis : str or None
            An additional key that a row must have. It is the first key in each row. None means
            ``_step``. Ignored if ``keys`` is omitted.
        pandas : bool
            Return a pandas frame; if pandas is not installed, warn and return a list.
        stream : {"default", "system", "events", "systemMetrics"}
            "system" and its two synonyms return the backend's sample of the system metrics.
        sample : {"shape", "server"}
            "shape" reads the cached exports and the live rows, and returns the points that show the
            shape of each key's curve, also for sparse keys. "server" returns the backend's own
            sample.

        Returns
        -------
        pandas.DataFrame or list of dict
            The rows of a history are ascending by ``_step``. With "shape", every call chooses the
            same rows of an unchanged run, and a `SampleWarning` is issued if rows were left out.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request.
        """
        found = self._sampled(samples, keys, x_axis, stream, sample)
        if found.is_partial:
            warn(
                f"A sample of '{self._path}': {len(found.rows):,} of "
                f"{counted(found.n_rows, 'row')}; run.frame() returns all.",
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
        from runlake.history.runs.samples import Sampling
        from runlake.history.sample.by_server import fetch_sampled_rows, fetch_system_rows

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
        lineage: bool = False,
    ) -> pl.LazyFrame:
        """Read the history as a lazy frame; live rows are fetched before the call returns.

        Parameters
        ----------
        keys, min_step, max_step, how, lineage
            As for `beta_scan_history`.
        tail : int, optional
            Return only the last ``tail`` rows of the rows that the other arguments select.

        Returns
        -------
        polars.LazyFrame
            ``_step`` (Int64, ascending, unique), then one column per key in the order of ``keys``.
            Predicates and projections are pushed down to the cached files.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request.
        RunNotFoundError, ExportError, CacheError
            If the exports cannot be downloaded.

        Notes
        -----
        A key with integers and floats is a column of floats. A key whose values have no common
        type is JSON text, and a `MixedTypesWarning` names it.
        """
        return self._reading(keys, min_step, max_step, how, tail, lineage=lineage).scan()

    def frame(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
        tail: int | None = None,
        lineage: bool = False,
    ) -> pl.DataFrame:
        """Read the history as a polars frame: the result of `scan`, collected."""
        return self._reading(keys, min_step, max_step, how, tail, lineage=lineage).frame()

    def arrow(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
        tail: int | None = None,
        lineage: bool = False,
    ) -> pa.RecordBatchReader:
        """Read the history as a stream of Arrow record batches, a few batches at a time in memory.

        Parameters
        ----------
        keys, min_step, max_step, how, tail, lineage
            As for `scan`.

        Returns
        -------
        pyarrow.RecordBatchReader
            A stream with the columns of `scan`, which can be read once. polars, pandas and DuckDB
            accept it directly. If ``lineage`` adds rows of other runs, all rows are in memory.
        """
        return self._reading(keys, min_step, max_step, how, tail, lineage=lineage).arrow()

    def pandas(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
        tail: int | None = None,
        lineage: bool = False,
    ) -> pd.DataFrame:
        """Read the history as a pandas frame.

        Parameters
        ----------
        keys, min_step, max_step, how, tail, lineage
            As for `scan`.

        Returns
        -------
        pandas.DataFrame
            The columns of `scan`; a cell is NaN or None if its row does not have the key.

        Raises
        ------
        MissingExtra
            If pandas is not installed.
        """
        reading = self._reading(keys, min_step, max_step, how, tail, lineage=lineage)
        return frame_to_pandas(reading.frame())

    def sql(self, query: str, *, lineage: bool = False) -> duckdb.DuckDBPyRelation:
        """Query the history with SQL.

        Parameters
        ----------
        query : str
            SQL in DuckDB's dialect: ``SELECT max(acc) FROM history``. There are two views:
            ``history``, and ``system`` with the system metrics. A key with a slash or a dot needs
            double quotes: ``"val/loss"``.
        lineage : bool
            As for `beta_scan_history`. If True, ``system`` has the system metrics of this run and
            of the runs from which it was forked.

        Returns
        -------
        duckdb.DuckDBPyRelation
            The query, which has not run yet; ``.pl()``, ``.df()``, ``.fetchall()`` and ``.show()``
            run it. The order of rows is undefined unless the query has an ORDER BY.

        Raises
        ------
        InvalidArgument
            If the query is invalid or returns no result set, or names a key that differs from
            another key only by case. Write ``"Loss (1)"`` and ``"loss (2)"`` for such keys.
        CacheCorrupt
            If an export cannot be decoded, even after a second download.

        Notes
        -----
        Exports without a digest from the storage host are decoded once, to verify them, before the
        relation is returned. If the query fails on a value while it runs, DuckDB's own error is
        raised.
        """
        if not isinstance(query, str):
            raise InvalidType(f"query must be SQL as text, not {query!r}.")
        check_text(query, "The SQL")
        return self._curve(Question(), lineage=lineage).sql(query)

    def follow(
        self,
        keys: list[str] | None = None,
        *,
        poll: float = 5.0,
        min_step: int | None = None,
        how: str = "all",
    ) -> Iterator[Row]:
        """Yield the rows of the run: the existing rows, then new rows until the run ends.

        Parameters
        ----------
        keys, how
            As for `beta_scan_history`.
        poll : float
            Seconds between two polls; a poll that finds nothing new costs one request.
        min_step : int, optional
            First step, inclusive; the run's first step if omitted.

        Yields
        ------
        dict
            The rows of `beta_scan_history`, ascending by ``_step``, each step once. A row has the
            values that it had when a poll first found it, as a live row or in an export. If the run
            is rewound to a step and continues from there, the new rows after that step are yielded
            too.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request.
        RunNotFoundError, BackendError, ExportError, CacheError
            If the first poll fails, or a later poll fails permanently. If the backend stops
            answering after the first poll, the iterator waits and tries again.

        Notes
        -----
        The iterator ends when the run's state is no longer running, pending or preempting. To
        follow a run that is resumed later, call this method again with the next step as
        ``min_step``. The run counts as rewound if two consecutive polls find it shorter than
        before. Each poll updates ``state``, ``heartbeat_at`` and ``history_line_count`` of this
        object; other fields, such as the summary, change only with ``run.load(force=True)``.
        """
        check_seconds(poll, "poll")
        question = Question.from_arguments(keys, how, min_step)
        from runlake.history.follow import follow_run

        # This method is no generator, so that a wrong argument is an error at the call.
        return follow_run(self._client, self._path, question, poll, self._note_moment)

    def explain(
        self,
        keys: list[str] | None = None,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        how: str = "all",
    ) -> Plan:
        """Return the plan of a scan: the files, row groups and live rows that it would read.

        Parameters
        ----------
        keys, min_step, max_step, how
            As for `beta_scan_history`.

        Returns
        -------
        Plan
            The plan; ``str()`` returns a readable description.
        """
        return self._open(Question.from_arguments(keys, how, min_step, max_step)).explain()

    def _note_moment(self, manifest: Manifest) -> None:
        moment = {
            "state": manifest.state,
            "heartbeatAt": manifest.heartbeat_at,
            "historyLineCount": manifest.line_count,
        }
        known = self._attrs
        # A field that the backend did not send stays absent, so that an access explains why.
        known.update({k: v for k, v in moment.items() if k in known and v is not None})

    def _reading(
        self,
        keys: list[str] | None,
        min_step: int | None,
        max_step: int | None,
        how: str,
        tail: int | None,
        *,
        lineage: bool,
    ) -> Reading | Stitched:
        """Open the history with the arguments that `scan`, `frame`, `arrow` and `pandas` share."""
        question = Question.from_arguments(keys, how, min_step, max_step)
        if tail is not None:
            check_count(tail, "tail")
        reading = self._curve(question, lineage=lineage)
        return reading if tail is None else reading.last(tail)

    def _curve(
        self,
        question: Question,
        *,
        lineage: bool,
        use_cache: bool = True,
        as_rows: bool = False,
    ) -> Reading | Stitched:
        point = self.forked_from if check_flag(lineage, "lineage") else None
        reading = self._open(question, use_cache=use_cache, as_rows=as_rows)
        if point is None:
            return reading
        from runlake.history.runs.stitched import open_lineage

        return open_lineage(self._client, reading, point)

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
            progress=progress_of(self._client.settings),
        )

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("A run is not iterable; use run.beta_scan_history().")
