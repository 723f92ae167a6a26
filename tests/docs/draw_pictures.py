"""Draw the pictures of the documentation: ``python -m tests.docs.draw_pictures``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from runlake.charts.chart import Chart
from runlake.charts.groups import series_of_groups
from runlake.charts.series import Series
from runlake.history.runs.align import make_curve, summarize

FOLDER = Path(__file__).parents[2] / "docs" / "how-to"
N_STEPS, N_SEEDS = 400, 5
SMOOTHING = 0.8


def losses(rate: float, seed: int) -> np.ndarray:
    """Return the loss of an invented training."""
    noise = np.random.default_rng(seed).normal(0, 0.12, N_STEPS)
    return np.exp(-np.arange(N_STEPS) * rate / 20) * (2 + noise) + 0.3 + 0.2 * noise


def group_of(rate: float) -> Series:
    """Return the mean of some seeds with its band, as `Runs.plot` does."""
    steps = np.arange(N_STEPS, dtype=float)
    curves = [make_curve(steps, losses(rate, seed), SMOOTHING) for seed in range(N_SEEDS)]
    summary = summarize(curves, steps, "asof", ["mean", "std"])
    table = pl.DataFrame({"config.lr": [rate] * N_STEPS, "key": ["loss"] * N_STEPS, "_step": steps})
    aligned = table.with_columns(pl.Series(name, values) for name, values in summary.items())
    return series_of_groups(aligned, "_step", ["config.lr"], ("std",))[0]


def main() -> None:
    """Write the pictures."""
    diverged = losses(0.9, 9)
    diverged[180:] = np.nan
    frame = pl.DataFrame({"_step": range(N_STEPS), "loss": diverged})
    series = (group_of(0.2), group_of(0.5), Series(frame, "loss", run="lr=0.9 (1 run)"))
    notes = ("mean of 5 runs, band: standard deviation",)
    Chart(series, title="loss", notes=notes).save(FOLDER / "plot.svg")


if __name__ == "__main__":
    main()
