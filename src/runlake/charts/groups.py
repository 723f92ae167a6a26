"""Turns statistics of groups of runs, such as the mean at each x, into series with bands."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from runlake.charts.series import Band, Series
from runlake.values.counted import counted

KEY, MEAN = "key", "mean"
COUNTS = ("n", "n_nan", "n_missing")


def series_of_groups(
    aligned: pl.DataFrame, axis: str, by: Sequence[str], stats: Sequence[str]
) -> list[Series]:
    """Return a series with a band for each group of runs and each key.

    Parameters
    ----------
    aligned : DataFrame
        The result of `Runs.align`: the columns of ``by``, ``key``, the axis, and statistics,
        including the mean. The rows of each group and key are consecutive.
    axis : str
        Column of the x axis.
    by : sequence of str
        Columns of the groups; empty for a single group.
    stats : sequence of str
        Chooses the edges of the band: one statistic ("std" or "sem") that is added to the mean and
        subtracted from the mean, "ci95", two statistics for the lower and upper edge, or nothing
        for no band.
    """
    parts = _parts(aligned, [*by, KEY])
    return [_series(part, axis, by, stats) for part in parts]


def _parts(aligned: pl.DataFrame, names: Sequence[str]) -> list[pl.DataFrame]:
    if aligned.is_empty():
        return []
    # A position in place of a name: polars takes some names as patterns.
    labels = [aligned.get_column(name).alias(str(place)) for place, name in enumerate(names)]
    blocks = pl.DataFrame(labels).to_struct("block").rle_id()
    starts = [*(blocks.diff() != 0).fill_null(value=True).arg_true().to_list(), aligned.height]
    return [aligned[start:stop] for start, stop in pairwise(starts)]


def _series(part: pl.DataFrame, axis: str, by: Sequence[str], stats: Sequence[str]) -> Series:
    key = part.get_column(KEY)[0]
    mean = part.get_column(MEAN)
    frame = pl.DataFrame([part.get_column(axis), mean.alias(key)])
    low, high = _edges(part, mean, stats)
    n_runs = sum(part.get_column(name)[0] for name in COUNTS)
    band = Band(low, high, part.get_column("n_nan"))
    return Series(frame, key, axis, f"{_group_name(part, by)} ({counted(n_runs, 'run')})", band)


def _edges(
    part: pl.DataFrame, mean: pl.Series, stats: Sequence[str]
) -> tuple[pl.Series, pl.Series]:
    if not stats:
        nothing = pl.Series([None], dtype=pl.Float64).new_from_index(0, part.height)
        return nothing, nothing
    if stats[0] == "ci95":
        return part.get_column("ci95_low"), part.get_column("ci95_high")
    if len(stats) > 1:
        return part.get_column(stats[0]), part.get_column(stats[1])
    apart = part.get_column(stats[0])
    return mean - apart, mean + apart


def _group_name(part: pl.DataFrame, by: Sequence[str]) -> str:
    """Return the name of a group for the legend, such as ``lr=0.1, seed=3``."""
    if not by:
        return "all runs"
    values = [part.get_column(name)[0] for name in by]
    pairs = zip(by, values, strict=True)
    return ", ".join(f"{name.removeprefix('config.')}={_shown(value)}" for name, value in pairs)


def _shown(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
