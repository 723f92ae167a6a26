"""Chooses the keys of a run that have charts, and groups them by their prefix, without I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

from runlake.history.plan.key_facts import KeyFacts
from runlake.history.runs.axes import axis_of
from runlake.public.run.metrics import Metric
from runlake.values import STEP

# Kinds of values that may have numbers among them.
DRAWN = frozenset({"number", "bool", "time", "mixed"})
# Keys that the SDK adds to every row.
ADDED = frozenset({STEP, "_runtime", "_timestamp", "_wandb"})
AXES = (STEP, "_runtime", "_timestamp")
UNGROUPED = "Charts"
SHOWN_KEYS = 5


def group_keys(keys: Iterable[str], separator: str = "/") -> list[tuple[str, list[str]]]:
    """Group keys by their prefix; ``layer9`` comes before ``layer10``.

    Examples
    --------
    >>> group_keys(["val/loss", "loss", "layer10/w", "layer9/w"])[:3]
    [('Charts', ['loss']), ('layer9', ['layer9/w']), ('layer10', ['layer10/w'])]
    """
    groups: dict[str, list[str]] = {}
    for key in sorted(keys, key=_order):
        prefix, found, _ = key.partition(separator)
        groups.setdefault(prefix if found and prefix else "", []).append(key)
    names = sorted(groups, key=_order)
    return [(name or UNGROUPED, groups[name]) for name in names]


def drawn_keys(facts: Mapping[str, KeyFacts]) -> list[str]:
    """Return the keys whose values may be numbers, without the keys that the SDK adds."""
    return [
        key
        for key, one in facts.items()
        if one.kind in DRAWN and key.partition(".")[0] not in ADDED
    ]


def declared_axes(keys: Iterable[str], metrics: Sequence[Metric]) -> dict[str, str]:
    """Return the x axes that ``define_metric`` declared, by key; other keys are left out."""
    if all(metric.step_metric is None for metric in metrics):
        return {}
    found = {key: axis_of(key, metrics) for key in keys}
    return {key: axis for key, axis in found.items() if axis != STEP}


def hidden_keys(keys: Iterable[str], metrics: Sequence[Metric]) -> list[str]:
    """Return the keys that ``define_metric`` declared as hidden."""
    hidden = [metric for metric in metrics if metric.hidden]
    if not hidden:
        return []
    return [key for key in keys if any(_is_of(key, metric) for metric in hidden)]


def explain_no_charts(facts: Mapping[str, KeyFacts], *, is_live: bool) -> str | None:
    """Return the reason why a run has no charts; None if the run has charts."""
    if drawn_keys(facts):
        return None
    own = sorted(key for key in facts if key.partition(".")[0] not in ADDED)
    if not own:
        wait = " Charts appear here with the first row." if is_live else ""
        return f"The run has no history: it logged nothing.{wait}"
    named = ", ".join(repr(key) for key in own[:SHOWN_KEYS])
    more = f" and {len(own) - SHOWN_KEYS:,} more" if len(own) > SHOWN_KEYS else ""
    return f"The run logged no numbers. Its keys: {named}{more}."


def _is_of(key: str, metric: Metric) -> bool:
    if metric.name is not None:
        return metric.name == key
    return metric.glob is not None and fnmatchcase(key, metric.glob)


def _order(key: str) -> list[tuple[int, str]]:
    # Every second part is a number.
    parts = re.split(r"([0-9]{1,18})", key)
    return [(int(p), "") if at % 2 else (0, p.casefold()) for at, p in enumerate(parts)]
