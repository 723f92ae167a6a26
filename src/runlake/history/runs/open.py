"""Many runs opened at once: what is not on disk is fetched side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from runlake.backend.http.client import Client
from runlake.cache.pull import find_unchanged, pull_run
from runlake.errors.user_line import for_thread
from runlake.exports.manifest import Freshness
from runlake.history.live.source import BackendRows
from runlake.history.plan.plan import plan_read
from runlake.history.reader import Reading
from runlake.history.step_check import check_steps
from runlake.values import Projection, RunPath, StepRange

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run of a list.

    Parameters
    ----------
    path : RunPath
        The run.
    freshness : tuple or None
        What the list told of this moment, see `runlake.cache.pull.pull_run`.
    """

    path: RunPath
    freshness: Freshness | None


def open_readings(
    client: Client, runs: Sequence[ListedRun], projection: Projection, steps: StepRange
) -> list[Reading]:
    """Bring the exports of runs to disk and plan a read of each.

    Parameters
    ----------
    client : Client
        The backend; its settings say how many runs are fetched at once.
    runs : sequence of ListedRun
        The runs; one without live rows that did not move since its exports came to disk costs no
        request.
    projection : Projection
        Keys to read.
    steps : StepRange
        Steps to read.

    Returns
    -------
    list of Reading
        One per run, in order.
    """
    keys = projection.keys
    # What is on disk is found faster by one thread than by several, which only wait for each other.
    on_disk = [
        run.freshness and find_unchanged(client, run.path, run.freshness, keys=keys, steps=steps)
        for run in runs
    ]
    others = [run for run, pulled in zip(runs, on_disk, strict=True) if pulled is None]
    brought = iter(
        side_by_side(
            client,
            lambda run: pull_run(client, run.path, keys=keys, steps=steps, known=run.freshness),
            others,
        )
    )
    live = BackendRows(client)
    everything = [next(brought) if pulled is None else pulled for pulled in on_disk]
    for pulled in everything:
        check_steps(pulled)
    return [
        Reading(client, pulled, plan_read(pulled, projection, steps), live) for pulled in everything
    ]


def side_by_side(client: Client, read: Callable[[S], T], subjects: Sequence[S]) -> list[T]:
    """Read several subjects at once, as many as the settings allow; results in their order."""
    if not subjects:
        return []
    executor = ThreadPoolExecutor(client.settings.max_workers, thread_name_prefix="runlake-runs")
    try:
        return list(executor.map(for_thread(read), subjects))
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
