"""Read the fields of runs from the catalog, under the backend's names, for frames of runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runlake.history.runs.run_table import ENTITY, LABEL, PROJECT
from runlake.lake.query.selection import PLACE, Selection, names_of
from runlake.lake.query.sql_text import Sql
from runlake.settings import load_settings
from runlake.values import INTERNAL_CONFIG

# Columns of the catalog, with the backend's names of these fields.
NAMES = {
    "backend": "backend",
    "entity": ENTITY,
    "project": PROJECT,
    "run_id": "name",
    "directory": "directory",
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
    "config": "config",
    "summary": "summaryMetrics",
    "exact": "exact",
}
LARGE = ("config", "summary", "exact")
LIGHT = tuple(name for name in NAMES if name not in LARGE)
# Columns of a frame that need columns of the catalog with other names.
SOURCES: Mapping[str, Sequence[str]] = {
    "id": (),
    "url": (),
    "group": ("grp",),
    "duration": ("created_at", "heartbeat_at"),
    "runtime": ("summary", "exact"),
    "config": LARGE,
    "summary": LARGE,
}

Fields = dict[str, Any]


def sources_of(names: Collection[str]) -> tuple[str, ...]:
    """Return the catalog columns that must be read for the given columns of a frame."""
    needed = {source for name in names for source in SOURCES.get(name, (name,))}
    return tuple(name for name in NAMES if name in needed or name in (*PLACE, "directory"))


def read_fields(
    selection: Selection, columns: Sequence[str], extra: Sequence[Sql] = ()
) -> tuple[list[Fields], list[tuple[Any, ...]]]:
    """Return the fields of the selected runs, and the values of more SQL expressions.

    Parameters
    ----------
    selection : Selection
        The runs to read.
    columns : sequence of str
        Columns of the catalog; the first four are backend, entity, project and id of the run.
    extra : sequence of Sql
        SQL expressions to compute for each run.

    Returns
    -------
    tuple of list of dict and list of tuple
        The fields of each run by the backend's names, and the values of the expressions for each
        run.
    """
    rows = selection.rows([*(Sql(f"runs.{name}") for name in columns), *extra])
    names = tuple(NAMES[column] for column in columns)
    fields = [dict(zip(names, row, strict=False)) for row in rows]
    for one, label in zip(fields, names_of(rows), strict=True):
        _convert(one)
        one[LABEL] = label
        run_id = one["name"]
        # Most ids need no escapes, and a filter finds thousands of runs.
        quoted = run_id if run_id.isascii() and run_id.isalnum() else quote(run_id, safe="")
        one["url"] = f"{_project_url(*map(one.get, PROJECT_OF))}/runs/{quoted}"
    return fields, [row[len(names) :] for row in rows]


def read_internal_config(root: Path, directory: str) -> Fields:
    """Return W&B's own entries in the config of a run, such as ``_wandb`` with its branch point.

    Parameters
    ----------
    root : Path
        Root of the lake.
    directory : str
        The run's directory relative to the root.

    Returns
    -------
    dict
        Empty if the lake does not have the run.
    """
    selection = Selection(root, directories=(directory,))
    for attrs, exact in selection.rows([Sql("runs.attrs"), Sql("runs.exact")]):
        found = json.loads(exact)["attrs"] if exact else json.loads(attrs or "{}")
        return {name: value for name, value in found.items() if name in INTERNAL_CONFIG}
    return {}


PROJECT_OF = ("backend", ENTITY, PROJECT)


def _convert(fields: Fields) -> None:
    if "tags" in fields:
        tags = fields["tags"]
        fields["tags"] = [] if tags in (None, "[]") else json.loads(tags)
    if fields.get("user") is not None:
        fields["user"] = {"username": fields["user"]}
    exact = fields.pop("exact", None)
    documents: Mapping[str, Any] = json.loads(exact) if exact else {}
    for column in ("config", "summary"):
        name = NAMES[column]
        if name in fields:
            text = fields[name]
            fields[name] = documents[column] if documents else json.loads(text or "{}")


@lru_cache(maxsize=1024)
def _project_url(backend: str, entity: str, project: str) -> str:
    return f"{app_url(backend)}/{quote(entity, safe='')}/{quote(project, safe='')}"


@lru_cache(maxsize=64)
def app_url(base_url: str) -> str:
    """Return the root URL of a backend's web pages."""
    return load_settings({"base_url": base_url}, offline=True).app_url


def value_of(kind: str | None, value: object) -> Any:
    """Convert a value from SQLite to a Python value; ``kind`` is the ``json_type`` of the value."""
    if kind in {"true", "false"}:
        return kind == "true"
    return json.loads(str(value)) if kind in {"array", "object"} else value
