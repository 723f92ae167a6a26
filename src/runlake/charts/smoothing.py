"""Check and describe how the values of a curve are smoothed."""

from __future__ import annotations

from typing import Any

from runlake.errors import InvalidArgument

MAX_WINDOW = 2**63


def check_smooth(smooth: Any) -> float | int | None:
    """Check the argument ``smooth`` of a plot, and return the smoothing; None for no smoothing.

    Parameters
    ----------
    smooth : float, int or None
        From 0 to below 1, the weight of the exponential moving average of W&B's charts. An integer
        from 1 is a number of points: each value is replaced by the mean of this many points around
        it. None, 0 and 1 do not smooth.

    Raises
    ------
    InvalidArgument
        If ``smooth`` is anything else.

    Examples
    --------
    >>> check_smooth(0.9), check_smooth(25), check_smooth(1)
    (0.9, 25, None)
    """
    if smooth is None:
        return None
    is_number = isinstance(smooth, (int, float)) and not isinstance(smooth, bool)
    if is_number and 0 <= smooth < 1:
        return float(smooth) or None
    if is_number and 1 <= smooth < MAX_WINDOW and smooth == int(smooth):
        return int(smooth) if smooth > 1 else None
    raise InvalidArgument(
        "smooth must be a weight from 0 to below 1, or a whole number of points of a window, "
        f"not {smooth!r}."
    )


def describe(smooth: float) -> str:
    """Return a sentence about the smoothing, for the notes of a chart.

    Examples
    --------
    >>> describe(0.9), describe(25)
    ('smoothed: moving average with weight 0.9', 'smoothed: mean of 25 points')
    """
    if smooth < 1:
        return f"smoothed: moving average with weight {smooth:g}"
    return f"smoothed: mean of {smooth:,} points"
