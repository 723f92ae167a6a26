"""The x axis of keys, as their runs declared it with ``define_metric``; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from runlake.errors import InvalidArgument
from runlake.values import STEP

AUTO = "auto"


class DeclaredMetric(Protocol):
    """A declaration of ``define_metric``; see `runlake.public.run.metrics.Metric`."""

    @property
    def name(self) -> str | None:
        """The key."""

    @property
    def glob(self) -> str | None:
        """A pattern of keys."""

    @property
    def step_metric(self) -> str | None:
        """The key of the x axis."""


def axis_of(key: str, metrics: Iterable[DeclaredMetric]) -> str:
    """Return the x axis that a key declares; if none, that of the first glob that matches it."""
    by_glob = STEP
    for metric in metrics:
        if metric.step_metric is None:
            continue
        if metric.name == key:
            return metric.step_metric
        if by_glob == STEP and metric.glob is not None and fnmatchcase(key, metric.glob):
            by_glob = metric.step_metric
    return by_glob


def common_axis(keys: Sequence[str], metrics_of_runs: Iterable[Sequence[DeclaredMetric]]) -> str:
    """Return the x axis that all keys have in all runs.

    Parameters
    ----------
    keys : sequence of str
        At least one key.
    metrics_of_runs : iterable of sequence of DeclaredMetric
        The declarations of each run.

    Raises
    ------
    InvalidArgument
        If the keys or runs have several axes.
    """
    axes: dict[str, str] = {}
    for metrics in metrics_of_runs:
        for key in keys:
            axes.setdefault(axis_of(key, metrics), key)
    if len(axes) > 1:
        named = ", ".join(f"{axis!r} (of {key!r})" for axis, key in axes.items())
        raise InvalidArgument(
            f"x='auto' needs one axis for all keys and runs, but define_metric declared {named}. "
            "Name the axis with x=, or read the keys one by one."
        )
    return next(iter(axes), STEP)
