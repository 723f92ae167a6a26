"""What ``define_metric`` declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Field numbers of the messages by which the SDK writes definitions to the config's ``_wandb.m``.
NAME, GLOB, STEP_METRIC, STEP_INDEX, OPTIONS, SUMMARY, GOAL, FROM_GLOB = (
    "1",
    "2",
    "4",
    "5",
    "6",
    "7",
    "8",
    "10",
)
STEP_SYNC, HIDDEN, DEFINED = 1, 2, 3
SUMMARY_KINDS = {
    1: "min",
    2: "max",
    3: "mean",
    4: "best",
    5: "last",
    6: "none",
    7: "copy",
    8: "first",
}
GOALS = {1: "minimize", 2: "maximize"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One declaration of ``define_metric``.

    Parameters
    ----------
    name : str or None
        The key that it is about; None where ``glob`` says.
    glob : str or None
        A pattern of keys, such as ``train/*``.
    step_metric : str or None
        The key that is the x axis of this one.
    step_sync : bool
        The last value of the step metric is added to rows that lack it.
    hidden : bool
        Not shown in charts.
    summary : tuple of str
        What the summary keeps: ``min``, ``max``, ``mean``, ``best``, ``last``, ``first``, ``copy``,
        ``none``; empty is the last value.
    goal : str or None
        ``minimize`` or ``maximize``, for ``best``.
    is_defined : bool
        A call declared it; False where it only serves as another one's step metric.
    is_from_glob : bool
        A key that a glob matched.
    """

    name: str | None
    glob: str | None = None
    step_metric: str | None = None
    step_sync: bool = False
    hidden: bool = False
    summary: tuple[str, ...] = ()
    goal: str | None = None
    is_defined: bool = True
    is_from_glob: bool = False


def read_metrics(internal_config: object) -> list[Metric]:
    """Return the declarations in a config's ``_wandb`` entry.

    Parameters
    ----------
    internal_config : object
        The entry; anything but a mapping with a list ``m`` has none.

    Returns
    -------
    list of Metric
        In the order of their declaration.

    Examples
    --------
    >>> entry = {"m": [{"1": "epoch", "6": [3]}, {"1": "loss", "5": 1, "6": [1, 3], "7": [1]}]}
    >>> read_metrics(entry)[1].step_metric, read_metrics(entry)[1].summary
    ('epoch', ('min',))
    """
    entries = internal_config.get("m") if isinstance(internal_config, Mapping) else None
    if not isinstance(entries, Sequence):
        return []
    found = [entry for entry in entries if isinstance(entry, Mapping)]
    return [_metric(entry, found) for entry in found]


def _metric(entry: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> Metric:
    options = _numbers(entry.get(OPTIONS))
    step = entry.get(STEP_METRIC)
    index = entry.get(STEP_INDEX)
    if step is None and isinstance(index, int) and 0 < index <= len(entries):
        step = entries[index - 1].get(NAME)
    kinds = [
        SUMMARY_KINDS[number] for number in _numbers(entry.get(SUMMARY)) if number in SUMMARY_KINDS
    ]
    return Metric(
        name=entry.get(NAME) or None,
        glob=entry.get(GLOB) or None,
        step_metric=step,
        step_sync=STEP_SYNC in options,
        hidden=HIDDEN in options,
        summary=tuple(kinds),
        goal=GOALS.get(entry.get(GOAL, 0)),
        is_defined=DEFINED in options or bool(entry.get(GLOB)),
        is_from_glob=bool(entry.get(FROM_GLOB)),
    )


def _numbers(field: object) -> list[int]:
    """Return the numbers of the flags that are set; they are a list, or the keys of an object."""
    if isinstance(field, Mapping):
        return [int(number) for number, is_set in field.items() if is_set and number.isdecimal()]
    return [n for n in field if isinstance(n, int)] if isinstance(field, Sequence) else []
