"""The metrics that ``define_metric`` declared, read from a run's config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Field numbers of the SDK's protobuf message; it writes one per definition to ``_wandb.m`` of the
# config.
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
    """A metric that ``define_metric`` declared.

    Parameters
    ----------
    name : str or None
        The key; None for a declaration with ``glob``.
    glob : str or None
        A pattern of keys, such as ``train/*``.
    step_metric : str or None
        The key to use as x axis for this key.
    step_sync : bool
        True if the SDK adds the last value of the step metric to rows that lack the step metric.
    hidden : bool
        True if charts do not show the key.
    summary : tuple of str
        Which values of the key are in the summary: any of ``min``, ``max``, ``mean``, ``best``,
        ``last``, ``first``, ``copy`` and ``none``; empty means the last value.
    goal : str or None
        ``minimize`` or ``maximize``: says which value is the best, for the summary ``best``.
    is_defined : bool
        True if a call declared this key; False if it is only the step metric of another key.
    is_from_glob : bool
        True if the key was added because it matched a glob.
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
    """Return the metrics declared in a config's ``_wandb`` entry.

    Parameters
    ----------
    internal_config : object
        The entry; anything but a mapping with a list ``m`` gives an empty list.

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
    # The SDK writes the step metric's position in the list, from 1, in place of its name.
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
    """Return the numbers in one field of a declaration by ``define_metric``, such as its options.

    The SDK writes the field as a list of numbers, or as a JSON object with a bool for each number.
    A number with the value false is left out.
    """
    if isinstance(field, Mapping):
        return [int(number) for number, is_set in field.items() if is_set and number.isdecimal()]
    return [n for n in field if isinstance(n, int)] if isinstance(field, Sequence) else []
