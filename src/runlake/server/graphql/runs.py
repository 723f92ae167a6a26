"""GraphQL fields and mutations of runs; the module `history` has the fields of the history."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from runlake.server.graphql.context import Context
from runlake.server.graphql.pages import time_in
from runlake.server.graphql.table import Fields, Given, Table, column, constant
from runlake.server.refused import Refused
from runlake.server.runs.branches import checked_step
from runlake.server.store.ids import make_id, parse_id

TABLE = Table()
TABLE.shows(
    "Run",
    {
        "id": lambda run: make_id("Run", run["id"]),
        "name": column("name"),
        "projectId": lambda run: str(run["project_id"]),
        "displayName": column("display_name"),
        "state": column("state"),
        "stopped": lambda run: bool(run["is_stopped"]),
        "description": column("description"),
        "notes": column("notes"),
        "tags": lambda run: json.loads(run["tags"]),
        "group": column("group_name"),
        "jobType": column("job_type"),
        "commit": column("commit_hash"),
        "host": column("host"),
        "readOnly": constant(False),
        "createdAt": time_in("created_at"),
        "heartbeatAt": time_in("heartbeat_at"),
        "sweepName": column("sweep"),
        "historyLineCount": column("line_count"),
        "user": lambda run: {
            "name": run["entity"],
            "username": run["entity"],
            "id": make_id("User", 0),
        },
    },
)


@TABLE.resolves("Run", "project")
def _project(context: Context, run: sqlite3.Row, _: Given) -> sqlite3.Row | None:
    return context.runs.project(run["entity"], run["project"])


@TABLE.resolves("Run", "config")
def _config(context: Context, run: sqlite3.Row, _: Given) -> Any:
    return context.large(run, "config")


@TABLE.resolves("Run", "summaryMetrics")
def _summary(context: Context, run: sqlite3.Row, _: Given) -> Any:
    return context.large(run, "summary")


@TABLE.resolves("Run", "systemMetrics")
def _system_metrics(context: Context, run: sqlite3.Row, _: Given) -> Any:
    return context.large(run, "system_metrics")


@TABLE.resolves("Run", "wandbConfig")
def _wandb_config(context: Context, run: sqlite3.Row, given: Given) -> str:
    entry = json.loads(context.large(run, "config")).get("_wandb")
    value = entry.get("value") if isinstance(entry, dict) else None
    keys, items = given.get("keys"), value.items() if isinstance(value, dict) else ()
    return json.dumps({k: v for k, v in items if keys is None or k in keys})


@TABLE.mutation("upsertBucket")
def _upsert(context: Context, given: Given) -> Fields:
    run, is_new = context.runs.upsert(context.entity(given.get("entityName")), given)
    return {"bucket": run, "inserted": is_new}


@TABLE.mutation("updateRunState")
def _update_state(context: Context, given: Given) -> Fields:
    context.runs.set_state(_own_run(context, given["id"]), given["state"])
    return {"success": True}


@TABLE.mutation("deleteRun")
def _delete(context: Context, given: Given) -> Fields:
    if context.runs.was_deleted(parse_id(given["id"], "Run")):
        # The SDK repeats a request whose answer was lost.
        return {"clientMutationId": None}
    run_id = _own_run(context, given["id"])
    context.artifacts.forget_run(run_id, delete=bool(given.get("deleteArtifacts")))
    context.run_files.delete_all(run_id)
    context.runs.delete(run_id)
    return {"clientMutationId": None}


@TABLE.mutation("stopRun")
def _stop(context: Context, given: Given) -> Fields:
    context.runs.stop(_own_run(context, given["id"]))
    return {"success": True}


@TABLE.mutation("rewindRun")
def _rewind(context: Context, given: Given) -> Fields:
    if given["metricName"] != "_step":
        raise Refused("runs can be rewound by _step only")
    run = context.run(given.get("entityName"), given.get("projectName"), given["runName"])
    return {"rewoundRun": context.runs.rewind(run, checked_step(given["metricValue"]))}


def _own_run(context: Context, storage_id: str) -> int:
    number = parse_id(storage_id, "Run")
    run = context.runs.get(number) if number is not None else None
    if run is None or run["entity"] != context.owner:
        raise Refused(f"run {storage_id!r} not found")
    return int(run["id"])
