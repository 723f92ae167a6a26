"""One question to a run's history: pulled, planned, and read in any form."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

from runlake.backend.client import Client
from runlake.cache.pull import PullResult, pull_run
from runlake.errors import NoRowsWarning
from runlake.exports.progress import Progress
from runlake.history.live_source import BackendRows, LiveSource
from runlake.history.plan import Plan, plan_read
from runlake.history.reasons import explain_no_rows
from runlake.history.rows import read_rows
from runlake.history.sample import Sample
from runlake.history.server_sample import fetch_sampled_rows, fetch_system_rows
from runlake.values import STEP, Projection, Row, RunPath, StepRange

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa

    from runlake.history.live_rows import LiveRows
    from runlake.history.scan import Scanned


# More than a machine samples in a month at the SDK's rate of one in 15 seconds.
SYSTEM_ROWS = 200_000


@dataclass(frozen=True, slots=True)
class Reading:
    """A planned read; every output is made from it.

    Parameters
    ----------
    client : Client
        Asked for samples and for what the machine did.
    pulled : PullResult
        What is on offer and on disk, as of one moment.
    plan : Plan
        What to read of it.
    live : LiveSource
        Gives the plan's live rows.
    """

    client: Client
    pulled: PullResult
    plan: Plan
    live: LiveSource

    def iter_rows(self, page_size: int) -> Iterator[Row]:
        """Yield the rows as dicts, and warn if there are none although the run has some."""
        return chain.from_iterable(self._batches(page_size))

    def scan(self) -> pl.LazyFrame:
        """Return the rows as a lazy frame; live rows are fetched now."""
        return self._scanned().frame

    def frame(self) -> pl.DataFrame:
        """Return the rows as a frame, and warn if there are none although the run has some."""
        collected = self.scan().collect()
        if collected.is_empty():
            self.warn_no_rows()
        return collected

    def arrow(self) -> pa.RecordBatchReader:
        """Return the rows as a stream of Arrow record batches, in bounded memory."""
        from runlake.history.arrow import open_reader
        from runlake.history.scan import plan_types, warn_of_json

        live = self.live_rows()
        types = plan_types(self.plan, live)
        warn_of_json(self.plan, types)
        return open_reader(self.plan, types, live, self.warn_no_rows)

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Return what a query gives over the view ``history``, and ``system``."""
        from runlake.history.scan import plan_types, warn_of_json
        from runlake.history.sql import query_plan

        live = self.live_rows()
        types = plan_types(self.plan, live)
        warn_of_json(self.plan, types)
        run = self.plan.run
        return query_plan(
            self.plan, types, live, query, lambda: fetch_system_rows(self.client, run, SYSTEM_ROWS)
        )

    def last(self, n_rows: int) -> Reading:
        """Return the reading of the last rows of this one: those of them that the plan keeps."""
        from runlake.history.tail import tail_start

        start = tail_start(
            self.plan,
            n_rows,
            self.pulled.manifest.last_step,
            lambda page: self.live.read_page(self.plan, page),
            lambda steps: self.live.walk(self.plan, steps),
        )
        if start is None:
            return self
        steps = StepRange(start, self.plan.steps.stop)
        return replace(self, plan=plan_read(self.pulled, self.plan.projection, steps))

    def sample(self, n_rows: int, x_axis: str = STEP) -> Sample:
        """Return rows that keep the shape of each key.

        Parameters
        ----------
        n_rows : int
            Rows at most.
        x_axis : str
            ``_step``, or one of the plan's keys; with keys it stands first.

        Returns
        -------
        Sample
            With the plan's keys and the x axis, or with every key and ``_step``. Of a run without
            exports whose live rows the backend does not list, the backend's own choice of rows.
        """
        from runlake.history.downsample import sample_frame

        keys = self.plan.projection.keys
        if self.plan.is_walk and not self.pulled.exports:
            rows = fetch_sampled_rows(self.client, self.plan.run, keys, n_rows, x_axis)
            return Sample(rows, max(len(rows), self.pulled.manifest.line_count or 0))
        scanned = self._scanned()
        frame = scanned.frame.collect()
        if frame.is_empty():
            self.warn_no_rows()
        wanted = frame.columns if keys is None else [x_axis, *keys]
        return sample_frame(frame, n_rows, wanted, scanned.json_keys)

    def live_rows(self) -> LiveRows:
        """Return the live rows of the plan, to be fetched once."""
        from runlake.history.live_rows import LiveRows

        return LiveRows(self.live.iter_pages(self.plan))

    def _scanned(self) -> Scanned:
        from runlake.history.scan import scan_plan

        return scan_plan(self.plan, self.live_rows())

    def warn_no_rows(self) -> None:
        """Say why the answer is empty, where that is a surprise."""
        exported = (export.facts.last_step for export in self.pulled.exports)
        reason = explain_no_rows(
            self.pulled.manifest,
            self.plan.projection,
            self.plan.steps,
            max((step for step in exported if step is not None), default=None),
        )
        if reason is not None:
            warnings.warn(reason, NoRowsWarning, stacklevel=2)

    def _batches(self, page_size: int) -> Iterator[list[Row]]:
        has_rows = False
        for batch in read_rows(self.plan, self.live.iter_pages(self.plan), page_size):
            has_rows = True
            yield batch
        if not has_rows:
            self.warn_no_rows()


def open_reading(
    client: Client,
    run: RunPath,
    projection: Projection,
    steps: StepRange,
    *,
    use_cache: bool = True,
    progress: Progress | None = None,
) -> Reading:
    """Bring a run's exports to disk and plan a read of them.

    Parameters
    ----------
    client : Client
        The backend.
    run : RunPath
        The run.
    projection : Projection
        Keys to read.
    steps : StepRange
        Steps to read.
    use_cache : bool
        False fetches the exports again.
    progress : Progress, optional
        Watches the downloads.

    Returns
    -------
    Reading
        Of this moment: rows logged later are not in it.
    """
    pulled = pull_run(client, run, use_cache=use_cache, progress=progress)
    return Reading(client, pulled, plan_read(pulled, projection, steps), BackendRows(client))
