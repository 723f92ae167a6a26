"""One question to a run's history: pulled, planned, and read in any form."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from runlake.backend.client import Client
from runlake.cache.pull import PullResult, pull_run
from runlake.errors import NoRowsWarning
from runlake.exports.progress import Progress
from runlake.history.plan import Plan, plan_read
from runlake.history.reasons import explain_no_rows
from runlake.history.rows import read_live_rows, read_rows
from runlake.history.sample import Sample
from runlake.history.server_sample import fetch_sampled_rows
from runlake.values import STEP, Projection, Row, RunPath, StepRange

if TYPE_CHECKING:
    import polars as pl

    from runlake.history.scan import Scanned


@dataclass(frozen=True, slots=True)
class Reading:
    """A planned read; every output is made from it.

    Parameters
    ----------
    client : Client
        Asked for live rows.
    pulled : PullResult
        What is on offer and on disk, as of one moment.
    plan : Plan
        What to read of it.
    """

    client: Client
    pulled: PullResult
    plan: Plan

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

    def sample(self, n_rows: int, x_axis: str = STEP, *, is_silent: bool = False) -> Sample:
        """Return rows that keep the shape of each key.

        Parameters
        ----------
        n_rows : int
            Rows at most.
        x_axis : str
            ``_step``, or one of the plan's keys; with keys it stands first.
        is_silent : bool
            Do not warn where there are no rows although the run has some.

        Returns
        -------
        Sample
            With the plan's keys and the x axis, or with every key and ``_step``. Of a run without
            exports whose live rows the backend does not list, the backend's own choice of rows.
        """
        from runlake.history.downsample import sample_frame

        if self._is_backends_choice:
            return self._backends_sample(n_rows, x_axis)
        scanned = self._scanned()
        frame = scanned.frame.collect()
        if frame.is_empty() and not is_silent:
            self.warn_no_rows()
        return sample_frame(frame, n_rows, self._sampled_keys(frame, x_axis), scanned.json_keys)

    def sampled_frame(self, n_rows: int, x_axis: str = STEP) -> tuple[pl.DataFrame, int]:
        """Return the rows of `sample` as a frame, and how many rows they were chosen from.

        Keys with cells of types that do not unify are JSON text. Nothing warns of no rows.
        """
        from runlake.history.downsample import pick_rows

        if self._is_backends_choice:
            from runlake.history.columns import frame_of

            sample = self._backends_sample(n_rows, x_axis)
            return frame_of(sample.rows), sample.n_rows
        frame = self._scanned().frame.collect()
        return pick_rows(frame, n_rows, self._sampled_keys(frame, x_axis)), frame.height

    @property
    def _is_backends_choice(self) -> bool:
        return self.plan.is_walk and not self.pulled.exports

    def _backends_sample(self, n_rows: int, x_axis: str) -> Sample:
        keys = self.plan.projection.keys
        rows = fetch_sampled_rows(self.client, self.plan.run, keys, n_rows, x_axis)
        return Sample(rows, max(len(rows), self.pulled.manifest.line_count or 0))

    def _sampled_keys(self, frame: pl.DataFrame, x_axis: str) -> list[str]:
        keys = self.plan.projection.keys
        return frame.columns if keys is None else [x_axis, *keys]

    def _scanned(self) -> Scanned:
        from runlake.history.scan import scan_plan

        return scan_plan(self.plan, lambda: read_live_rows(self.client, self.plan))

    def warn_no_rows(self) -> None:
        """Say why the answer is empty, where that is a surprise."""
        reason = explain_no_rows(
            self.pulled.manifest,
            self.plan.projection,
            self.plan.steps,
            [export.facts for export in self.pulled.exports],
        )
        if reason is not None:
            warnings.warn(reason, NoRowsWarning, stacklevel=2)

    def _batches(self, page_size: int) -> Iterator[list[Row]]:
        has_rows = False
        for batch in read_rows(self.client, self.plan, page_size):
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
    return Reading(client, pulled, plan_read(pulled, projection, steps))
