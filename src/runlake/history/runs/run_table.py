"""Convert runs to a frame: one row per run, config and summary as structs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from runlake.history.frames.json_columns import column_of

TEXTS = {
    "id": "name",
    "name": "displayName",
    "state": "state",
    "group": "group",
    "job_type": "jobType",
    "sweep": "sweepName",
    "notes": "notes",
}
TIMES = {"created_at": "createdAt", "heartbeat_at": "heartbeatAt"}
MAX_COUNT = 1 << 63
STRUCTS = {"config": "config", "summary": "summaryMetrics"}
ORDER = (
    "id name state tags group job_type user sweep notes created_at heartbeat_at "
    "history_line_count config summary"
)


def run_table(runs: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return runs as a frame.

    Parameters
    ----------
    runs : sequence of mapping
        The fields of each run as the backend names them; config and summary as dicts.

    Returns
    -------
    polars.DataFrame
        One row per run, in order. Times are UTC.

    Examples
    --------
    >>> run_table([{"name": "r1", "config": {"lr": 0.1}}]).select("id", "config").to_dicts()
    [{'id': 'r1', 'config': {'lr': 0.1}}]
    """
    columns = [
        pl.Series(column, [_text(run.get(field)) for run in runs], pl.String())
        for column, field in TEXTS.items()
    ]
    tags = [_texts(run.get("tags")) for run in runs]
    columns.append(pl.Series("tags", tags, pl.List(pl.String())))
    users = [_text((run.get("user") or {}).get("username")) for run in runs]
    columns.append(pl.Series("user", users, pl.String()))
    for column, field in TIMES.items():
        times = [_time(run.get(field)) for run in runs]
        columns.append(pl.Series(column, times, pl.Datetime("us", "UTC")))
    counts = [_count(run.get("historyLineCount")) for run in runs]
    columns.append(pl.Series("history_line_count", counts, pl.Int64()))
    columns += [
        column_of(column, [run.get(field) or {} for run in runs], pl.Struct([]))
        for column, field in STRUCTS.items()
    ]
    return pl.DataFrame(columns).select(ORDER.split())


def _text(value: object) -> str | None:
    # A text may have a lone surrogate, which JSON allows and UTF-8 does not.
    return None if value is None else str(value).encode("utf-8", "backslashreplace").decode()


def _texts(values: object) -> list[str | None] | None:
    return [_text(value) for value in values] if isinstance(values, list) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value < MAX_COUNT else None


def _time(text: object) -> datetime | None:
    """Return a time in UTC; None if the text is not a time."""
    try:
        moment = datetime.fromisoformat(str(text))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
