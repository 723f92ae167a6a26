"""The fields of runs in the catalog, by the backend's names, as frames of runs need them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from runlake.cache.layout import RunDirectory
from runlake.history.runs.run_table import ENTITY, LABEL, PROJECT
from runlake.lake.selection import Selection, names_of
from runlake.lake.sql_text import Sql
from runlake.settings import load_settings
from runlake.values import RunPath

# Columns of the catalog, with the backend's names of these fields.
LIGHT = {
    "backend": "backend",
    "entity": ENTITY,
    "project": PROJECT,
    "run_id": "name",
    "name": "displayName",
    "state": "state",
    "created_at": "createdAt",
    "heartbeat_at": "heartbeatAt",
    "grp": "group",
    "job_type": "jobType",
    "user": "user",
    "sweep": "sweepName",
    "notes": "notes",
    "tags": "tags",
    "history_line_count": "historyLineCount",
}
LARGE = {"config": "config", "summary": "summaryMetrics", "exact": "exact"}
DOCUMENTS = ("config", "summary")

Fields = dict[str, Any]


def read_fields(
    selection: Selection, *, is_light: bool, extra: Sequence[Sql] = ()
) -> tuple[list[Fields], list[tuple[Any, ...]]]:
    """Return the fields of the selected runs, and the values of more columns.

    Parameters
    ----------
    selection : Selection
        The runs.
    is_light : bool
        Leave config and summary out.
    extra : sequence of Sql
        More expressions.

    Returns
    -------
    tuple of list of dict and list of tuple
        Of each run, its fields by the backend's names, and the values of the expressions.
    """
    columns = LIGHT if is_light else LIGHT | LARGE
    rows = selection.rows([*(Sql(f"runs.{name}") for name in columns), *extra])
    names = tuple(columns.values())
    fields = [_fields(dict(zip(names, row, strict=False))) for row in rows]
    directories = [
        RunDirectory(selection.root, one.pop("backend"), RunPath(*(one[name] for name in PATH)))
        for one in fields
    ]
    for one, directory, label in zip(fields, directories, names_of(directories), strict=True):
        one |= {LABEL: label, "url": url_of(directory), "directory": directory.relative}
    return fields, [row[len(names) :] for row in rows]


PATH = (ENTITY, PROJECT, "name")


def _fields(row: Fields) -> Fields:
    tags = json.loads(row["tags"] or "[]")
    user = None if row["user"] is None else {"username": row["user"]}
    found = {**row, "tags": tags, "user": user}
    if "config" in row:
        exact = found.pop("exact")
        documents: Mapping[str, Any] = json.loads(exact) if exact else {}
        for column, name in zip(DOCUMENTS, ("config", "summaryMetrics"), strict=True):
            text = row[name]
            found[name] = documents.get(column, {}) if documents else json.loads(text or "{}")
    return found


def url_of(directory: RunDirectory) -> str:
    """Return the address of a run's page."""
    entity, project, run_id = directory.run.quoted
    return f"{app_url(directory.base_url)}/{entity}/{project}/runs/{run_id}"


@lru_cache(maxsize=64)
def app_url(base_url: str) -> str:
    """Return the root of a backend's pages."""
    return load_settings({"base_url": base_url}, offline=True).app_url


def value_of(kind: str | None, value: object) -> Any:
    """Return a JSON value from its type and its value in SQLite."""
    if kind in {"true", "false"}:
        return kind == "true"
    return json.loads(str(value)) if kind in {"array", "object"} else value
