"""Runs as a frame: one row per run, config and summary as structs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import polars as pl

from runlake.history.columns import column_of

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
        The fields of each run as the backend names them; config and metrics as dicts.

    Returns
    -------
    polars.DataFrame
        One row per run, in order. Times are UTC.

    Examples
    --------
    >>> run_table([{"name": "r1", "config": {"lr": 0.1}}]).select("id", "config").to_dicts()
    [{'id': 'r1', 'config': {'lr': 0.1}}]
    """
    columns = [_column(column, field, runs, pl.String()) for column, field in TEXTS.items()]
    columns.append(_column("tags", "tags", runs, pl.List(pl.String())))
    users = [(run.get("user") or {}).get("username") for run in runs]
    columns.append(pl.Series("user", users, pl.String()))
    for column, field in TIMES.items():
        times = [_time(run.get(field)) for run in runs]
        columns.append(pl.Series(column, times, pl.Datetime("us", "UTC")))
    columns.append(_column("history_line_count", "historyLineCount", runs, pl.Int64()))
    columns += [
        column_of(column, [run.get(field) or {} for run in runs], pl.Struct([]))
        for column, field in STRUCTS.items()
    ]
    return pl.DataFrame(columns).select(ORDER.split())


def _column(
    name: str, field: str, runs: Sequence[Mapping[str, Any]], dtype: pl.DataType
) -> pl.Series:
    return pl.Series(name, [run.get(field) for run in runs], dtype)


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = datetime.fromisoformat(text)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
