"""Projects of an entity, and the sweeps of projects."""

from __future__ import annotations

import base64
import re
import sqlite3
from collections.abc import Mapping
from typing import Any

from runlake.server.refused import Refused
from runlake.server.store.database import Database
from runlake.server.store.ids import MAX_NUMBER, parse_id, parse_number
from runlake.server.store.pages import Page, cut_page, page_size

MAX_NAME_LENGTH = 128
CHANGEABLE = ("description", "access", "views")


def list_projects(
    database: Database, entity: str, *, first: int | None, after: str | None
) -> Page[sqlite3.Row]:
    """Return a page of the projects of an entity, newest first."""
    return _page(
        database,
        "SELECT * FROM projects WHERE entity = ? AND id < ? ORDER BY id DESC LIMIT ?",
        (entity, _parse_cursor(after) if after else MAX_NUMBER),
        first,
    )


def upsert_project(
    database: Database, entity: str, given: Mapping[str, Any]
) -> tuple[sqlite3.Row, bool]:
    """Create or change a project.

    Parameters
    ----------
    database : Database
        Contains the projects.
    entity : str
        Owner of the project.
    given : mapping
        The fields of ``UpsertModelInput`` that are not null.

    Returns
    -------
    tuple of Row and bool
        The project, and whether it was created.
    """
    changes = {name: given[name] for name in CHANGEABLE if name in given}
    with database.transaction() as connection:
        if "id" in given:
            found = database.row(
                "SELECT * FROM projects WHERE id = ? AND entity = ?",
                parse_id(given["id"], "Project") or 0,
                entity,
            )
            if found is None:
                raise Refused(f"project {given['id']!r} not found")
            project_id, is_new = found["id"], False
        else:
            name = check_project_name(given.get("name"))
            is_new = (
                connection.execute(
                    "INSERT OR IGNORE INTO projects (entity, name) VALUES (?, ?)", (entity, name)
                ).rowcount
                > 0
            )
            project_id = connection.execute(
                "SELECT id FROM projects WHERE entity = ? AND name = ?", (entity, name)
            ).fetchone()["id"]
        for column, value in changes.items():
            connection.execute(
                f"UPDATE projects SET {column} = ? WHERE id = ?", (value, project_id)
            )
    row = database.row("SELECT * FROM projects WHERE id = ?", project_id)
    if row is None:
        raise Refused("the project was deleted")
    return row, is_new


def check_project_name(name: str | None) -> str:
    """Return the name if a project can have this name, else raise `Refused`."""
    if not name or len(name) > MAX_NAME_LENGTH or re.search(r"[/\\#?%:]|^\.\.?$", name):
        raise Refused(
            f"{name!r} is no name of a project: 1 to {MAX_NAME_LENGTH} characters without /\\#?%:"
        )
    return name


def check_segment(name: str, what: str) -> None:
    """Raise `Refused` if a project or run with this name could not have a web page."""
    if "/" in name or name in {".", ".."}:
        raise Refused(
            f"{name!r} is no name of a {what}: it must not have a slash, and not be '.' or '..'"
        )


def find_sweep(database: Database, project_id: int, name: str) -> sqlite3.Row | None:
    """Return a sweep with the number of its runs; None if there is no such sweep.

    The row also has the number of running and pending runs, and the time of the last heartbeat.
    """
    return database.row(f"{SWEEPS} AND sweeps.name = ?", project_id, name)


def count_sweeps(database: Database, project_id: int) -> int:
    """Return how many sweeps a project has."""
    row = database.row("SELECT count(*) AS n FROM sweeps WHERE project_id = ?", project_id)
    return int(row["n"]) if row else 0


def list_sweeps(
    database: Database, project_id: int, *, first: int | None, after: str | None
) -> Page[sqlite3.Row]:
    """Return a page of the sweeps of a project, oldest first."""
    return _page(
        database,
        f"{SWEEPS} AND sweeps.id > ? ORDER BY sweeps.id LIMIT ?",
        (project_id, _parse_cursor(after) if after else 0),
        first,
    )


SWEEPS = """
SELECT sweeps.*,
  (SELECT count(*) FROM runs WHERE project_id = sweeps.project_id AND sweep = sweeps.name)
    AS n_runs,
  (SELECT max(heartbeat_at) FROM runs WHERE project_id = sweeps.project_id AND sweep = sweeps.name)
    AS heartbeat_at,
  (SELECT count(*) FROM runs WHERE project_id = sweeps.project_id AND sweep = sweeps.name
     AND state IN ('running', 'pending')) AS n_running
FROM sweeps WHERE project_id = ?
"""


def _cursor(row: sqlite3.Row) -> str:
    return base64.urlsafe_b64encode(str(row["id"]).encode()).decode()


def _parse_cursor(text: str) -> int:
    try:
        return parse_number(base64.urlsafe_b64decode(text).decode())
    except ValueError:
        raise Refused(f"{text!r} is no cursor") from None


def _page(
    database: Database, statement: str, values: tuple[Any, ...], first: int | None
) -> Page[sqlite3.Row]:
    size = page_size(first)
    return cut_page(database.rows(statement, *values, size + 1), size, _cursor)
