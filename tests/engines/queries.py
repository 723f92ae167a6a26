"""Ten questions about a lake, in the SQL that all engines have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

# Of the tables of a packed lake; `runs` says which numbers count.
QUERIES = {
    "rows of a key": "SELECT count(*) AS n FROM metrics_f WHERE key = 'loss'",
    "sum of a key": "SELECT sum(value) AS total FROM metrics_f WHERE key = 'loss'",
    "minimum per run": (
        "SELECT runs.run_id AS run_id, min(metrics_f.value) AS low FROM metrics_f "
        "JOIN runs ON metrics_f.run = runs.run WHERE metrics_f.key = 'loss' "
        "GROUP BY runs.run_id ORDER BY run_id"
    ),
    "mean per step": (
        "SELECT step, avg(value) AS mean FROM metrics_f WHERE key = 'val/acc' AND step < 20 "
        "GROUP BY step ORDER BY step"
    ),
    "integers": (
        "SELECT sum(value) AS total, max(value) AS high FROM metrics_i WHERE key = 'count'"
    ),
    "texts": (
        "SELECT value, count(*) AS n FROM metrics_s WHERE key = 'phase' GROUP BY value "
        "ORDER BY value"
    ),
    "runs by state": "SELECT state, count(*) AS n FROM runs GROUP BY state ORDER BY state",
    "rows of one run": (
        "SELECT metrics_f.step AS step, metrics_f.value AS value FROM metrics_f "
        "JOIN runs ON metrics_f.run = runs.run WHERE metrics_f.key = 'loss' "
        "AND runs.run_id = 'seed007' ORDER BY step"
    ),
    "two keys on one axis": (
        "SELECT sum(a.value * b.value) AS total FROM "
        "(SELECT run, step, value FROM metrics_f WHERE key = 'loss') AS a JOIN "
        "(SELECT run, step, value FROM metrics_f WHERE key = 'val/acc') AS b "
        "ON a.run = b.run AND a.step = b.step"
    ),
    "statistics": (
        "SELECT key, sum(n) AS n, min(min) AS low FROM stats WHERE key = 'loss' OR key = 'count' "
        "GROUP BY key ORDER BY key"
    ),
}
TABLES = ("metrics_f", "metrics_i", "metrics_s", "runs", "stats")
# A sum of floats depends on the order in which an engine adds them.
TOLERANCE = 1e-9

Answers = Mapping[str, Sequence[Sequence[Any]]]


def differences(ours: Answers, theirs: Answers) -> list[str]:
    """Return the questions whose answers differ."""
    return [name for name in QUERIES if not _are_equal(ours[name], theirs[name])]


def _are_equal(ours: Sequence[Sequence[Any]], theirs: Sequence[Sequence[Any]]) -> bool:
    return len(ours) == len(theirs) and all(
        len(one) == len(two) and all(map(_is_equal, one, two))
        for one, two in zip(ours, theirs, strict=True)
    )


def _is_equal(one: Any, two: Any) -> bool:
    if isinstance(one, float) or isinstance(two, float):
        return math.isclose(float(one), float(two), rel_tol=TOLERANCE)
    return bool(one == two)
