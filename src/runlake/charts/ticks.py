"""Chooses round values for the ticks of an axis, and formats these values as text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

ROUND = (1, 2, 5, 10)
DAY = 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Powers of ten with exponents beyond these are written like 1e12.
MAX_PLAIN, MIN_PLAIN = 5, -4


def round_ticks(low: float, high: float, n_ticks: int) -> list[float]:
    """Return equally spaced round values within a range; if there are none, the range's ends.

    Parameters
    ----------
    low, high : float
        The range, inclusive.
    n_ticks : int
        Maximum number of values, at least 2.

    Examples
    --------
    >>> round_ticks(0, 100, 6), round_ticks(3, 3, 4)
    ([0.0, 20.0, 40.0, 60.0, 80.0, 100.0], [3])
    """
    span = high - low
    if not 0 < span < math.inf:
        return [low]
    rough = span / max(n_ticks - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough)) if rough > 0 else 0.0
    step = next((n * power for n in ROUND if n * power >= rough * (1 - 1e-9)), 0.0)
    # Between neighbours of floats, and among denormal numbers, there are no round values.
    if not step > 0 or low + step == low or high / step > 1e15:  # noqa: PLR2004
        return [low, high]
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{n * step:.12g}") for n in range(first, last + 1)] or [low, high]


def log_ticks(low: float, high: float, n_ticks: int) -> list[float]:
    """Return whole exponents of ten within a range; the range's ends if fewer than two fit.

    Examples
    --------
    >>> log_ticks(-3.2, 1, 4), log_ticks(0.1, 0.7, 4)
    ([-3.0, -1.0, 1.0], [0.1, 0.7])
    """
    first, last = math.ceil(low), math.floor(high)
    if last <= first:
        return [low, high] if high > low else [low]
    step = -(-(last - first) // max(n_ticks - 1, 1))
    return [float(n) for n in range(first, last + 1, step)]


def tick_text(value: float) -> str:
    """Return the text of a number beside a tick of an axis.

    Examples
    --------
    >>> [tick_text(value) for value in (0.25, 1_000, 2_500_000, 1e-9)]
    ['0.25', '1,000', '2,500,000', '1e-09']
    """
    if value == int(value) and abs(value) < 1e9:  # noqa: PLR2004
        return f"{int(value):,}"
    return f"{value:.6g}"


def log_text(exponent: float) -> str:
    """Return the text of a power of ten beside a tick of a log axis.

    Examples
    --------
    >>> log_text(-2), log_text(12), log_text(0.5)
    ('0.01', '1e12', '3.16')
    """
    if exponent == int(exponent) and not MIN_PLAIN <= exponent <= MAX_PLAIN:
        return f"1e{int(exponent)}"
    return f"{10**exponent:.3g}" if exponent <= 2 else f"{10**exponent:,.0f}"  # noqa: PLR2004


def time_texts(moments: Sequence[float]) -> list[str]:
    """Return dates and times in UTC as text, only as precise as needed to distinguish them.

    Examples
    --------
    >>> time_texts([0, 3600]), time_texts([0, 10 * 86_400])
    (['00:00:00', '01:00:00'], ['1970-01-01', '1970-01-11'])
    """
    span = max(moments) - min(moments)
    form = "%Y-%m-%d" if span > 4 * DAY else "%m-%d %H:%M" if span > DAY / 2 else "%H:%M:%S"
    return [_at(moment, form) for moment in moments]


def _at(moment: float, form: str) -> str:
    try:
        return (EPOCH + timedelta(seconds=moment)).strftime(form)
    except OverflowError:
        return tick_text(moment)
