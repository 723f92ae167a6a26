"""Frames of several sources as one: what `runlake.history.rows.merge` does to rows."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence

import polars as pl
import pyarrow as pa

from runlake.history.decode.expressions import named
from runlake.values import STEP


def merged_frame(
    frames: Sequence[pl.LazyFrame], types: Mapping[str, pa.DataType | None]
) -> pl.LazyFrame:
    """Merge frames by step; the later one wins key by key (reading rule 3).

    Parameters
    ----------
    frames : sequence of polars.LazyFrame
        In any order of rows; of two rows of one step in one frame the later one wins.
    types : mapping
        Of the answer.

    Returns
    -------
    polars.LazyFrame
        Ascending by step, each once.
    """
    source = unused_name(types)
    numbered = [f.with_columns(pl.lit(i).alias(source)) for i, f in enumerate(frames)]
    ordered = pl.concat(numbered).sort(STEP, source, maintain_order=True).drop(source)
    step = pl.col(STEP)
    is_double = ((step == step.shift(1)) | (step == step.shift(-1))).fill_null(value=False)
    # Only the doubles are grouped: grouping costs ten times what sorting does.
    marked = ordered.with_columns(is_double.alias(source))
    single = marked.filter(~pl.col(source)).drop(source)
    winners = [_last(key) for key in types]
    double = marked.filter(source).drop(source).group_by(STEP, maintain_order=True).agg(winners)
    return pl.concat([single, double]).sort(STEP)


def unused_name(names: Container[str]) -> str:
    """Return a name for a column of our own that none of some keys has."""
    name = "_"
    while name in names:
        name += "_"
    return name


def _last(key: str) -> pl.Expr:
    return named(key).drop_nulls().last()
