"""Fetch the samples that a backend chooses from the history and from the system metrics."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query_run
from runlake.backend.graphql.shapes import WRONG
from runlake.backend.http.client import Client
from runlake.backend.http.json_text import parse_json
from runlake.cache.companions import read_system_rows
from runlake.cache.layout import RunDirectory
from runlake.errors import ProtocolError
from runlake.history.rows.json_cells import flatten
from runlake.values import Row, RunPath


def fetch_sampled_rows(
    client: Client, run: RunPath, keys: Sequence[str] | None, n_rows: int
) -> list[Row]:
    """Fetch the backend's sample of a run's history, in one request.

    Parameters
    ----------
    client : Client
        The client of the backend.
    run : RunPath
        Path of the run.
    keys : sequence of str or None
        Keys that every row must have, the x axis first; None means every row and key.
    n_rows : int
        Maximum number of rows.

    Returns
    -------
    list of dict
        Rows evenly spaced over the run, nested keys dotted, nulls left out.
    """
    if keys is not None:
        spec = json.dumps({"keys": list(keys), "samples": n_rows})
        answer = query_run(client, documents.RUN_SAMPLED_HISTORY, run, specs=[spec])
        lines = answer.get("sampledHistory") or [[]]
        return parse_rows(client, run, lines[0] if isinstance(lines, list) else lines)
    answer = query_run(client, documents.RUN_FULL_HISTORY, run, samples=n_rows)
    return parse_rows(client, run, answer.get("history") or [])


def fetch_system_rows(client: Client, run: RunPath, n_rows: int) -> list[Row]:
    """Fetch the backend's sample of a run's system metrics, in one request.

    Offline, the rows that `Lake.pull` has stored are sampled in the same way.

    Parameters
    ----------
    client : Client
        The client of the backend.
    run : RunPath
        Path of the run.
    n_rows : int
        Maximum number of rows.

    Returns
    -------
    list of dict
        Rows with keys such as ``system.cpu``, with ``_timestamp`` and ``_runtime`` in seconds, and
        without ``_step``.
    """
    if client.settings.offline:
        settings = client.settings
        stored = read_system_rows(RunDirectory(settings.cache_dir, settings.base_url, run))
        if stored is not None:
            return evenly_spaced(stored, n_rows)
    answer = query_run(client, documents.RUN_EVENTS, run, samples=n_rows)
    return parse_rows(client, run, answer.get("events") or [])


def evenly_spaced(rows: list[Row], n_rows: int) -> list[Row]:
    """Return at most ``n_rows`` evenly spaced rows, the first and the last among them.

    If ``n_rows`` is 1, only the first row is returned.
    """
    if len(rows) <= n_rows or n_rows < 1:
        return rows[: max(0, n_rows)]
    if n_rows == 1:
        return rows[:1]
    return [rows[round(at * (len(rows) - 1) / (n_rows - 1))] for at in range(n_rows)]


def parse_rows(client: Client, run: RunPath, lines: Any) -> list[Row]:
    """Return the rows of a backend's sample; raise `ProtocolError` if a row is no JSON object."""
    try:
        return [flatten(parse_json(line) if isinstance(line, str) else line) for line in lines]
    except WRONG as error:
        raise ProtocolError(
            f"{client.origin} sent a sample of '{run}' with rows that are not JSON objects.",
            origin=client.origin,
        ) from error
