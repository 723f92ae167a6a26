"""Merge frames of several sources by step, as `runlake.history.rows.merge` does for rows."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from runlake.history.decode.expressions import named
from runlake.values import STEP

if TYPE_CHECKING:
    import pyarrow as pa


def merged_frame(
    frames: Sequence[pl.LazyFrame], types: Mapping[str, pa.DataType | None]
) -> pl.LazyFrame:
    """Merge frames by step; for each key the value of the last frame that has one is used.

    This is rule 3 in docs/explanation/reading-rules.md.

    Parameters
    ----------
    frames : sequence of polars.LazyFrame
        Frames whose rows may be in any order. If a frame has two rows of one step, the values of
        the later row are used.
    types : mapping
        The type of the result's column for each key.

    Returns
    -------
    polars.LazyFrame
        Ascending by step, one row per step.
    """
    source = unused_name(types)
    numbered = [f.with_columns(pl.lit(i).alias(source)) for i, f in enumerate(frames)]
    ordered = pl.concat(numbered).sort(STEP, source, maintain_order=True).drop(source)
    step = pl.col(STEP)
    is_double = ((step == step.shift(1)) | (step == step.shift(-1))).fill_null(value=False)
    # Group only rows whose step occurs twice: grouping costs ten times as much as sorting.
    marked = ordered.with_columns(is_double.alias(source))
    single = marked.filter(~pl.col(source)).drop(source)
    winners = [_last(key) for key in types]
    double = marked.filter(source).drop(source).group_by(STEP, maintain_order=True).agg(winners)
    return pl.concat([single, double]).sort(STEP)


def unused_name(names: Container[str]) -> str:
    """Return a name for a temporary column that is not in ``names``."""
    name = "_"
    while name in names:
        name += "_"
    return name


def _last(key: str) -> pl.Expr:
    return named(key).drop_nulls().last()
