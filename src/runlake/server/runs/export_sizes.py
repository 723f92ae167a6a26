"""Decides when rows that are in no export yet are exported, and how many rows an export gets."""

from __future__ import annotations

import sqlite3

FIRST_ROWS = 10_000
# While a run goes on, an export has at least an eighth of the rows that are already exported. So
# the number of exports grows with the logarithm of the run's length.
GROWTH = 8
# More live rows or bytes than this are exported in any case, because readers receive them as JSON.
MAX_LIVE_ROWS = 50_000
MAX_LIVE_BYTES = 24 << 20
UNDER_WAY = {"running", "preempting", "pending"}


def is_due(run: sqlite3.Row, rows: int | None) -> bool:
    """Return whether rows of a run that are in no export yet must be exported now.

    Parameters
    ----------
    run : Row
        The run, with ``state``, ``line_count``, ``exported_count`` and ``live_bytes``.
    rows : int or None
        Rows per export. If None, the exports of a run get larger as the run gets longer.
    """
    n_live = run["line_count"] - run["exported_count"]
    if not n_live:
        return False
    return (
        run["state"] not in UNDER_WAY
        or n_live >= (rows or _least_rows(run["exported_count"]))
        or run["live_bytes"] >= MAX_LIVE_BYTES
    )


def most_rows(rows: int | None) -> int:
    """Return the maximum number of rows in an export.

    This is ``rows``, the server's option, or `MAX_LIVE_ROWS` if the option is None.
    """
    return rows or MAX_LIVE_ROWS


def _least_rows(n_exported: int) -> int:
    return min(max(FIRST_ROWS, -(-n_exported // GROWTH)), MAX_LIVE_ROWS)
