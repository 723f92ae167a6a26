"""Projects and runs: created, resumed, streamed to, exported, ended."""

from __future__ import annotations

import base64
import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runlake.server.database import Database
from runlake.server.exporter import write_export
from runlake.server.rows import Row, count_keys, merge_steps, parse_line
from runlake.server.storage import Storage

STREAMS = {
    "wandb-history.jsonl": "history",
    "wandb-events.jsonl": "events",
    "output.log": "output",
}
COLUMNS = {
    "displayName": "display_name",
    "notes": "notes",
    "description": "description",
    "groupName": "group_name",
    "jobType": "job_type",
    "commit": "commit_hash",
    "host": "host",
    "jobProgram": "program",
    "jobRepo": "repo",
    "sweep": "sweep",
    "config": "config",
    "summaryMetrics": "summary",
}
TRANSITIONS = {
    "pending": {"running", "failed", "crashed", "preempted"},
    "failed": {"pending", "running"},
}
STARTS_A_RUN = ("host", "jobProgram", "displayName", "groupName", "jobType", "notes", "tags")


class Refused(Exception):
    """A request that cannot be met; the text goes to the user."""


@dataclass(frozen=True, slots=True)
class Limits:
    """When rows are exported and when a silent run has crashed."""

    export_rows: int = 10_000
    crash_after: float = 300.0


class RunStore:
    """All runs of a server.

    Parameters
    ----------
    database : Database
        Rows of runs and their lines.
    storage : Storage
        Takes the exports.
    limits : Limits
        Rows per export, seconds of silence.
    """

    def __init__(self, database: Database, storage: Storage, limits: Limits) -> None:
        self.database = self._database = database
        self._storage = storage
        self._limits = limits

    def find(self, entity: str, project: str, name: str) -> sqlite3.Row | None:
        """Return a run by its names."""
        return self._database.row(
            "SELECT runs.*, entity, projects.name AS project FROM runs JOIN projects "
            "ON projects.id = project_id WHERE entity = ? AND projects.name = ? AND runs.name = ?",
            entity,
            project,
            name,
        )

    def get(self, run_id: int) -> sqlite3.Row | None:
        """Return a run by its number."""
        return self._database.row(
            "SELECT runs.*, entity, projects.name AS project FROM runs JOIN projects "
            "ON projects.id = project_id WHERE runs.id = ?",
            run_id,
        )

    def project(self, entity: str, name: str) -> sqlite3.Row | None:
        """Return a project."""
        return self._database.row(
            "SELECT * FROM projects WHERE entity = ? AND name = ?", entity, name
        )

    def large(self, run: sqlite3.Row, column: str) -> Any:
        """Return a column that rows from lists come without."""
        if column in run.keys():  # noqa: SIM118 - a Row holds values, not names
            return run[column]
        return self._existing(run["id"])[column]

    def upsert(self, entity: str, given: Mapping[str, Any]) -> tuple[sqlite3.Row, bool]:
        """Create, take over, resume or change a run.

        Parameters
        ----------
        entity : str
            Owner of a new run.
        given : mapping
            The fields of ``UpsertBucketInput`` that are not null.

        Returns
        -------
        tuple of Row and bool
            The run, and whether it was made.
        """
        _check_documents(given)
        with self._database.transaction() as connection:
            run, is_new = self._find_or_create(connection, entity, given)
            starts = is_new or ("name" in given and any(key in given for key in STARTS_A_RUN))
            if starts and not is_new and "id" not in given and run["line_count"]:
                self._start_over(connection, run["id"])
            changes = {column: given[key] for key, column in COLUMNS.items() if key in given}
            if "tags" in given:
                changes["tags"] = json.dumps(given["tags"])
            if "state" in given:
                changes["state"] = given["state"]
            elif starts:
                changes["state"] = "running"
            if starts:
                changes |= {"heartbeat_at": time.time(), "is_stopped": 0}
            if changes:
                assignments = ", ".join(f"{column} = ?" for column in changes)
                connection.execute(
                    f"UPDATE runs SET {assignments} WHERE id = ?", (*changes.values(), run["id"])
                )
        return self._existing(run["id"]), is_new

    def _find_or_create(
        self, connection: sqlite3.Connection, entity: str, given: Mapping[str, Any]
    ) -> tuple[sqlite3.Row, bool]:
        if "id" in given:
            number = parse_id(given["id"], "Run")
            run = self.get(number) if number is not None else None
            if run is None or run["entity"] != entity:
                raise Refused(f"run {given['id']!r} not found")
            return run, False
        project = given.get("modelName") or "uncategorized"
        name = given.get("name") or secrets.token_hex(4)
        run = self.find(entity, project, name)
        if run is not None:
            return run, False
        connection.execute(
            "INSERT OR IGNORE INTO projects (entity, name) VALUES (?, ?)", (entity, project)
        )
        now = time.time()
        cursor = connection.execute(
            "INSERT INTO runs (project_id, name, display_name, state, created_at, heartbeat_at) "
            "SELECT id, ?, ?, 'running', ?, ? FROM projects WHERE entity = ? AND name = ?",
            (name, f"run-{name}", now, now, entity, project),
        )
        return self._existing(cursor.lastrowid), True

    def _start_over(self, connection: sqlite3.Connection, run_id: int) -> None:
        """Drop the history of a run whose id is used again without resume.

        Readers of the SDK keep exports by position for ever, so that such a run has none from now
        on if it ever had one.
        """
        connection.execute("DELETE FROM lines WHERE run_id = ?", (run_id,))
        gone = connection.execute("DELETE FROM exports WHERE run_id = ?", (run_id,)).rowcount
        connection.execute(
            "UPDATE runs SET line_count = 0, exported_count = 0, last_step = -1, key_facts = '{}', "
            "summary = '{}', is_live_only = max(is_live_only, ?) WHERE id = ?",
            (int(gone > 0), run_id),
        )

    def stream(self, run: sqlite3.Row, body: Mapping[str, Any]) -> bool:
        """Take in one file-stream request; repeating it changes nothing.

        Parameters
        ----------
        run : Row
            The run.
        body : mapping
            The JSON of the request.

        Returns
        -------
        bool
            Whether somebody asked the run to stop.
        """
        run_id = run["id"]
        files: Mapping[str, Any] = body.get("files") or {}
        with self._database.transaction() as connection:
            for name, stream in STREAMS.items():
                if name in files:
                    self._append(connection, run_id, stream, files[name])
            self._set_documents(connection, run_id, files)
            state = "running"
            if body.get("complete"):
                state = "finished" if not body.get("exitcode") else "failed"
            elif body.get("preempting"):
                state = "preempting"
            connection.execute(
                "UPDATE runs SET heartbeat_at = ?, state = ?, exit_code = ? WHERE id = ?",
                (time.time(), state, body.get("exitcode"), run_id),
            )
        self.export(run_id, is_over=bool(body.get("complete")))
        return bool(self._existing(run_id)["is_stopped"])

    def _append(
        self, connection: sqlite3.Connection, run_id: int, stream: str, part: Mapping[str, Any]
    ) -> None:
        offset = int(part.get("offset") or 0)
        numbered = list(enumerate(part.get("content") or [], start=offset))
        run = self._existing(run_id)
        if stream == "history":
            numbered = [(at, line) for at, line in numbered if at >= run["exported_count"]]
        rows = [parse_line(line) for _, line in numbered] if stream == "history" else None
        steps = [row.get("_step") for row in rows] if rows is not None else [None] * len(numbered)
        connection.executemany(
            "INSERT OR REPLACE INTO lines VALUES (?, ?, ?, ?, ?)",
            [
                (run_id, stream, at, step, line)
                for (at, line), step in zip(numbered, steps, strict=True)
            ],
        )
        if rows is None:
            return
        known = run["line_count"]
        new = [row for (at, _), row in zip(numbered, rows, strict=True) if at >= known]
        facts = json.loads(run["key_facts"])
        count_keys(facts, new)
        last = max([run["last_step"], *(row["_step"] for row in rows if "_step" in row)])
        connection.execute(
            "UPDATE runs SET key_facts = ?, last_step = ?, line_count = max(line_count, ?) "
            "WHERE id = ?",
            (json.dumps(facts), last, offset + len(part.get("content") or []), run_id),
        )

    def _set_documents(
        self, connection: sqlite3.Connection, run_id: int, files: Mapping[str, Any]
    ) -> None:
        summary = (files.get("wandb-summary.json") or {}).get("content")
        if summary:
            connection.execute("UPDATE runs SET summary = ? WHERE id = ?", (summary[-1], run_id))
        events = (files.get("wandb-events.jsonl") or {}).get("content")
        if events:
            connection.execute(
                "UPDATE runs SET system_metrics = ? WHERE id = ?",
                (json.dumps(system_row(events[-1])), run_id),
            )

    def export(self, run_id: int, *, is_over: bool = False) -> None:
        """Export the live rows of a run that fill an export, or all of them once it is over."""
        while True:
            run = self._existing(run_id)
            start = run["exported_count"]
            waiting = run["line_count"] - start
            n_lines = min(self._limits.export_rows, waiting)
            if (
                run["is_live_only"]
                or not waiting
                or (n_lines == waiting and not is_over and waiting < self._limits.export_rows)
            ):
                return
            if not self._export_lines(run_id, start, n_lines):
                return

    def _export_lines(self, run_id: int, start: int, n_lines: int) -> bool:
        lines = self._database.rows(
            "SELECT content FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND position >= ? AND position < ? ORDER BY position",
            run_id,
            start,
            start + n_lines,
        )
        if len(lines) < n_lines:
            # A gap: earlier lines may still come, and an export is never rewritten.
            return False
        rows = [row for row in (parse_line(line["content"]) for line in lines) if "_step" in row]
        name = f"exports/{run_id}/{start:012d}-{secrets.token_hex(4)}.parquet"
        write_export(merge_steps(rows), self._storage.file(name))
        self._storage.adopt(name)
        with self._database.transaction() as connection:
            moved = connection.execute(
                "UPDATE runs SET exported_count = ? WHERE id = ? AND exported_count = ?",
                (start + n_lines, run_id, start),
            ).rowcount
            if moved:
                connection.execute("INSERT INTO exports VALUES (?, ?, ?)", (run_id, start, name))
        if not moved:
            self._storage.forget(name)
        return True

    def crash_silent_runs(self) -> None:
        """Mark runs that were not heard of for too long, and export what they left."""
        silent = self._database.rows(
            "SELECT id FROM runs WHERE state = 'running' AND heartbeat_at < ?",
            time.time() - self._limits.crash_after,
        )
        for row in silent:
            with self._database.transaction() as connection:
                connection.execute("UPDATE runs SET state = 'crashed' WHERE id = ?", (row["id"],))
            self.export(row["id"], is_over=True)

    def export_objects(self, run_id: int) -> list[str]:
        """Return the names of a run's exports, in the order of their making."""
        return [
            row["object"]
            for row in self._database.rows(
                "SELECT object FROM exports WHERE run_id = ? ORDER BY position", run_id
            )
        ]

    def live_steps(self, run: sqlite3.Row) -> list[int]:
        """Return the step of every row that is in no export, in the order of the lines."""
        return [
            row["step"]
            for row in self._database.rows(
                "SELECT step FROM lines WHERE run_id = ? AND stream = 'history' "
                "AND position >= ? AND step IS NOT NULL ORDER BY position",
                run["id"],
                run["exported_count"],
            )
        ]

    def rows_between(
        self, run: sqlite3.Row, start: int, stop: int, *, is_live: bool, limit: int | None = None
    ) -> list[Row]:
        """Return rows of ``start <= step < stop``, ascending, each step once.

        Parameters
        ----------
        run : Row
            The run.
        start, stop : int
            Inclusive and exclusive.
        is_live : bool
            Only rows that are in no export.
        limit : int, optional
            Lines to read at most.

        Returns
        -------
        list of dict
            With dotted keys.
        """
        lines = self._database.rows(
            "SELECT content FROM lines INDEXED BY lines_by_step WHERE run_id = ? "
            "AND stream = 'history' AND step >= ? AND step < ? AND position >= ? "
            "ORDER BY step, position LIMIT ?",
            run["id"],
            start,
            min(stop, 2**62),
            run["exported_count"] if is_live else 0,
            -1 if limit is None else limit,
        )
        return merge_steps(parse_line(line["content"]) for line in lines)

    def lines(
        self, run_id: int, stream: str, *, first: int = 0, limit: int | None = None
    ) -> list[tuple[int, str]]:
        """Return numbered lines of a stream from a position on."""
        return [
            (row["position"], row["content"])
            for row in self._database.rows(
                "SELECT position, content FROM lines WHERE run_id = ? AND stream = ? "
                "AND position >= ? ORDER BY position LIMIT ?",
                run_id,
                stream,
                first,
                -1 if limit is None else limit,
            )
        ]

    def last_lines(self, run_id: int, stream: str, n_lines: int) -> list[tuple[int, str]]:
        """Return the numbered last lines of a stream, ascending."""
        rows = self._database.rows(
            "SELECT position, content FROM lines WHERE run_id = ? AND stream = ? "
            "ORDER BY position DESC LIMIT ?",
            run_id,
            stream,
            max(0, n_lines),
        )
        return [(row["position"], row["content"]) for row in reversed(rows)]

    def line_counts(self, run_id: int) -> dict[str, int]:
        """Return the number of lines per stream."""
        counts = dict.fromkeys(STREAMS.values(), 0)
        for row in self._database.rows(
            "SELECT stream, max(position) + 1 AS n FROM lines WHERE run_id = ? GROUP BY stream",
            run_id,
        ):
            counts[row["stream"]] = row["n"]
        return counts

    def rewind(self, run: sqlite3.Row, step: int) -> sqlite3.Row:
        """Drop the rows behind a step; refused where one of them is exported."""
        behind = self._database.row(
            "SELECT min(position) AS first FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND step > ?",
            run["id"],
            step,
        )
        first = behind["first"] if behind else None
        if first is not None and first < run["exported_count"]:
            raise Refused(f"rows behind step {step} are exported already and cannot be dropped")
        if first is not None:
            facts: dict[str, Any] = {}
            kept = [parse_line(line) for at, line in self.lines(run["id"], "history") if at < first]
            count_keys(facts, kept)
            with self._database.transaction() as connection:
                connection.execute(
                    "DELETE FROM lines WHERE run_id = ? AND stream = 'history' AND position >= ?",
                    (run["id"], first),
                )
                connection.execute(
                    "UPDATE runs SET line_count = ?, last_step = ?, key_facts = ? WHERE id = ?",
                    (first, step, json.dumps(facts), run["id"]),
                )
        return self._existing(run["id"])

    def set_state(self, run_id: int, state: str) -> None:
        """Move a run to another state where W&B allows that."""
        run = self._existing(run_id)
        if run["sweep"] is not None:
            raise Refused("invalid state transition: runs of a sweep keep their state")
        if run["state"] not in TRANSITIONS.get(state, set()):
            raise Refused(f"invalid state transition from {run['state']} to {state}")
        with self._database.transaction() as connection:
            connection.execute("UPDATE runs SET state = ? WHERE id = ?", (state, run_id))

    def stop(self, run_id: int) -> None:
        """Ask a run to stop; its next request is told."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE runs SET is_stopped = 1 WHERE id = ?", (run_id,))

    def delete(self, run_id: int) -> None:
        """Delete a run with its lines and exports."""
        objects = self.export_objects(run_id)
        with self._database.transaction() as connection:
            for table in ("lines", "exports"):
                connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))
        for name in objects:
            self._storage.forget(name)

    def _existing(self, run_id: int | None) -> sqlite3.Row:
        run = None if run_id is None else self.get(run_id)
        if run is None:
            raise Refused("the run was deleted")
        return run


def _check_documents(given: Mapping[str, Any]) -> None:
    for field in ("config", "summaryMetrics"):
        try:
            is_object = isinstance(json.loads(given.get(field, "{}")), dict)
        except ValueError as error:
            raise Refused(f"{field} is no JSON") from error
        if not is_object:
            raise Refused(f"{field} is no JSON object")


def system_row(line: str) -> Row:
    """Return an event line as the protocol shows it: keys of its own carry ``system.``."""
    return {
        key if key.startswith(("_", "system.")) else f"system.{key}": value
        for key, value in parse_line(line).items()
    }


def make_id(kind: str, number: int) -> str:
    """Return an opaque id, as the protocol hands them out."""
    return base64.b64encode(f"{kind}:v1:{number}".encode()).decode()


def parse_id(text: str, kind: str) -> int | None:
    """Return the number in an opaque id, None where it is no id of that kind."""
    try:
        found, _, number = base64.b64decode(text, validate=True).decode().partition(":v1:")
        return int(number) if found == kind else None
    except ValueError:
        return None
