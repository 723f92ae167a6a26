"""`Drawing`: what a drawer draws, with everything decided."""

from __future__ import annotations

from dataclasses import dataclass

from runlake.charts.curves import Curve
from runlake.charts.series import Axis


@dataclass(frozen=True, eq=False, slots=True)
class Drawing:
    """The points and texts of a chart.

    Parameters
    ----------
    heading : str
        The title, safe to print.
    remarks : tuple of str
        Sentences to show below the curves, safe to print.
    curves : tuple of Curve
        The points.
    x, y : Axis
        Key, scale and range of the axes.
    """

    heading: str
    remarks: tuple[str, ...]
    curves: tuple[Curve, ...]
    x: Axis
    y: Axis
