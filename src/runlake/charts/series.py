"""The parts of a chart: series, bands and axes."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from runlake.charts.names import shown
from runlake.values import STEP, check_number, check_word

SCALES = ("linear", "log")
# Larger numbers count as infinite: the differences that axes compute would overflow.
LARGEST = 1e250
# Keys of the SDK whose values are times.
RUNTIME, TIMESTAMP = "_runtime", "_timestamp"


@dataclass(frozen=True, eq=False, slots=True)
class Band:
    """A range of values around a series, such as the mean with one standard deviation.

    Parameters
    ----------
    low, high : polars.Series
        The edges of the band; one value per row of the series' frame.
    n_nan : polars.Series
        Number of runs whose value is NaN, for each row. A row with a higher number than the row
        before it is marked as NaN. If no run has a number in a row, the mean is NaN, and the curve
        has a gap.
    """

    low: pl.Series
    high: pl.Series
    n_nan: pl.Series


@dataclass(frozen=True, eq=False, slots=True)
class Series:
    """One curve of a chart: a key of a run, or a statistic of a key over a group of runs.

    Parameters
    ----------
    frame : polars.DataFrame
        Has a column for the key and a column for the x axis. Series that share one frame are
        sampled together. A row whose key is null is not a point of the series.
    key : str
        Column of the values.
    x : str
        Column of the x axis.
    run : str
        Name of the run or group, for the legend.
    band : Band, optional
        The band around the series.
    n_points : int, optional
        Number of points from which the frame was sampled; if omitted, the frame has all points.
    """

    frame: pl.DataFrame
    key: str
    x: str = STEP
    run: str = ""
    band: Band | None = None
    n_points: int | None = None


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis of a chart.

    Parameters
    ----------
    key : str
        The key of an x axis; empty for a y axis.
    scale : {"linear", "log"}
        The scale. A log axis leaves out values of 0 and less.
    low, high : float or None
        The range, inclusive at both ends; None means that the lowest or highest value is the end.

    Examples
    --------
    >>> Axis("_runtime").label, Axis("epoch").label
    ('_runtime (s)', 'epoch')
    """

    key: str = ""
    scale: str = "linear"
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        check_word(self.scale, "scale", SCALES)
        for name in ("low", "high"):
            end = getattr(self, name)
            if end is not None:
                number = check_number(end, f"{name} of an axis")
                # Points beyond these ends are never drawn.
                object.__setattr__(self, name, max(-LARGEST, min(LARGEST, number)))

    @property
    def is_log(self) -> bool:
        """True if the axis is logarithmic."""
        return self.scale == "log"

    @property
    def is_time(self) -> bool:
        """True if the values are seconds since 1970."""
        return self.key == TIMESTAMP

    @property
    def label(self) -> str:
        """The text beside the axis: the key, and a unit for ``_runtime``."""
        return f"{shown(self.key)} (s)" if self.key == RUNTIME else shown(self.key)
