"""Stores runs: creates, resumes, changes and ends them, and stores the lines that they send."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from runlake.server.refused import Refused
from runlake.server.runs.branches import Branches, Fork, read_branch_point
from runlake.server.runs.events import name_system_keys
from runlake.server.runs.export_sizes import is_due
from runlake.server.runs.heartbeats import Heartbeats
from runlake.server.runs.history_rows import HistoryRows
from runlake.server.runs.kept_lines import KeptLines, count_live_bytes
from runlake.server.runs.key_facts import KeyFacts
from runlake.server.runs.lines import count_keys
from runlake.server.runs.projects import check_segment
from runlake.server.runs.run_columns import small_columns
from runlake.server.runs.stream import HISTORY, SentLines, parse_stream
from runlake.server.runs.wire_json import read_json
from runlake.server.store.database import Database
from runlake.server.store.ids import parse_id
from runlake.server.store.long_json import dumps_object
from runlake.server.store.objects import Storage
from runlake.server.store.run_values import work_ahead

OF_PROJECT = "entity, projects.name AS project FROM runs JOIN projects ON projects.id = project_id"
BY_NAMES = "entity = ? AND projects.name = ? AND runs.name = ?"
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
# For each new state, the states from which W&B allows the change.
TRANSITIONS = {
    "pending": {"running", "failed", "crashed", "preempted"},
    "failed": {"pending", "running"},
}
# An upsert by name with one of these fields comes from `wandb.init`; others only change a run.
STARTS_A_RUN = ("host", "jobProgram", "displayName", "groupName", "jobType", "notes", "tags")


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of runs: how large exports are, which lines are kept, and when a run has crashed.

    Parameters
    ----------
    export_rows : int or None
        Rows per export. If None, the exports of a run get larger as the run gets longer.
    crash_after : float
        Seconds without a request after which a run counts as crashed.
    drops_lines : bool
        Drop history lines that are exported, instead of keeping them in compressed form.
    """

    export_rows: int | None = None
    crash_after: float = 300.0
    drops_lines: bool = False


class Exports(Protocol):
    """Writes exports of runs in the background; see `runlake.server.exports.queue`."""

    def add(self, run_id: int) -> None:
        """Add a run to the queue of runs that are exported later."""

    def wait(self, run_id: int, is_done: Callable[[], bool], seconds: float) -> None:
        """Export a run soon; wait until that is done, ``is_done`` returns True, or time is over."""


class RunStore:
    """Stores all runs of a server, and the lines that the runs send.

    Parameters
    ----------
    database : Database
        Contains the runs and their lines.
    storage : Storage
        Holds the exports.
    exports : Exports
        Writes the exports.
    limits : Limits
        Limits of all runs.
    """

    def __init__(
        self, database: Database, storage: Storage, exports: Exports, limits: Limits
    ) -> None:
        self.database = self._database = database
        self._storage = storage
        self._exports = exports
        self._limits = limits
        self._heartbeats = Heartbeats()
        self._kept = KeptLines(database, storage)
        self._branches = Branches(database, self._kept)
        self._facts = KeyFacts()
        self.history = HistoryRows(self._kept)

    def find(self, entity: str, project: str, name: str) -> sqlite3.Row | None:
        """Return a run by its entity, project and run id; None if there is no such run."""
        return self._database.row(
            f"SELECT runs.*, {OF_PROJECT} WHERE {BY_NAMES}", entity, project, name
        )

    def find_small(self, entity: str, project: str, name: str) -> sqlite3.Row | None:
        """Return a run like `find`, but without the large columns, which `large_values` reads."""
        columns = small_columns(self._database)
        return self._database.row(
            f"SELECT {columns}, {OF_PROJECT} WHERE {BY_NAMES}", entity, project, name
        )

    def get(self, run_id: int) -> sqlite3.Row | None:
        """Return the run with a database id; None if there is no such run."""
        return self._database.row(f"SELECT runs.*, {OF_PROJECT} WHERE runs.id = ?", run_id)

    def project(self, entity: str, name: str) -> sqlite3.Row | None:
        """Return a project by its entity and its name; None if there is no such project."""
        return self._database.row(
            "SELECT * FROM projects WHERE entity = ? AND name = ?", entity, name
        )

    def large_values(self, column: str, run_ids: Sequence[int]) -> dict[int, Any]:
        """Return the values of a large column, such as "config", by database id of the run."""
        rows = self._database.rows(
            f"SELECT id, {column} FROM runs WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps(run_ids),
        )
        return {row["id"]: row[column] for row in rows}

    def upsert(self, entity: str, given: Mapping[str, Any]) -> tuple[sqlite3.Row, bool]:
        """Create, fork, restart, resume or change a run.

        Parameters
        ----------
        entity : str
            Owner of a new run.
        given : mapping
            The fields of ``UpsertBucketInput`` that are not null.

        Returns
        -------
        tuple of Row and bool
            The run, and whether it was created.
        """
        _check_documents(given)
        # Before the transaction, during which no other user can write.
        work_ahead(config=given.get("config"), summary=given.get("summaryMetrics"))
        # This may parse all rows of a long run. `copy_rows` refuses the fork if it copies another
        # number of rows.
        fork = self._plan_fork(entity, given)
        with self._database.transaction() as connection:
            run, is_new = self._find_or_create(connection, entity, given)
            starts = is_new or _starts_a_run(given)
            # A change by the id alone comes from a person, not from a script that starts the run.
            if starts and "id" not in given:
                self._branches.forget(connection, run["id"])
                if run["line_count"]:
                    self._start_over(connection, run["id"])
                if fork is not None:
                    self._branches.copy_rows(connection, run["id"], fork)
            changes = self._changes(run["id"], given)
            if starts:
                changes = {"state": "running", **changes}
                changes |= {"heartbeat_at": time.time(), "is_stopped": 0}
                self._heartbeats.hear(run["id"])
            if changes:
                assignments = ", ".join(f"{column} = ?" for column in changes)
                connection.execute(
                    f"UPDATE runs SET {assignments} WHERE id = ?", (*changes.values(), run["id"])
                )
        run = self._existing(run["id"])
        if fork is not None and is_due(run, self._limits.export_rows):
            self._exports.add(run["id"])
        return run, is_new

    def _plan_fork(self, entity: str, given: Mapping[str, Any]) -> Fork | None:
        """Return the plan of the fork that a request makes; None if it makes no fork."""
        project, name = _place(given)
        point = read_branch_point(given.get("config", "{}"))
        # If the run continues after one of its own steps, an earlier request has rewound it.
        if point is None or name is None or "id" in given or point.run == name:
            return None
        if not _starts_a_run(given) and self.find(entity, project, name) is not None:
            return None
        parent = self.find(entity, project, point.run)
        if parent is None:
            raise Refused(
                f"run {point.run!r} cannot be forked: project {entity}/{project} has no such run"
            )
        return self._branches.plan_fork(parent, point)

    def _changes(self, run_id: int, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the columns that a request changes, with their new values."""
        changes = {column: given[key] for key, column in COLUMNS.items() if key in given}
        if "config" in given:
            # A change by the id alone is not from the training script.
            is_sdk = "name" in given
            changes["config"] = self._branches.complete_config(
                run_id, given["config"], is_sdk=is_sdk
            )
        if "tags" in given:
            changes["tags"] = json.dumps(given["tags"])
        if "state" in given:
            changes["state"] = given["state"]
        return changes

    def _find_or_create(
        self, connection: sqlite3.Connection, entity: str, given: Mapping[str, Any]
    ) -> tuple[sqlite3.Row, bool]:
        if "id" in given:
            number = parse_id(given["id"], "Run")
            run = self.get(number) if number is not None else None
            if run is None or run["entity"] != entity:
                raise Refused(f"run {given['id']!r} not found")
            return run, False
        project, given_name = _place(given)
        name = given_name or secrets.token_hex(4)
        run = self.find(entity, project, name)
        if run is not None:
            return run, False
        # Only new runs are refused. Older versions accepted such names, and the SDK can still log
        # to runs that have one.
        check_segment(project, "project")
        check_segment(name, "run")
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
        """Delete the history of a run, because its id is used again without resuming the run."""
        for table in ("lines", "line_blocks"):
            connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
        self._withdraw_exports(connection, run_id, 0)
        connection.execute(
            "UPDATE runs SET line_count = 0, last_step = -1, key_facts = '{}', summary = '{}', "
            "live_bytes = 0 WHERE id = ?",
            (run_id,),
        )

    def stream(self, run: sqlite3.Row, body: Mapping[str, Any]) -> bool:
        """Store one file-stream request; the same request sent twice is stored once.

        Parameters
        ----------
        run : Row
            The run that sent the request.
        body : mapping
            The parsed JSON of the request.

        Returns
        -------
        bool
            Whether the run was asked to stop.

        Raises
        ------
        BadBody
            If a part of the request cannot be stored; then nothing of the request is stored.
        Refused
            If the run was deleted.
        """
        run_id, received = run["id"], parse_stream(body)
        work_ahead(summary=received.summary)
        self._heartbeats.hear(run_id)
        with self._database.transaction() as connection:
            for stream, sent in received.streams.items():
                self._append(connection, run_id, stream, sent)
            if received.summary is not None:
                connection.execute(
                    "UPDATE runs SET summary = ? WHERE id = ?", (received.summary, run_id)
                )
            # A run that counted as crashed, because it was silent, runs again when it sends again.
            state = "running"
            if received.is_complete:
                state = "failed" if received.exit_code else "finished"
            elif received.is_preempting:
                state = "preempting"
            connection.execute(
                "UPDATE runs SET heartbeat_at = ?, state = ?, exit_code = ? WHERE id = ?",
                (time.time(), state, received.exit_code, run_id),
            )
        if received.is_complete:
            self._heartbeats.forget(run_id)
        run = self._state(run_id)
        if is_due(run, self._limits.export_rows):
            self._exports.add(run_id)
        return bool(run["is_stopped"])

    def _append(
        self, connection: sqlite3.Connection, run_id: int, stream: str, sent: SentLines
    ) -> None:
        if stream == HISTORY:
            self._append_history(connection, run_id, sent)
            return
        connection.executemany(
            # A request that is sent twice replaces its lines by equal ones.
            "INSERT OR REPLACE INTO lines VALUES (?, ?, ?, NULL, ?)",
            [(run_id, stream, at, line) for at, line in enumerate(sent.texts, start=sent.offset)],
        )
        if stream == "events" and sent.rows:
            connection.execute(
                "UPDATE runs SET system_metrics = ? WHERE id = ?",
                (json.dumps(name_system_keys(sent.rows[-1])), run_id),
            )

    def _append_history(self, connection: sqlite3.Connection, run_id: int, sent: SentLines) -> None:
        if not sent.texts:
            return
        run = self._state(run_id)
        in_rows, packed = self._kept.positions(run_id, sent.offset, sent.stop)
        known = in_rows | packed
        lines = list(zip(range(sent.offset, sent.stop), sent.texts, sent.rows, strict=True))
        # Lines that were sent before must not be counted twice in the facts about keys.
        new = [(at, row) for at, _, row in lines if at not in known]
        exported = run["exported_count"]
        # Lines that were sent again are most likely equal, but not certainly.
        is_replaced = any(at >= exported for at in in_rows)
        is_changed = is_replaced or bool(new and new[0][0] < run["line_count"])
        if new and new[0][0] < exported:
            # A line arrived for a gap before exported rows: the run was over when they were
            # exported, and an export is never rewritten.
            exported = self._withdraw_exports(connection, run_id, new[0][0])
        connection.executemany(
            "INSERT OR REPLACE INTO lines VALUES (?, 'history', ?, ?, ?)",
            [
                (run_id, at, row.get("_step"), line)
                for at, line, row in lines
                if at >= exported and at not in packed
            ],
        )
        facts = self._facts.take(run_id, self.large_values("key_facts", [run_id])[run_id])
        count_keys(facts, (row for _, row in new))
        last = max([run["last_step"], *(row["_step"] for _, row in new if "_step" in row)])
        n_bytes = sum(len(line) for at, line, _ in lines if at not in known)
        text = dumps_object(facts, json.JSONEncoder())
        # After the commit: a transaction that fails must leave the cached facts as they were.
        self._database.on_commit(lambda: self._facts.keep(run_id, text, facts))
        connection.execute(
            "UPDATE runs SET key_facts = ?, last_step = ?, line_count = max(line_count, ?), "
            "live_bytes = live_bytes + ?, n_changes = n_changes + ? WHERE id = ?",
            (
                text,
                last,
                sent.stop,
                n_bytes,
                int(is_changed),
                run_id,
            ),
        )

    def _withdraw_exports(self, connection: sqlite3.Connection, run_id: int, position: int) -> int:
        """Remove the export that contains a position, and all later exports.

        Return the new ``exported_count``, which is the position of the first line that is not
        exported. The rows of the removed exports will be exported again. The SDK caches exports by
        their position, and never updates a cached export. So the column ``has_old_exports`` says
        that a reader may have cached exports that were removed.
        """
        row = connection.execute(
            "SELECT coalesce(max(position), 0) AS first FROM exports "
            "WHERE run_id = ? AND position <= ?",
            (run_id, position),
        ).fetchone()
        first = int(row["first"])
        gone = connection.execute(
            "SELECT object FROM exports WHERE run_id = ? AND position >= ?", (run_id, first)
        ).fetchall()
        for export in gone:
            self._storage.forget(export["object"])
        connection.execute(
            "DELETE FROM exports WHERE run_id = ? AND position >= ?", (run_id, first)
        )
        connection.execute(
            "UPDATE runs SET exported_count = ?, has_old_exports = max(has_old_exports, ?), "
            "live_bytes = ? WHERE id = ?",
            (first, int(bool(gone)), count_live_bytes(connection, run_id, first), run_id),
        )
        return first

    def with_exports(self, run: sqlite3.Row, seconds: float) -> None:
        """Wait until the due exports of a run are written, for at most ``seconds``."""
        if not is_due(run, self._limits.export_rows):
            return
        n_lines = run["line_count"]

        # Lines that arrive while the reader waits are not waited for.
        def is_done() -> bool:
            now = self._database.row("SELECT exported_count FROM runs WHERE id = ?", run["id"])
            return now is None or now["exported_count"] >= n_lines

        self._exports.wait(run["id"], is_done, seconds)

    def export_state(self, run_id: int) -> sqlite3.Row:
        """Return the columns ``id``, ``exported_count`` and ``has_old_exports`` of a run."""
        row = self._database.row(
            "SELECT id, exported_count, has_old_exports FROM runs WHERE id = ?", run_id
        )
        if row is None:
            raise Refused("the run was deleted")
        return row

    def find_due(self) -> list[int]:
        """Return the database ids of the runs whose waiting rows must be exported now."""
        rows = self._database.rows(
            "SELECT id, state, line_count, exported_count, live_bytes FROM runs "
            "WHERE exported_count < line_count"
        )
        return [row["id"] for row in rows if is_due(row, self._limits.export_rows)]

    def end_silent_runs(self) -> None:
        """End the runs that have sent nothing for too long, and queue their rows for export.

        A running run becomes ``crashed``; a run that announced its preemption becomes
        ``preempted``.
        """
        rows = self._database.rows(
            "SELECT id, heartbeat_at FROM runs WHERE state IN ('running', 'preempting')"
        )
        last = {row["id"]: row["heartbeat_at"] for row in rows}
        for run_id in self._heartbeats.silent(last, self._limits.crash_after):
            with self._database.transaction() as connection:
                # A run that sends a request at this moment keeps its state.
                is_over = connection.execute(
                    "UPDATE runs SET state = CASE state WHEN 'running' THEN 'crashed' "
                    "ELSE 'preempted' END WHERE id = ? AND state IN ('running', 'preempting') "
                    "AND heartbeat_at = ?",
                    (run_id, last[run_id]),
                ).rowcount
            # Its last rows are due now, because no more will come.
            if is_over:
                self._heartbeats.forget(run_id)
                self._exports.add(run_id)

    def export_objects(self, run_id: int) -> list[str]:
        """Return the names of the objects that contain a run's exports, oldest first."""
        return [
            row["object"]
            for row in self._database.rows(
                "SELECT object FROM exports WHERE run_id = ? ORDER BY position", run_id
            )
        ]

    def lines(
        self, run_id: int, stream: str, *, first: int = 0, limit: int | None = None
    ) -> list[tuple[int, str]]:
        """Return at most ``limit`` pairs of position and line of a stream, from ``first`` on."""
        if stream == HISTORY:
            # Lines may move from rows to a block while they are read.
            with self._database.snapshot():
                kept = islice(self._kept.each(run_id, first), limit)
                return [(line.position, line.text) for line in kept]
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
        """Return pairs of position and line for the last lines of a stream, ascending.

        The stream is "events" or "output" (the console output). For the history, use
        `last_history_line`: this method does not find history lines that are compressed or
        dropped.
        """
        rows = self._database.rows(
            "SELECT position, content FROM lines WHERE run_id = ? AND stream = ? "
            "ORDER BY position DESC LIMIT ?",
            run_id,
            stream,
            max(0, n_lines),
        )
        return [(row["position"], row["content"]) for row in reversed(rows)]

    def last_history_line(self, run_id: int) -> str | None:
        """Return the history line with the highest position; None if there is none."""
        return self._kept.last_line(run_id)

    def line_count(self, run_id: int, stream: str) -> int:
        """Return the position after the last line of the stream "events" or "output"; 0 if none."""
        row = self._database.row(
            "SELECT max(position) + 1 AS n FROM lines WHERE run_id = ? AND stream = ?",
            run_id,
            stream,
        )
        return (row["n"] if row else 0) or 0

    def rewind(self, run: sqlite3.Row, step: int) -> sqlite3.Row:
        """Delete a run's rows after a step, and the exports that contain deleted rows.

        The remaining rows of these exports are exported again later.

        Parameters
        ----------
        run : Row
            The database row of the run.
        step : int
            The last step that is kept.

        Returns
        -------
        Row
            The run. If rows were deleted, its summary has the last value that each key has in the
            remaining rows.

        Raises
        ------
        Refused
            If the step is higher than the run's last step.
        """
        with self._database.snapshot():
            run = self._existing(run["id"])
            kept = self._branches.kept_rows(run, step)
        with self._database.transaction() as connection:
            first = self._branches.rewind(connection, run["id"], step, kept)
            run = self._existing(run["id"])
            if first is not None and first < run["exported_count"]:
                self._withdraw_exports(connection, run["id"], first)
            elif first is not None:
                live_bytes = count_live_bytes(connection, run["id"], run["exported_count"])
                connection.execute(
                    "UPDATE runs SET live_bytes = ? WHERE id = ?", (live_bytes, run["id"])
                )
        return self._existing(run["id"])

    def set_state(self, run_id: int, state: str) -> None:
        """Change the state of a run; raise `Refused` if W&B does not allow the change."""
        run = self._existing(run_id)
        if run["sweep"] is not None:
            raise Refused("invalid state transition: runs of a sweep keep their state")
        if run["state"] not in TRANSITIONS.get(state, set()):
            raise Refused(f"invalid state transition from {run['state']} to {state}")
        with self._database.transaction() as connection:
            connection.execute("UPDATE runs SET state = ? WHERE id = ?", (state, run_id))

    def stop(self, run_id: int) -> None:
        """Ask a run to stop; the response to its next file-stream request tells the script so."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE runs SET is_stopped = 1 WHERE id = ?", (run_id,))

    def delete(self, run_id: int) -> None:
        """Delete a run with its lines and exports."""
        with self._database.transaction() as connection:
            for name in self.export_objects(run_id):
                self._storage.forget(name)
            for table in ("lines", "line_blocks", "exports"):
                connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
            self._branches.forget(connection, run_id)
            connection.execute("DELETE FROM runs WHERE id = ?", (run_id,))

    def was_deleted(self, run_id: int | None) -> bool:
        """Return whether a run with this database id existed and was deleted."""
        # Ids are never reused, so each id up to the highest one has existed.
        row = self._database.row(
            "SELECT 1 FROM sqlite_sequence WHERE name = 'runs' AND seq >= ?1 AND ?1 > 0 "
            "AND NOT EXISTS (SELECT 1 FROM runs WHERE id = ?1)",
            run_id,
        )
        return row is not None

    def _state(self, run_id: int) -> sqlite3.Row:
        """Return the columns of a run that a file-stream request needs, but no large columns."""
        row = self._database.row(
            "SELECT state, is_stopped, line_count, exported_count, live_bytes, last_step "
            "FROM runs WHERE id = ?",
            run_id,
        )
        if row is None:
            raise Refused("the run was deleted")
        return row

    def _existing(self, run_id: int | None) -> sqlite3.Row:
        run = None if run_id is None else self.get(run_id)
        if run is None:
            raise Refused("the run was deleted")
        return run


def _place(given: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the project's name and the run id in a request; the run id is None if missing."""
    return given.get("modelName") or "uncategorized", given.get("name") or None


def _starts_a_run(given: Mapping[str, Any]) -> bool:
    return "name" in given and any(key in given for key in STARTS_A_RUN)


def _check_documents(given: Mapping[str, Any]) -> None:
    for field in ("config", "summaryMetrics"):
        try:
            is_object = isinstance(read_json(given.get(field, "{}")), dict)
        except ValueError as error:
            raise Refused(f"{field} is no JSON: {error}") from error
        if not is_object:
            raise Refused(f"{field} is no JSON object")
