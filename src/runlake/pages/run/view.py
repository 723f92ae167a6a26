"""`View`: how the charts of a run are drawn, read from the query of a URL."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from runlake.charts.smoothing import check_smooth
from runlake.errors import InvalidArgument

# Maximum number of digits of a step. Python refuses to read numbers of more than 4,300 digits.
MAX_DIGITS = 19
POINTS, MAX_POINTS, MIN_POINTS = 1_000, 20_000, 4


@dataclass(frozen=True, slots=True)
class View:
    """How the charts of a run are drawn.

    Parameters
    ----------
    x : str or None
        The key of the x axis; None means the axis that ``define_metric`` declared for each key.
    smooth : float, int or None
        The smoothing, as for `Run.plot`; None for no smoothing.
    log : bool
        Whether the y axis is logarithmic.
    low, high : float or None
        The range of the x axis, inclusive at both ends; None means no limit.
    points : int
        Maximum number of points of a curve.
    end : int
        The page already shows the rows before this step, so the charts must have these rows too.
    """

    x: str | None = None
    smooth: float | int | None = None
    log: bool = False
    low: float | None = None
    high: float | None = None
    points: int = POINTS
    end: int = 0

    @classmethod
    def of_query(cls, query: Mapping[str, str]) -> View:
        """Read a view from the query of a URL; raise `InvalidArgument` for wrong values.

        Examples
        --------
        >>> View.of_query({"smooth": "0.9", "log": "1", "low": "10"})
        View(x=None, smooth=0.9, log=True, low=10.0, high=None, points=1000, end=0)
        """
        smooth = number_in(query, "smooth")
        points = number_in(query, "points")
        if points is not None and not MIN_POINTS <= points <= MAX_POINTS:
            raise InvalidArgument(f"points must be from {MIN_POINTS} to {MAX_POINTS:,}.")
        return cls(
            x=query.get("x") or None,
            smooth=check_smooth(int(smooth) if smooth and smooth >= 1 else smooth),
            log=query.get("log", "") not in ("", "0"),
            low=number_in(query, "low"),
            high=number_in(query, "high"),
            points=POINTS if points is None else int(points),
            end=whole_in(query, "end") or 0,
        )


def number_in(query: Mapping[str, str], name: str) -> float | None:
    """Return a parameter of a query as a number; None if the parameter is missing or empty.

    Raises
    ------
    InvalidArgument
        If the text is not a finite number.
    """
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidArgument(f"{name} must be a finite number, not {text!r}.")
    return number


def whole_in(query: Mapping[str, str], name: str, least: int = 0) -> int | None:
    """Return a parameter of a query as a whole number; None if it is missing or empty.

    Raises
    ------
    InvalidArgument
        If the text is not a whole number, or is less than the argument ``least``.
    """
    text = query.get(name, "").strip()
    if not text:
        return None
    if len(text) > MAX_DIGITS or not text.isdecimal() or not text.isascii() or int(text) < least:
        raise InvalidArgument(f"{name} must be a whole number from {least} on, not {text[:40]!r}.")
    return int(text)
