"""What is known of the keys of a run, as a frame."""

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
        Of the keys.

    Returns
    -------
    polars.DataFrame
        The members of `KeyFacts`, under the names of the table.
    """
    rows = sorted(map(astuple, facts))
    # JSON can carry half of a pair of surrogates, UTF-8 cannot.
    rows = [(key.encode("utf-8", "backslashreplace").decode(), *rest) for key, *rest in rows]
    return pl.DataFrame(rows, SCHEMA, orient="row")
