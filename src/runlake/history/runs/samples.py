"""Sample many runs in parallel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from runlake.errors import InvalidArgument
from runlake.exports.progress import Progress
from runlake.history.reader import Reading
from runlake.history.runs.open import ListedRun, RunSource, side_by_side
from runlake.history.sample.sample import Sample
from runlake.values import STEP, Projection, Question, check_count, check_word

if TYPE_CHECKING:
    import polars as pl

# The backend's default number of rows.
DEFAULT_SAMPLES = 500
# The names that W&B uses for the stream of system metrics.
SYSTEM_STREAMS = ("system", "events", "systemMetrics")

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sampling:
    """What to sample of each run.

    Parameters
    ----------
    n_rows : int
        Maximum number of rows per run.
    keys : tuple of str or None
        Keys that every row must have, the x axis first; None means every row and key.
    is_system : bool
        Sample the system metrics instead of the history.
    """

    n_rows: int
    keys: tuple[str, ...] | None = None
    is_system: bool = False

    @classmethod
    def from_arguments(
        cls, samples: float | None, keys: Sequence[str] | None, x_axis: str | None, stream: str
    ) -> Sampling:
        """Check the arguments that all sampling methods have in common, by the SDK's rules.

        Parameters
        ----------
        samples : int, float without a fraction, or None
            Maximum number of rows per run; None means `DEFAULT_SAMPLES`.
        keys : list of str or None
            Keys to read; None and an empty list mean every key.
        x_axis : str or None
            A key that rows must have besides ``keys``; None means ``_step``.
        stream : str
            "default", or one of `SYSTEM_STREAMS`.

        Returns
        -------
        Sampling
            The arguments, checked.

        Raises
        ------
        InvalidArgument
            If an argument is wrong.
        """
        asked: Any = DEFAULT_SAMPLES if samples is None else samples
        if isinstance(asked, float) and asked.is_integer():
            asked = int(asked)
        n_rows = check_count(asked, "samples")
        check_word(stream, "stream", ("default", *SYSTEM_STREAMS))
        named = Projection.from_arguments(keys).keys
        axis = STEP if x_axis is None else x_axis
        if not isinstance(axis, str):
            raise InvalidArgument(f"x_axis must be a key, not {axis!r}.")
        is_system = stream != "default"
        if is_system and named is not None:
            raise InvalidArgument(
                f"stream must be 'default' if keys are given, not {stream!r}. Leave out the "
                "keys to get every system metric."
            )
        wanted = tuple(dict.fromkeys([axis, *keys])) if keys else None
        return cls(n_rows, wanted, is_system)

    @property
    def question(self) -> Question:
        """Keys and steps to read."""
        return Question.from_arguments(self.keys)


def sample_runs(
    source: RunSource,
    runs: Sequence[ListedRun],
    sampling: Sampling,
    progress: Progress | None = None,
) -> list[Sample]:
    """Sample runs in parallel.

    Parameters
    ----------
    source : RunSource
        The place from which the runs are read.
    runs : sequence of ListedRun
        The runs.
    sampling : Sampling
        What to sample.
    progress : Progress, optional
        Counts the runs.

    Returns
    -------
    list of Sample
        One per run, in order.
    """
    if sampling.is_system:
        return side_by_side(
            source.client, lambda run: _system_sample(source, run, sampling), runs, progress
        )
    from runlake.history.sample.downsample import rows_of

    return _together_or_alone(
        source,
        runs,
        sampling,
        progress,
        together=lambda frame, n_rows: Sample(rows_of(frame), n_rows),
        alone=lambda reading: reading.sample(sampling.n_rows, sampling.keys, is_silent=True),
    )


def sample_runs_as_frames(
    source: RunSource,
    runs: Sequence[ListedRun],
    sampling: Sampling,
    progress: Progress | None = None,
) -> list[tuple[pl.DataFrame, int, tuple[str, ...]]]:
    """Sample runs as `sample_runs` does, but return frames, without a Python object per cell.

    Returns
    -------
    list of tuple of DataFrame, int and tuple of str
        One item per run, in order: the rows, the number of rows from which they were chosen, and
        the columns that are JSON text.
    """
    if sampling.is_system:
        from runlake.history.frames.json_columns import frame_of, json_columns_of

        samples = sample_runs(source, runs, sampling, progress)
        frames = [frame_of(one.rows) for one in samples]
        return [
            (frame, one.n_rows, json_columns_of(frame, one.rows))
            for frame, one in zip(frames, samples, strict=True)
        ]
    return _together_or_alone(
        source,
        runs,
        sampling,
        progress,
        together=lambda frame, n_rows: (frame, n_rows, ()),
        alone=lambda reading: reading.sampled_frame(sampling.n_rows, sampling.keys),
    )


def _together_or_alone(
    source: RunSource,
    runs: Sequence[ListedRun],
    sampling: Sampling,
    progress: Progress | None,
    *,
    together: Callable[[pl.DataFrame, int], T],
    alone: Callable[[Reading], T],
) -> list[T]:
    from runlake.history.runs.same_schema import sample_together

    readings = source.open(runs, sampling.question, progress)
    sampled = sample_together(readings, sampling.n_rows, sampling.keys)
    pairs = list(zip(readings, sampled, strict=True))
    lone = [reading for reading, one in pairs if one is None]
    others = iter(side_by_side(source.client, alone, lone))
    return [next(others) if one is None else together(*one) for one in sampled]


def _system_sample(source: RunSource, run: ListedRun, sampling: Sampling) -> Sample:
    rows = source.system_rows(run, sampling.n_rows)
    return Sample(rows, len(rows))
