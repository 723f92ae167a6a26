"""Convert facts about the keys of a run to a frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple

import polars as pl

from runlake.history.plan.key_facts import KINDS, KeyFacts

SCHEMA = {
    "key": pl.String(),
    "kind": pl.Enum(KINDS),
    "count": pl.Int64(),
    "first_step": pl.Int64(),
    "last_step": pl.Int64(),
    "min": pl.Float64(),
    "max": pl.Float64(),
}


def key_table(facts: Iterable[KeyFacts]) -> pl.DataFrame:
    """Return a row per key, in alphabetical order.

    Parameters
    ----------
    facts : iterable of KeyFacts
        The facts about each key.

    Returns
    -------
    polars.DataFrame
        The fields of `KeyFacts`, with the column names of `SCHEMA`.
    """
    rows = sorted(map(astuple, facts))
    # A key may have a lone surrogate, which JSON allows and UTF-8 does not.
    rows = [(key.encode("utf-8", "backslashreplace").decode(), *rest) for key, *rest in rows]
    return pl.DataFrame(rows, SCHEMA, orient="row")
