"""Make a run of the records that the W&B SDK has written to its ``.wandb`` files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from runlake.errors import MissingExtra
from runlake.history.rows.cells import flatten
from runlake.lake.local.framing import RecordFile
from runlake.values import STEP, RunPath

# Names of what a run does not name itself; the SDK's own name of a project, when it syncs.
NO_ENTITY, NO_PROJECT = "local", "uncategorized"
RUNNING, FINISHED, FAILED, CRASHED = "running", "finished", "failed", "crashed"
TIMESTAMP, RUNTIME = "_timestamp", "_runtime"
KINDS: Mapping[type, str] = {bool: "number", int: "number", float: "number", str: "string"}


@dataclass(slots=True)
class RecordedRun:
    """A run, as its records describe it so far.

    Parameters
    ----------
    entity, project, run_id : str
        The path of the run; ``run_id`` is empty until the record was read that names the run.
    fields : dict
        The fields of the run that are single values, by the backend's names.
    config, summary : dict
        The config by key, without ``{"value": ...}``; and the summary.
    rows : dict of int to dict
        The history by step, nested as it was logged.
    system_rows : list of dict
        System metrics, with the keys that a backend gives them.
    n_lines : int
        Number of history records.
    exit_code : int or None
        None as long as the run has not ended.
    started_at, last_at : float
        When the run began, and the time of its last record, in seconds since 1970.
    first_step : int or None
        What is added to the steps of the file that was read last: an offline run that is resumed
        counts from 0 again, and a backend continues its steps. None if the file has no rows.
    is_resumed : bool
        True if that file continues the run, if there is one.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    entity: str = NO_ENTITY
    project: str = NO_PROJECT
    run_id: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)
    rows: dict[int, dict[str, Any]] = field(default_factory=dict)
    system_rows: list[dict[str, Any]] = field(default_factory=list)
    n_lines: int = 0
    exit_code: int | None = None
    started_at: float = 0.0
    last_at: float = 0.0
    first_step: int | None = None
    is_resumed: bool = False

    @property
    def is_named(self) -> bool:
        """True once the record was read that names the run."""
        return bool(self.run_id)

    @property
    def path(self) -> RunPath:
        """The path of the run in the lake."""
        return RunPath(self.entity, self.project, self.run_id)

    def read(
        self, file: RecordFile, *, first_step: int | None = None, is_head: bool = False
    ) -> None:
        """Add the records of a file; an earlier file of a resumed run was read before.

        Parameters
        ----------
        file : RecordFile
            The file.
        first_step : int, optional
            `first_step` of the file, if it was read before; it is found out otherwise.
        is_head : bool
            Read only as far as the record that names the run.

        Raises
        ------
        NotRecorded
            If the file is empty, or no ``.wandb`` file.
        MissingExtra
            If the package wandb is not installed.
        """
        record_type, decode_error = _messages()
        self.exit_code, self.first_step = None, first_step
        # Each start writes the whole summary of its own, which replaces the former one.
        self.summary = {}
        adders = {
            "run": self._add_run,
            "history": self._add_history,
            "config": self._add_config,
            "summary": self._add_summary,
            "stats": self._add_stats,
            "exit": self._add_exit,
        }
        for content in file.records():
            try:
                record = record_type.FromString(content)
                name = record.WhichOneof("record_type")
                if name in adders:
                    adders[name](getattr(record, name))
                if is_head and self.is_named:
                    return
            except (decode_error, ValueError, RecursionError) as error:
                file.damage = f"one of its records cannot be read ({error})"
                break
        if self.first_step and STEP in self.summary:
            self.summary[STEP] = max(self.rows)

    def _add_run(self, run: Any) -> None:
        self.run_id, self.is_resumed = run.run_id, run.resume
        self.entity = run.entity or self.entity
        self.project = run.project or self.project
        started_at = run.start_time.seconds + run.start_time.nanos / 1e9
        self.started_at = started_at
        self.last_at = max(self.last_at, started_at)
        self.fields.setdefault("createdAt", written_time(started_at))
        named = {
            "displayName": run.display_name,
            "group": run.run_group,
            "jobType": run.job_type,
            "notes": run.notes,
            "sweepName": run.sweep_id,
            "host": run.host,
            "commit": run.git.commit,
        }
        for name, value in named.items():
            self.fields[name] = value or self.fields.get(name)
        self.fields["tags"] = list(run.tags) or self.fields.get("tags") or []
        self._add_config(run.config)
        self._add_summary(run.summary)

    def _add_config(self, config: Any) -> None:
        _update(self.config, config)

    def _add_summary(self, summary: Any) -> None:
        _update(self.summary, summary)

    def _add_history(self, history: Any) -> None:
        row: dict[str, Any] = {}
        for item in history.item:
            _put(row, _names(item), json.loads(item.value_json))
        step = row.get(STEP, history.step.num)
        if type(step) is not int:
            return
        self.n_lines += 1
        if self.first_step is None:
            last = max(self.rows, default=-1)
            self.first_step = last + 1 if self.is_resumed and step <= last else 0
        step += self.first_step
        row = {**row, STEP: step}
        # Of a key that several records of a step have, the last value counts, as at a backend.
        self.rows[step] = {**self.rows[step], **row} if step in self.rows else row
        moment = row.get(TIMESTAMP)
        if isinstance(moment, (int, float)):
            self.last_at = max(self.last_at, moment)

    def _add_stats(self, stats: Any) -> None:
        moment = stats.timestamp.seconds + stats.timestamp.nanos / 1e9
        self.last_at = max(self.last_at, moment)
        values = {f"system.{item.key}": json.loads(item.value_json) for item in stats.item}
        times = {TIMESTAMP: moment, RUNTIME: moment - self.started_at}
        self.system_rows.append({"_wandb": True, **times, **values})

    def _add_exit(self, exited: Any) -> None:
        self.exit_code = exited.exit_code

    def state(self, *, is_recent: bool) -> str:
        """Return the state of the run; ``is_recent`` says that its file was just written."""
        if self.exit_code is not None:
            return FAILED if self.exit_code else FINISHED
        return RUNNING if is_recent else CRASHED

    def history(self) -> list[dict[str, Any]]:
        """Return the rows, ascending, with dotted keys and without nulls."""
        rows = [flatten(self.rows[step]) for step in sorted(self.rows)]
        decimal = {TIMESTAMP, RUNTIME}
        for row in rows:
            decimal.update(key for key, cell in row.items() if type(cell) is float)
        # JSON has 1 for 1.0; in an export, all numbers of such a key are doubles.
        return [
            {
                key: float(cell) if type(cell) is int and key in decimal else cell
                for key, cell in row.items()
                if cell is not None
            }
            for row in rows
        ]


def attrs_of(run: RecordedRun, rows: Iterable[Mapping[str, Any]], state: str) -> dict[str, Any]:
    """Return the fields of a run by the backend's names.

    Parameters
    ----------
    run : RecordedRun
        The run.
    rows : iterable of mapping
        `RecordedRun.history`.
    state : str
        `RecordedRun.state`.
    """
    last_system = run.system_rows[-1] if run.system_rows else {}
    return {
        **run.fields,
        "id": str(run.path),
        "name": run.run_id,
        "displayName": run.fields.get("displayName") or run.run_id,
        "state": state,
        "heartbeatAt": written_time(run.last_at),
        "description": None,
        "readOnly": False,
        "projectId": None,
        "user": None,
        "historyLineCount": run.n_lines,
        "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
        "summaryMetrics": json.dumps(run.summary),
        "systemMetrics": json.dumps(
            {key: value for key, value in last_system.items() if key.startswith("system.")}
        ),
        "historyKeys": _describe_keys(run, rows),
    }


def written_time(moment: float) -> str:
    """Return a time in seconds since 1970 as a backend writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _describe_keys(run: RecordedRun, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    counts: dict[str, dict[str, int]] = {}
    for row in rows:
        for key, value in row.items():
            kind = _kind(value)
            of_key = counts.setdefault(key, {})
            of_key[kind] = of_key.get(kind, 0) + 1
    if not counts:
        return None
    keys = {
        key: {"typeCounts": [{"type": kind, "count": n} for kind, n in of_key.items()]}
        for key, of_key in counts.items()
    }
    return {"keys": keys, "lastStep": max(run.rows), "sets": []}


def _kind(value: object) -> str:
    if isinstance(value, dict):
        named = value.get("_type")
        return named if isinstance(named, str) else "map"
    return "list" if isinstance(value, list) else KINDS.get(type(value), "nil")


def _names(item: Any) -> list[str]:
    return list(item.nested_key) or [item.key]


def _update(document: dict[str, Any], changes: Any) -> None:
    for item in changes.update:
        _put(document, _names(item), json.loads(item.value_json))
    for item in changes.remove:
        *parents, last = _names(item)
        inner: Any = document
        for name in parents:
            inner = inner.get(name) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner.pop(last, None)


def _put(document: dict[str, Any], names: list[str], value: Any) -> None:
    *parents, last = names
    for name in parents:
        inner = document.get(name)
        if not isinstance(inner, dict):
            inner = document[name] = {}
        document = inner
    document[last] = value


def _messages() -> tuple[Any, type[Exception]]:
    """Return the SDK's class of records, and the error of bytes that are no record."""
    try:
        # Neither module has types.
        errors = import_module("google.protobuf.message")
        records = import_module("wandb.proto.wandb_internal_pb2")
    except ImportError as error:
        raise MissingExtra(
            "Local runs are read with the classes of the W&B SDK, which is not installed. Install "
            "it with: pip install 'runlake[local]'.",
            extra="local",
        ) from error
    return records.Record, errors.DecodeError
