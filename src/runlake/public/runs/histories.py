"""Methods of a list of runs that sample the runs' histories."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from runlake.errors import MissingExtra, SampleWarning
from runlake.errors.user_line import warn
from runlake.exports.progress import Progress
from runlake.history.runs.samples import Sampling, sample_runs, sample_runs_as_frames
from runlake.public.progress import progress_of
from runlake.public.runs.run_set import RunSet
from runlake.values import RUN_ID, STEP, ProgressOption, check_word
from runlake.values.counted import counted

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


class RunHistories(RunSet):
    """Methods of a list of runs that sample the runs' histories."""

    @overload
    def histories(
        self,
        samples: int | None = ...,
        keys: list[str] | None = ...,
        x_axis: str | None = ...,
        format: Literal["default"] = ...,
        stream: str = ...,
        *,
        progress: ProgressOption = ...,
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
        progress: ProgressOption = ...,
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
        progress: ProgressOption = ...,
    ) -> pl.DataFrame: ...
    @overload
    def histories(
        self,
        samples: int | None = ...,
        keys: list[str] | None = ...,
        x_axis: str | None = ...,
        format: str = ...,
        stream: str = ...,
        *,
        progress: ProgressOption = ...,
    ) -> list[dict[str, Any]] | pd.DataFrame | pl.DataFrame: ...
    def histories(
        self,
        samples: int | None = 500,
        keys: list[str] | None = None,
        x_axis: str | None = STEP,
        format: str = "default",  # noqa: A002 - W&B's name
        stream: str = "default",
        *,
        progress: ProgressOption = None,
    ) -> list[dict[str, Any]] | pd.DataFrame | pl.DataFrame:
        """Return a sample of the history of every run; runs are read in parallel from the cache.

        A run without live rows costs no request if it has not changed since its exports were
        downloaded. A run that was resumed or has live rows costs one request, and one more for each
        page of live rows.

        Parameters
        ----------
        samples : int or None
            Maximum number of rows per run; None means 500.
        keys : list of str, optional
            Return only these keys, and only rows that have all of them and the x axis. If omitted,
            the sample is chosen from all rows, and has all keys of the chosen rows.
        x_axis : str or None
            An additional key that a row must have; None means ``_step``. Ignored if ``keys`` is
            omitted.
        format : {"default", "pandas", "polars"}
            "default" returns a list of dicts; "pandas" and "polars" return a frame with columns in
            alphabetical order.
        stream : {"default", "system", "events", "systemMetrics"}
            "system" and its two synonyms return the backend's sample of the system metrics.
        progress : bool, callable or None
            How to show progress; see `Run.pull`. Only the runs that were not in the cache are
            counted.

        Returns
        -------
        list of dict, pandas.DataFrame or polars.DataFrame
            The rows of `Run.history`, run by run, with ``run_id``. A `SampleWarning` is issued if
            rows were left out.

        Raises
        ------
        InvalidArgument
            If an argument is wrong; this is checked before any request.
        MissingExtra
            If ``format`` is "pandas" and pandas is not installed.
        """
        check_word(format, "format", ("default", "pandas", "polars"))
        sampling = Sampling.from_arguments(samples, keys, x_axis, stream)
        shown = progress_of(self._client.settings, progress)
        if format == "polars":
            return self._polars_histories(sampling, shown)
        rows = self._row_histories(sampling, shown)
        if format == "default":
            return rows
        pandas = _import_pandas()
        frame = pandas.DataFrame.from_records(rows)
        # As in the SDK, the columns are sorted.
        return frame[sorted(frame.columns)]

    def _row_histories(self, sampling: Sampling, progress: Progress) -> list[dict[str, Any]]:
        listed, found = self._listed_and_read(
            # System metrics are sampled by the backend, so none can be read early from the cache.
            None if sampling.is_system else sampling.question,
            lambda runs: sample_runs(self._source, runs, sampling, progress),
        )
        self._warn_of_samples([(len(one.rows), one.n_rows) for one in found])
        return [
            {**row, RUN_ID: run.run_id}
            for run, one in zip(listed, found, strict=True)
            for row in one.rows
        ]

    def _polars_histories(self, sampling: Sampling, progress: Progress) -> pl.DataFrame:
        import polars as pl

        from runlake.history.frames.json_columns import stack

        listed, found = self._listed_and_read(
            None if sampling.is_system else sampling.question,
            lambda runs: sample_runs_as_frames(self._source, runs, sampling, progress),
        )
        self._warn_of_samples([(frame.height, n_rows) for frame, n_rows, _ in found])
        filled = [(frame, texts) for frame, _, texts in found if not frame.is_empty()]
        if not filled:
            return pl.DataFrame()
        stacked = stack([frame for frame, _ in filled], [texts for _, texts in filled])
        ids = pl.DataFrame(
            {
                RUN_ID: [run.run_id for run in listed],
                "n_rows": [frame.height for frame, _, _ in found],
            }
        )
        stacked = stacked.with_columns(
            # polars explodes an empty list to a null, so a run without rows adds a null.
            ids.select(pl.col(RUN_ID).repeat_by("n_rows").explode()).to_series().drop_nulls()
        )
        return stacked[sorted(stacked.columns)]

    def _warn_of_samples(self, counts: Sequence[tuple[int, int]]) -> None:
        partial = [pair for pair in counts if pair[0] < pair[1]]
        if partial:
            kept, total = (sum(column) for column in zip(*counts, strict=True))
            warn(
                f"Samples of {len(partial):,} of {counted(len(counts), 'run')} of "
                f"'{self._place}': {kept:,} of {counted(total, 'row')}; "
                f"samples={max(n_rows for _, n_rows in counts)} gives all.",
                SampleWarning,
            )


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
