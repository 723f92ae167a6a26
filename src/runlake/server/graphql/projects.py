"""GraphQL fields of projects, their sweeps, and lists of their runs."""

from __future__ import annotations

import sqlite3
from typing import Any

from runlake.server.graphql.context import Context
from runlake.server.graphql.pages import connection, time_in, timestamp
from runlake.server.graphql.table import Fields, Given, Table, column, constant
from runlake.server.graphql.users import entity_fields, user_fields
from runlake.server.refused import Refused
from runlake.server.runs.lists import count_runs, list_runs
from runlake.server.runs.projects import (
    count_sweeps,
    find_sweep,
    list_projects,
    list_sweeps,
    upsert_project,
)
from runlake.server.store.ids import make_id
from runlake.server.store.pages import Page

TABLE = Table()
TABLE.shows(
    "Project",
    {
        "id": lambda project: make_id("Project", project["id"]),
        "internalId": lambda project: str(project["id"]),
        "name": column("name"),
        "entityName": column("entity"),
        "entity": lambda project: entity_fields(0, project["entity"]),
        "createdAt": lambda project: timestamp(project["created_at"] or 0.0),
        "isBenchmark": constant(False),
        "description": column("description"),
        "access": column("access"),
        "views": column("views"),
        "readOnly": constant(False),
    },
)
# A sweep is known only by the runs that name it.
TABLE.shows(
    "Sweep",
    {
        "id": lambda sweep: make_id("Sweep", sweep["id"]),
        "name": column("name"),
        "displayName": constant(None),
        "method": constant("custom"),
        "state": lambda sweep: "RUNNING" if sweep["n_running"] else "FINISHED",
        "description": constant(None),
        "bestLoss": constant(None),
        "config": constant("{}"),
        "createdAt": time_in("created_at"),
        "updatedAt": time_in("heartbeat_at"),
        "runCount": column("n_runs"),
        "runCountExpected": constant(None),
    },
)


@TABLE.resolves("Query", "project", "model")
def _project(context: Context, _: Any, given: Given) -> sqlite3.Row | None:
    entity = given.get("entityName") or context.owner
    name = given.get("name") or "uncategorized"
    # Another user's project is answered like one that does not exist.
    return context.runs.project(entity, name) if entity == context.owner else None


@TABLE.resolves("Query", "models")
def _projects(context: Context, _: Any, given: Given) -> Fields:
    entity = given.get("entityName") or context.owner
    if entity != context.owner:
        # Projects of other users are not visible.
        return connection(Page([], [], has_next=False))
    first, after = given.get("first"), given.get("after")
    return connection(list_projects(context.runs.database, entity, first=first, after=after))


@TABLE.resolves("Project", "user")
def _user(context: Context, _: sqlite3.Row, __: Given) -> Fields | None:
    return user_fields(context.user) if context.user else None


@TABLE.resolves("Project", "run", "bucket")
def _run(context: Context, project: sqlite3.Row, given: Given) -> sqlite3.Row | None:
    return context.runs.find_small(project["entity"], project["name"], given["name"])


@TABLE.resolves("Project", "runCount")
def _run_count(context: Context, project: sqlite3.Row, given: Given) -> int:
    return count_runs(context.runs.database, project["id"], given.get("filters"))


@TABLE.resolves("Project", "runs")
def _runs(context: Context, project: sqlite3.Row, given: Given) -> Fields:
    filters = given.get("filters")
    page = list_runs(
        context.runs.database,
        project["id"],
        filters=filters,
        order=given.get("order"),
        first=given.get("first"),
        after=given.get("after"),
    )
    context.list_runs(page.rows)
    return connection(page, counted=(project["id"], filters))


@TABLE.resolves("RunConnection", "totalCount")
def _total_count(context: Context, page: Fields, _: Given) -> int:
    if "counted" not in page:
        return len(page["edges"])
    # Counting reads every run, so it is done only if the query selects the count.
    return count_runs(context.runs.database, *page["counted"])


@TABLE.resolves("Project", "sweep")
def _sweep(context: Context, project: sqlite3.Row, given: Given) -> sqlite3.Row | None:
    return find_sweep(context.runs.database, project["id"], given["sweepName"])


@TABLE.resolves("Project", "sweeps")
def _sweeps(context: Context, project: sqlite3.Row, given: Given) -> Fields:
    if given.get("filters", "") not in {"", "{}"}:
        raise Refused("sweeps cannot be filtered")
    first, after = given.get("first"), given.get("after")
    page = list_sweeps(context.runs.database, project["id"], first=first, after=after)
    return connection(page)


@TABLE.resolves("Project", "totalSweeps")
def _total_sweeps(context: Context, project: sqlite3.Row, _: Given) -> int:
    return count_sweeps(context.runs.database, project["id"])


@TABLE.mutation("upsertModel")
def _upsert_model(context: Context, given: Given) -> Fields:
    entity = context.entity(given.get("entityName"))
    project, is_new = upsert_project(context.runs.database, entity, given)
    return {"project": project, "model": project, "inserted": is_new}
