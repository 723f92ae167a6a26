"""Find one value that a run logged: the last value, from its summary, or the value at a step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runlake.backend.http.client import Client
from runlake.history.reader import open_reading
from runlake.values import Question, RunPath, check_whole


def logged_value(
    client: Client, run: RunPath, key: str, step: int | None, summary: Mapping[str, Any]
) -> Any:
    """Return the value that a run logged under a key; None if there is no such value.

    Parameters
    ----------
    client : Client
        The client of the backend.
    run : RunPath
        Path of the run.
    key : str
        The key that the value was logged under; dots separate the keys of nested mappings.
    step : int or None
        The step that the value was logged at; None means the last value, which is in the summary.
    summary : mapping
        The run's summary.

    Raises
    ------
    InvalidArgument
        If the step is not an integer.
    """
    if step is None:
        return _last_value(summary, key)
    start = check_whole(step, "step")
    question = Question.from_arguments([key], min_step=start, max_step=start + 1)
    reading = open_reading(client, run, question)
    return next((row[key] for rows in reading.iter_batches(1) for row in rows), None)


def _last_value(summary: Mapping[str, Any], key: str) -> Any:
    if key in summary:
        return summary[key]
    head, dot, rest = key.partition(".")
    nested = summary.get(head) if dot else None
    return _last_value(nested, rest) if isinstance(nested, Mapping) else None
