"""Samples of many runs at once, read side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from runlake.backend.client import Client
from runlake.cache.pull import find_unchanged, pull_run
from runlake.exports.manifest import Freshness
from runlake.history.live_source import BackendRows
from runlake.history.plan import plan_read
from runlake.history.reader import Reading
from runlake.history.sample import Sample
from runlake.history.server_sample import fetch_system_rows
from runlake.values import STEP, Projection, RunPath, StepRange

if TYPE_CHECKING:
    import polars as pl

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


@dataclass(frozen=True, slots=True)
class Sampling:
    """What to sample of each run.

    Parameters
    ----------
    n_rows : int
        Rows per run at most.
    projection : Projection
        Keys that every row has; every row and key without any.
    x_axis : str
        A key that every row has besides them, and that stands first.
    is_system : bool
        Sample what the machine did instead.
    """

    n_rows: int
    projection: Projection
    x_axis: str = STEP
    is_system: bool = False


def sample_runs(client: Client, runs: Sequence[ListedRun], sampling: Sampling) -> list[Sample]:
    """Sample runs side by side.

    Parameters
    ----------
    client : Client
        The backend; its settings say how many runs are read at once.
    runs : sequence of ListedRun
        The runs.
    sampling : Sampling
        What to sample.

    Returns
    -------
    list of Sample
        One per run, in order.
    """
    if sampling.is_system:
        return _side_by_side(client, lambda run: _system_sample(client, run, sampling), runs)
    from runlake.history.downsample import rows_of

    return _together_or_alone(
        client,
        runs,
        sampling,
        together=lambda frame, n_rows: Sample(rows_of(frame), n_rows),
        alone=lambda reading: reading.sample(sampling.n_rows, sampling.x_axis, is_silent=True),
    )


def sample_runs_as_frames(
    client: Client, runs: Sequence[ListedRun], sampling: Sampling
) -> list[tuple[pl.DataFrame, int]]:
    """Sample runs as `sample_runs` does, without a Python object per cell.

    Returns
    -------
    list of tuple of DataFrame and int
        One per run, in order: the rows, and how many they were chosen from.
    """
    if sampling.is_system:
        from runlake.history.columns import frame_of

        return [(frame_of(one.rows), one.n_rows) for one in sample_runs(client, runs, sampling)]
    return _together_or_alone(
        client,
        runs,
        sampling,
        together=lambda frame, n_rows: (frame, n_rows),
        alone=lambda reading: reading.sampled_frame(sampling.n_rows, sampling.x_axis),
    )


def _together_or_alone(
    client: Client,
    runs: Sequence[ListedRun],
    sampling: Sampling,
    *,
    together: Callable[[pl.DataFrame, int], T],
    alone: Callable[[Reading], T],
) -> list[T]:
    from runlake.history.together import sample_together

    readings = _open(client, runs, sampling)
    sampled = sample_together(readings, sampling.n_rows, sampling.x_axis)
    pairs = list(zip(readings, sampled, strict=True))
    others = iter(_side_by_side(client, alone, [reading for reading, one in pairs if one is None]))
    return [next(others) if one is None else together(*one) for one in sampled]


def _open(client: Client, runs: Sequence[ListedRun], sampling: Sampling) -> list[Reading]:
    keys = sampling.projection.keys
    wanted = Projection.from_arguments(None if keys is None else [*keys, sampling.x_axis])
    # What is on disk is found faster by one thread than by several, which only wait for each other.
    on_disk = [
        run.freshness and find_unchanged(client, run.path, run.freshness, keys=wanted.keys)
        for run in runs
    ]
    others = [run for run, pulled in zip(runs, on_disk, strict=True) if pulled is None]
    brought = iter(
        _side_by_side(
            client,
            lambda run: pull_run(client, run.path, keys=wanted.keys, known=run.freshness),
            others,
        )
    )
    live = BackendRows(client)
    everything = (next(brought) if pulled is None else pulled for pulled in on_disk)
    return [
        Reading(client, pulled, plan_read(pulled, wanted, StepRange()), live)
        for pulled in everything
    ]


def _system_sample(client: Client, run: ListedRun, sampling: Sampling) -> Sample:
    rows = fetch_system_rows(client, run.path, sampling.n_rows)
    return Sample(rows, len(rows))


def _side_by_side(client: Client, read: Callable[[S], T], subjects: Sequence[S]) -> list[T]:
    if not subjects:
        return []
    executor = ThreadPoolExecutor(client.settings.max_workers, thread_name_prefix="runlake-sample")
    try:
        return list(executor.map(read, subjects))
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
