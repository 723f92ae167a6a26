"""Make a frame of the kind, count, steps and bounds of a run's keys."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import Any

import polars as pl

from runlake.history.plan.key_facts import KeyFacts
from runlake.values import KEY_KINDS, RUN_ID

SCHEMA = {
    "key": pl.String(),
    "kind": pl.Enum(KEY_KINDS),
    "count": pl.Int64(),
    "first_step": pl.Int64(),
    "last_step": pl.Int64(),
    "min": pl.Float64(),
    "max": pl.Float64(),
}


def key_table(facts: Iterable[KeyFacts]) -> pl.DataFrame:
    """Return the kind, count, steps and bounds of keys as a frame, in alphabetical order of keys.

    Parameters
    ----------
    facts : iterable of KeyFacts
        One item per key.

    Returns
    -------
    polars.DataFrame
        The fields of `KeyFacts`, with the column names of `SCHEMA`.
    """
    return pl.DataFrame(_rows(facts), SCHEMA, orient="row")


def key_table_of_runs(runs: Iterable[tuple[str, Iterable[KeyFacts]]]) -> pl.DataFrame:
    """Return the rows of `key_table` for each run, run by run, after a column ``run_id``.

    Parameters
    ----------
    runs : iterable of tuple of str and iterable of KeyFacts
        The id of each run, and the kind, count, steps and bounds of each of its keys.
    """
    rows = [(run_id, *row) for run_id, facts in runs for row in _rows(facts)]
    return pl.DataFrame(rows, {RUN_ID: pl.String(), **SCHEMA}, orient="row")


_facts = attrgetter("kind", "count", "first_step", "last_step", "minimum", "maximum")


def _rows(facts: Iterable[KeyFacts]) -> list[tuple[Any, ...]]:
    # A key may have a lone surrogate, which JSON allows and UTF-8 does not.
    return [
        (one.key.encode("utf-8", "backslashreplace").decode(), *_facts(one))
        for one in sorted(facts, key=attrgetter("key"))
    ]
