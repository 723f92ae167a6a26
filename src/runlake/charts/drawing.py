"""`Drawing`: the points and text of a chart, which each drawer turns into its output."""

from __future__ import annotations

from dataclasses import dataclass

from runlake.charts.curves import Curve
from runlake.charts.series import Axis
from runlake.values.counted import counted

# The years 1 to 9999, in seconds since 1970. Times in other units are later.
FIRST_DATE, LAST_DATE = -62_135_596_800, 253_402_300_799


@dataclass(frozen=True, eq=False, slots=True)
class Drawing:
    """The points and text of a chart, ready to be drawn.

    Parameters
    ----------
    heading : str
        The title, safe to print.
    remarks : tuple of str
        Sentences to show below the curves, safe to print.
    curves : tuple of Curve
        The curves with the points to draw.
    x, y : Axis
        Key, scale and range of the axes.
    """

    heading: str
    remarks: tuple[str, ...]
    curves: tuple[Curve, ...]
    x: Axis
    y: Axis

    @property
    def has_dates(self) -> bool:
        """Whether the x axis shows dates: it is linear, and has times in the years 1 to 9999."""
        is_linear_time = self.x.is_time and not self.x.is_log
        return is_linear_time and all(
            curve.x[0] >= FIRST_DATE and curve.x[-1] <= LAST_DATE
            for curve in self.curves
            if len(curve.x)
        )

    @property
    def notes(self) -> str:
        """`remarks` as one line, with the number of points that a log y axis leaves out."""
        n_below = sum(int((curve.y <= 0).sum()) for curve in self.curves) if self.y.is_log else 0
        more = (
            (f"{counted(n_below, 'point')} at or below 0, not on the log axis",) if n_below else ()
        )
        return "; ".join((*self.remarks, *more))
