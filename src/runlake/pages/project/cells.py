"""Formats values as the text of table cells."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from runlake.notebook.cells import cell_text, is_number

MINUTE, HOUR, DAY = 60, 3_600, 86_400
# How W&B writes NaN and infinities, in JSON and in summaries.
NOT_FINITE = ("NaN", "Infinity", "-Infinity")


def shown_value(value: Any, column: str = "") -> str:
    """Return the text of a table cell for a value; ``tags`` and durations have their own format.

    Examples
    --------
    >>> shown_value(float("nan")), shown_value(1 / 3), shown_value(90.0, "runtime")
    ('NaN', '0.333333', '1m 30s')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return _shown_number(value, column)
    if isinstance(value, datetime):
        moment = value.astimezone(UTC) if value.tzinfo else value
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    if column == "tags" and isinstance(value, Sequence) and not isinstance(value, str):
        return cell_text(", ".join(map(str, value)))
    return cell_text(value)


def _shown_number(value: float, column: str) -> str:
    if value in (math.inf, -math.inf):
        return NOT_FINITE[1 if value > 0 else 2]
    if value != value:  # noqa: PLR0124 - NaN; an integer may be too large for a float
        return NOT_FINITE[0]
    return shown_seconds(value) if column in {"duration", "runtime"} else cell_text(value)


def shown_seconds(seconds: float) -> str:
    """Return a duration as text with at most two units.

    Examples
    --------
    >>> shown_seconds(3.25), shown_seconds(7_300), shown_seconds(200_000)
    ('3.2s', '2h 1m', '2d 7h')
    """
    if not 0 <= seconds < 1e12:  # noqa: PLR2004 - longer than history
        return cell_text(float(seconds))
    if seconds < MINUTE:
        return f"{seconds:.2g}s"
    whole = int(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE}m {whole % MINUTE}s"
    if whole < DAY:
        return f"{whole // HOUR}h {whole % HOUR // MINUTE}m"
    return f"{whole // DAY}d {whole % DAY // HOUR}h"


def is_numeric(value: Any) -> bool:
    """Return whether a value is a number, or a string that W&B writes for NaN or an infinity."""
    return is_number(value) or (isinstance(value, str) and value in NOT_FINITE)
