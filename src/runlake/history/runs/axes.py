"""Find the x axis of keys, as their runs declared it with ``define_metric``, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Protocol

from runlake.errors import InvalidArgument
from runlake.values import STEP

AUTO = "auto"


class DeclaredMetric(Protocol):
    """Interface of what a run declared for a key or for several keys with ``define_metric``."""

    @property
    def name(self) -> str | None:
        """The key; None if ``define_metric`` was called with a pattern of keys."""

    @property
    def glob(self) -> str | None:
        """A pattern of keys, as a glob; None if ``define_metric`` was called with one key."""

    @property
    def step_metric(self) -> str | None:
        """The key of the x axis; None if no x axis was declared."""


def axis_of(key: str, metrics: Iterable[DeclaredMetric]) -> str:
    """Return the x axis that is declared for a key.

    Only declarations with an x axis count. If the key has no such declaration of its own, the first
    declared glob that matches it counts. If there is none, the axis is ``_step``.
    """
    by_glob = STEP
    for metric in metrics:
        if metric.step_metric is None:
            continue
        if metric.name == key:
            return metric.step_metric
        if by_glob == STEP and metric.glob is not None and fnmatchcase(key, metric.glob):
            by_glob = metric.step_metric
    return by_glob


def common_axis(runs: Iterable[tuple[Sequence[str], Sequence[DeclaredMetric]]]) -> str:
    """Return the x axis that all keys have in all runs.

    Parameters
    ----------
    runs : iterable of tuple of sequence of str and sequence of DeclaredMetric
        For each run, the requested keys that it has, and its declarations.

    Returns
    -------
    str
        The key of the axis; ``_step`` if no run declared another axis.

    Raises
    ------
    InvalidArgument
        If the keys or runs have several axes.
    """
    axes: dict[str, str] = {}
    for keys, metrics in runs:
        found = {key: axis_of(key, metrics) for key in keys}
        declared = {axis for axis in found.values() if axis != STEP}
        for key, axis in found.items():
            # A requested key that is the axis of another key needs no axis of its own.
            if key not in declared:
                axes.setdefault(axis, key)
    if len(axes) > 1:
        named = ", ".join(f"{axis!r} (of {key!r})" for axis, key in axes.items())
        raise InvalidArgument(
            f"x='auto' needs one axis for all keys and runs, but define_metric declared {named}. "
            "Name the axis with x=, or read the keys one by one."
        )
    return next(iter(axes), STEP)
