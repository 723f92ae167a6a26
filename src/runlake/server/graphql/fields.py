"""What GraphQL shows of runs, projects and users."""

from __future__ import annotations

import base64
import json
import mimetypes
import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from runlake.server.artifacts.artifacts import ArtifactStore
from runlake.server.runs.files import RunFiles, file_object
from runlake.server.runs.history_rows import NO_LIMIT
from runlake.server.runs.lines import Row, history_keys, sample_evenly, to_wire
from runlake.server.runs.lists import count_runs, list_runs
from runlake.server.runs.projects import (
    Listed,
    count_sweeps,
    cursor_of,
    find_sweep,
    list_projects,
    list_sweeps,
)
from runlake.server.runs.runs import Refused, RunStore, make_id, system_row
from runlake.server.runs.wire_json import read_body
from runlake.server.store.accounts import User
from runlake.server.store.objects import Storage

Fields = dict[str, Any]
PARQUET_AWARE = {"HistoryPage", "SampledHistoryPage"}
MAX_LINES = 10_000


@dataclass(frozen=True, slots=True)
class Context:
    """What one GraphQL request may see.

    Parameters
    ----------
    user : User or None
        Whose API key came along.
    operation : str
        The ``operationName`` of the envelope; empty from the SDK's Python code.
    runs, run_files, artifacts, storage
        The server's stores.
    """

    user: User | None
    operation: str
    runs: RunStore
    run_files: RunFiles
    artifacts: ArtifactStore
    storage: Storage

    @property
    def owner(self) -> str:
        """The entity of the user."""
        if self.user is None:
            raise Refused("user is not logged in")
        return self.user.name

    def entity(self, name: str | None) -> str:
        """Return an entity that the user may write to."""
        if name not in {None, "", self.owner}:
            raise Refused(f"permission denied for entity {name!r}")
        return self.owner

    def run(self, entity: str | None, project: str | None, name: str) -> sqlite3.Row:
        """Return a run that the user may see."""
        run = self.runs.find(self.entity(entity), project or "uncategorized", name)
        if run is None:
            raise Refused(f"run {entity}/{project}/{name} not found")
        return run


def user_fields(user: User) -> Fields:
    """Return the fields of ``User``."""
    team = {"id": make_id("Entity", user.id), "name": user.name}
    return {
        "id": make_id("User", user.id),
        "name": user.name,
        "username": user.name,
        "email": f"{user.name}@localhost",
        "admin": False,
        "flags": "{}",
        "entity": user.name,
        "apiKeys": {"edges": []},
        "teams": {"edges": [{"node": team}]},
    }


def project_fields(context: Context, row: sqlite3.Row) -> Fields:
    """Return the fields of ``Project``."""
    database, project_id = context.runs.database, row["id"]

    def run(_: Any, **arguments: Any) -> Fields | None:
        found = context.runs.find(row["entity"], row["name"], arguments["name"])
        return run_fields(context, found) if found else None

    def runs(_: Any, **arguments: Any) -> Fields:
        return _run_connection(context, project_id, arguments)

    def sweep(_: Any, **arguments: Any) -> Fields | None:
        found = find_sweep(database, project_id, arguments["sweepName"])
        return sweep_fields(found) if found else None

    def sweeps(_: Any, **arguments: Any) -> Fields:
        if arguments.get("filters") not in {None, "", "{}"}:
            raise Refused("sweeps cannot be filtered")
        first, after = arguments.get("first"), arguments.get("after")
        return _connection(
            list_sweeps(database, project_id, first=first, after=after), sweep_fields
        )

    return {
        "id": make_id("Project", project_id),
        "internalId": str(project_id),
        "name": row["name"],
        "entityName": row["entity"],
        "entity": {"id": make_id("Entity", 0), "name": row["entity"]},
        "createdAt": timestamp(row["created_at"] or 0.0),
        "isBenchmark": False,
        "user": user_fields(context.user) if context.user else None,
        "description": row["description"],
        "access": row["access"],
        "views": row["views"],
        "readOnly": False,
        "runCount": lambda _, **given: count_runs(database, project_id, given.get("filters")),
        "run": run,
        "bucket": run,
        "runs": runs,
        "sweep": sweep,
        "sweeps": sweeps,
        "totalSweeps": lambda _: count_sweeps(database, project_id),
    }


def project_connection(context: Context, arguments: Mapping[str, Any]) -> Fields:
    """Return the projects of an entity, page by page; of others' there are none to see."""
    entity = arguments.get("entityName") or context.owner
    if entity != context.owner:
        return _connection(Listed([], has_next=False), dict)
    listed = list_projects(
        context.runs.database, entity, first=arguments.get("first"), after=arguments.get("after")
    )
    return _connection(listed, lambda row: project_fields(context, row))


def sweep_fields(row: sqlite3.Row) -> Fields:
    """Return the fields of ``Sweep``, which is known by the runs that name it only."""
    updated = row["heartbeat_at"]
    return {
        "id": make_id("Sweep", row["id"]),
        "name": row["name"],
        "displayName": None,
        "method": "custom",
        "state": "RUNNING" if row["n_running"] else "FINISHED",
        "description": None,
        "bestLoss": None,
        "config": "{}",
        "createdAt": timestamp(row["created_at"]),
        "updatedAt": timestamp(updated) if updated is not None else None,
        "runCount": row["n_runs"],
        "runCountExpected": None,
    }


def _connection(listed: Listed, fields: Callable[[sqlite3.Row], Fields]) -> Fields:
    edges = [{"node": fields(row), "cursor": cursor_of(row)} for row in listed.rows]
    return {"edges": edges, "pageInfo": _page_info(edges, has_next=listed.has_next)}


def _page_info(edges: list[Fields], *, has_next: bool) -> Fields:
    return {"endCursor": edges[-1]["cursor"] if edges else None, "hasNextPage": has_next}


def _run_connection(context: Context, project_id: int, arguments: Mapping[str, Any]) -> Fields:
    database, filters = context.runs.database, arguments.get("filters")
    page = list_runs(
        database,
        project_id,
        filters=filters,
        order=arguments.get("order"),
        first=arguments.get("first"),
        after=arguments.get("after"),
    )
    edges = [
        {"node": run_fields(context, run), "cursor": cursor}
        for run, cursor in zip(page.rows, page.cursors, strict=True)
    ]
    return {
        "edges": edges,
        "pageInfo": _page_info(edges, has_next=page.has_next),
        "totalCount": lambda _: count_runs(database, project_id, filters),
    }


def run_fields(context: Context, row: sqlite3.Row) -> Fields:
    """Return the fields of ``Run``; what costs something is computed when it is asked for."""
    owner = {"name": row["entity"], "username": row["entity"], "id": make_id("User", 0)}

    def project(_: Any) -> Fields | None:
        found = context.runs.project(row["entity"], row["project"])
        return project_fields(context, found) if found else None

    return {
        "id": make_id("Run", row["id"]),
        "name": row["name"],
        "projectId": str(row["project_id"]),
        "displayName": row["display_name"],
        "state": row["state"],
        "stopped": bool(row["is_stopped"]),
        "description": row["description"],
        "notes": row["notes"],
        "tags": json.loads(row["tags"]),
        "group": row["group_name"],
        "jobType": row["job_type"],
        "commit": row["commit_hash"],
        "host": row["host"],
        "readOnly": False,
        "createdAt": timestamp(row["created_at"]),
        "heartbeatAt": timestamp(row["heartbeat_at"]),
        "sweepName": row["sweep"],
        "config": lambda _: context.runs.large(row, "config"),
        "summaryMetrics": lambda _: context.runs.large(row, "summary"),
        "systemMetrics": lambda _: context.runs.large(row, "system_metrics"),
        "historyLineCount": row["line_count"],
        "user": owner,
        "project": project,
        **_line_fields(context, row),
        **_history_fields(context, row),
        **_file_fields(context, row),
    }


def _line_fields(context: Context, row: sqlite3.Row) -> Fields:
    runs, run_id = context.runs, row["id"]

    def tail(stream: str) -> Callable[[Any], str]:
        def last_line(_: Any) -> str:
            count = runs.line_counts(run_id)[stream]
            lines = runs.lines(run_id, stream, first=max(0, count - 1))
            return json.dumps([line for _, line in lines])

        return last_line

    def config_part(_: Any, **arguments: Any) -> str:
        value = (json.loads(runs.large(row, "config")).get("_wandb") or {}).get("value") or {}
        keys = arguments.get("keys")
        return json.dumps({k: v for k, v in value.items() if keys is None or k in keys})

    def log_lines(_: Any, **arguments: Any) -> Fields:
        first, last, after = (arguments.get(name) for name in ("first", "last", "after"))
        limit = min(max(1, MAX_LINES if first is None else first), MAX_LINES)
        if last is not None:
            lines = page = runs.last_lines(run_id, "output", min(last, MAX_LINES))
        else:
            start = int(after) + 1 if after and after.isdecimal() else 0
            lines = runs.lines(run_id, "output", first=start, limit=limit + 1)
            page = lines[:limit]
        edges = [{"node": _log_line(at, line), "cursor": str(at)} for at, line in page]
        return {
            "edges": edges,
            "pageInfo": {
                "endCursor": edges[-1]["cursor"] if edges else None,
                "hasNextPage": len(page) < len(lines),
            },
        }

    return {
        "eventsLineCount": lambda _: runs.line_counts(run_id)["events"],
        "logLineCount": lambda _: runs.line_counts(run_id)["output"],
        "historyTail": tail("history"),
        "eventsTail": tail("events"),
        "wandbConfig": config_part,
        "logLines": log_lines,
    }


def _log_line(number: int, line: str) -> Fields:
    level = "error" if line.startswith("ERROR ") else ""
    stamped = re.match(r"(?:ERROR )?(\d{4}-\d\d-\d\dT[\d:.]+) ?(.*)", line, re.DOTALL)
    text = stamped[2] if stamped else line
    when = stamped[1] if stamped else None
    return {"number": number, "timestamp": when, "level": level, "label": "", "line": text}


def _history_fields(context: Context, row: sqlite3.Row) -> Fields:
    runs, storage = context.runs, context.storage

    def parquet(_: Any, **arguments: Any) -> Fields:
        keys = set(arguments["liveKeys"])
        if keys == {"_step"}:
            live: list[Row] = [{"_step": step} for step in runs.history.live_steps(row)]
        else:
            rows = runs.history.between(row, 0, NO_LIMIT, is_live=True)
            live = [{k: to_wire(v) for k, v in r.items() if k in keys | {"_step"}} for r in rows]
        urls = [storage.sign("GET", name) for name in runs.export_objects(row["id"])]
        return {"parquetUrls": urls, "liveData": live}

    def is_live() -> bool:
        # Readers that send these names take the rest from the exports (protocol 4.12).
        return context.operation in PARQUET_AWARE and row["exported_count"] > 0

    def history(_: Any, **arguments: Any) -> list[str]:
        start, stop = arguments.get("minStep"), arguments.get("maxStep")
        samples = arguments.get("samples") or 500
        if start is None and stop is None:
            return [json.dumps(to_wire(r)) for r in runs.history.sample(row, samples)]
        stop = NO_LIMIT if stop is None else stop
        return runs.history.page(row, start or 0, stop, is_live=is_live(), limit=samples)

    def sampled(_: Any, **arguments: Any) -> list[list[Row]]:
        specs = [_read_spec(text) for text in arguments["specs"]]
        return [_sampled(runs, row, spec, is_live=is_live()) for spec in specs]

    def events(_: Any, **arguments: Any) -> list[str]:
        rows = [system_row(line) for _, line in runs.lines(row["id"], "events")]
        chosen = sample_evenly(rows, arguments.get("samples") or 500)
        return [json.dumps(to_wire(r)) for r in chosen]

    return {
        "historyKeys": lambda _: history_keys(
            json.loads(runs.large(row, "key_facts")), row["last_step"]
        ),
        "parquetHistory": parquet,
        "history": history,
        "sampledHistory": sampled,
        "events": events,
    }


def _read_spec(text: str) -> dict[str, Any]:
    try:
        return read_body(text.encode())
    except ValueError as error:
        raise Refused(f"the specification of a sample is {error}") from error


def _sampled(
    runs: RunStore, run: sqlite3.Row, spec: Mapping[str, Any], *, is_live: bool
) -> list[Row]:
    keys = spec.get("keys") or []
    start, last, limit = (spec.get(name) for name in ("minStep", "maxStep", "samples"))
    numbers = all(value is None or isinstance(value, int) for value in (start, last, limit))
    if not numbers or not isinstance(keys, list) or not all(isinstance(k, str) for k in keys):
        raise Refused("a sample's keys are a list of names, its steps and size integers")
    stop = NO_LIMIT if last is None else last + 1
    rows = runs.history.with_keys(run, keys, start or 0, stop, is_live=is_live, limit=limit or 500)
    return [to_wire(row) for row in rows]


def _file_fields(context: Context, row: sqlite3.Row) -> Fields:
    run_id = row["id"]

    def files(_: Any, **arguments: Any) -> Fields:
        after = arguments.get("after")
        page = context.run_files.page(
            run_id,
            names=[name for name in arguments.get("names") or [] if name],
            pattern=arguments.get("pattern"),
            after=int(after) if after and after.isdecimal() else 0,
            limit=max(1, arguments.get("first") or 50),
        )
        edges = [
            {"node": _file_fields_of(context, run_id, file), "cursor": str(file["id"])}
            for file in page.rows
        ]
        return {
            "edges": edges,
            "pageInfo": {
                "endCursor": edges[-1]["cursor"] if edges else None,
                "hasNextPage": page.has_next,
            },
        }

    return {"fileCount": lambda _: context.run_files.count(run_id), "files": files}


def _file_fields_of(context: Context, run_id: int, file: sqlite3.Row) -> Fields:
    name = file["name"]
    url = context.storage.sign("GET", file_object(run_id, name))
    upload = upload_fields(context, run_id, name)
    return {
        **upload,
        "id": make_id("File", file["id"]),
        "url": lambda _, **arguments: upload["uploadUrl"] if arguments.get("upload") else url,
        "directUrl": url,
        "sizeBytes": file["n_bytes"],
        "mimetype": mimetypes.guess_type(name)[0] or "application/octet-stream",
        "updatedAt": timestamp(file["modified_at"]),
        "md5": base64.b64encode(bytes.fromhex(file["md5"])).decode(),
    }


def upload_fields(context: Context, run_id: int, name: str) -> Fields:
    """Return the fields of ``File`` for a run file that is to be uploaded."""
    return {
        "id": make_id("File", 0),
        "name": name,
        "uploadUrl": context.storage.sign("PUT", file_object(run_id, name)),
        "uploadHeaders": [],
        "sizeBytes": 0,
    }


def timestamp(seconds: float) -> str:
    """Return a time as the protocol writes it: ISO 8601, UTC, without a zone."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()
