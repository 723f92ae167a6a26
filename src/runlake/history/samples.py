"""Samples of many runs at once, read side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from runlake.backend.client import Client
from runlake.history.reader import Reading
from runlake.history.readings import ListedRun, open_readings, side_by_side
from runlake.history.sample import Sample
from runlake.history.server_sample import fetch_system_rows
from runlake.values import STEP, Projection, StepRange

if TYPE_CHECKING:
    import polars as pl

S = TypeVar("S")
T = TypeVar("T")


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
        return side_by_side(client, lambda run: _system_sample(client, run, sampling), runs)
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
    others = iter(side_by_side(client, alone, [reading for reading, one in pairs if one is None]))
    return [next(others) if one is None else together(*one) for one in sampled]


def _open(client: Client, runs: Sequence[ListedRun], sampling: Sampling) -> list[Reading]:
    keys = sampling.projection.keys
    wanted = Projection.from_arguments(None if keys is None else [*keys, sampling.x_axis])
    return open_readings(client, runs, wanted, StepRange())


def _system_sample(client: Client, run: ListedRun, sampling: Sampling) -> Sample:
    rows = fetch_system_rows(client, run.path, sampling.n_rows)
    return Sample(rows, len(rows))
