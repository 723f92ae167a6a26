"""Build a run from the records that the W&B SDK wrote to its ``.wandb`` files."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from operator import attrgetter
from typing import Any

from runlake.errors import MissingExtra
from runlake.lake.local.document import Document, nested_of
from runlake.lake.local.framing import RecordFile
from runlake.lake.local.recorded_rows import KeyCounts, RecordedRows, describe_keys, flat
from runlake.values import STEP, RunPath

# Entity and project of a run that names none. The SDK also uses this project when it syncs such a
# run.
NO_ENTITY, NO_PROJECT = "local", "uncategorized"
RUNNING, FINISHED, FAILED, CRASHED = "running", "finished", "failed", "crashed"
TIMESTAMP, RUNTIME = "_timestamp", "_runtime"
LAST_STEP = 2**63 - 2
# Fields of a run by the backend's names, and where the SDK's record of the run has them.
NAMED_FIELDS = {
    "displayName": "display_name",
    "group": "run_group",
    "jobType": "job_type",
    "notes": "notes",
    "sweepName": "sweep_id",
    "host": "host",
    "commit": "git.commit",
}
FIELDS = ("createdAt", *NAMED_FIELDS, "tags")


@dataclass(slots=True)
class RecordedRun:
    """A run, as far as its records were read. The rows are passed on to `RecordedRows`.

    Parameters
    ----------
    entity, project, run_id : str
        The path of the run; ``run_id`` is empty until the record that names the run was read.
    fields : dict
        Other fields of the run, such as its group and its tags, by the backend's names.
    config, summary : Document
        The config by key, without ``{"value": ...}``; and the summary.
    system_rows : list of dict
        System metrics, with the keys that a backend gives them.
    n_lines : int
        Number of history records that were added as rows.
    last_step : int
        The highest step; -1 if the run has no rows.
    key_counts : dict
        Number of values of each key, by kind: ``number``, ``string``, ``list`` and others.
    exit_code : int or None
        The exit code of the run; None as long as the run has not ended.
    started_at, last_at : float
        The start time in the file that was read last, and the latest time in any record, in seconds
        since 1970.
    first_step : int or None
        Number that is added to the steps of the file that was read last. If an offline run is
        resumed, the SDK counts from 0 again, while a backend continues the steps. None if the file
        has no rows, unless the caller of `read` gave the number.
    is_resumed : bool
        True if the file that was read last resumes the run. The run may have no earlier files.
    rewound_to : int or None
        If the file that was read last has rewound the run: the last step of earlier files that
        still belongs to the run.
    start_step : int or None
        The step of the first row in the file that was read last, before `first_step` is added.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    entity: str = NO_ENTITY
    project: str = NO_PROJECT
    run_id: str = ""
    config: Document = field(default_factory=Document)
    summary: Document = field(default_factory=Document)
    system_rows: list[dict[str, Any]] = field(default_factory=list)
    n_lines: int = 0
    last_step: int = -1
    key_counts: KeyCounts = field(default_factory=dict)
    exit_code: int | None = None
    started_at: float = 0.0
    last_at: float = 0.0
    first_step: int | None = None
    is_resumed: bool = False
    rewound_to: int | None = None
    start_step: int | None = None
    _max_step: int | None = None
    _rows: RecordedRows | None = None
    _step: int | None = None

    @property
    def is_named(self) -> bool:
        """True if the record that names the run was read."""
        return bool(self.run_id)

    @property
    def path(self) -> RunPath:
        """The path of the run in the lake."""
        return RunPath(self.entity, self.project, self.run_id)

    @property
    def kept_step(self) -> int | None:
        """The last step of earlier files that still belongs to the run; None if all steps do.

        If a file does not resume the run, and its steps begin at 0, it replaces the rows of all
        earlier files, as at a backend. The property is -1 then.
        """
        if self.rewound_to is None and not self.is_resumed and self.start_step == 0:
            return -1
        return self.rewound_to

    def read_head(self, file: RecordFile) -> None:
        """Read a file only up to the record that names the run; for errors see `read`."""
        self._read(file, until=lambda: self.is_named)

    def read_start(self, file: RecordFile) -> None:
        """Read a file only up to its first row; for errors see `read`."""
        self._read(file, until=lambda: self.start_step is not None)

    def read(
        self,
        file: RecordFile,
        rows: RecordedRows,
        *,
        first_step: int | None = None,
        max_step: int | None = None,
    ) -> None:
        """Add the records of a file to the run; the files of a resumed run are read in order.

        Parameters
        ----------
        file : RecordFile
            The file to read.
        rows : RecordedRows
            Receives the rows. `RecordedRows.write` is called after the last record.
        first_step : int, optional
            Number that is added to the steps of the file, if it is known from an earlier read. If
            omitted, it is computed from the earlier files of the run.
        max_step : int, optional
            The last step to keep, if a later file has rewound the run. Later steps are left out.

        Raises
        ------
        NotRecorded
            If the file is empty, is no ``.wandb`` file, or has an unknown version of the format.
        MissingExtra
            If the package wandb is not installed.
        """
        self.exit_code, self.first_step, self._step = None, first_step, None
        self.start_step = None
        # Each start of a run writes a whole summary, which replaces the summary of earlier starts.
        self.summary = Document()
        self._rows, self._max_step = rows, max_step
        self._read(file)
        rows.write()
        for document in (self.config, self.summary):
            try:
                document.values()
            except (ValueError, RecursionError) as error:
                file.damage = f"one of its values cannot be read ({error})"
        self._correct_summary()

    def _correct_summary(self) -> None:
        summary = self.summary.values()
        if self._step is not None and STEP in summary:
            # The SDK writes the summary of a row before the row, which may be cut off; and a
            # resumed run continues the steps.
            summary[STEP] = self._step

    def _read(self, file: RecordFile, *, until: Callable[[], bool] | None = None) -> None:
        record_type, decode_error = _messages()
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
                if until is not None and until():
                    return
            except (decode_error, ValueError, RecursionError) as error:
                file.damage = f"one of its records cannot be read ({error})"
                return

    def _add_run(self, run: Any) -> None:
        self.run_id, self.is_resumed = run.run_id, run.resume
        self.entity = run.entity or self.entity
        self.project = run.project or self.project
        started_at = run.start_time.seconds + run.start_time.nanos / 1e9
        self.started_at = started_at
        self.last_at = max(self.last_at, started_at)
        self.fields.setdefault("createdAt", written_time(started_at))
        # A later start of the run may leave a field empty; then the former value stays.
        for name, place in NAMED_FIELDS.items():
            self.fields[name] = attrgetter(place)(run) or self.fields.get(name)
        self.fields["tags"] = list(run.tags) or self.fields.get("tags") or []
        self._add_config(run.config)
        self._add_summary(run.summary)
        point = run.branch_point
        # The branch point of a fork names another run, and is in the config too.
        self.rewound_to = int(point.value) if point.run == run.run_id else None

    def _add_config(self, config: Any) -> None:
        self.config.change(config)

    def _add_summary(self, summary: Any) -> None:
        self.summary.change(summary)

    def _add_history(self, history: Any) -> None:
        items = history.item
        texts = [item.value_json for item in items]
        # All values are parsed as one list: each call of the parser takes as long as a value.
        values = json.loads(f"[{','.join(texts)}]")
        row = flat(nested_of(items, values))
        step = row.get(STEP, history.step.num)
        if self.start_step is None and type(step) is int:
            self.start_step = step
        if type(step) is not int or self._rows is None or not 0 <= step <= LAST_STEP:
            return
        if self.first_step is None:
            is_behind = self.is_resumed and step <= self.last_step
            self.first_step = self.last_step + 1 if is_behind else 0
        step += self.first_step
        if self._max_step is not None and step > self._max_step:
            return
        self.n_lines += 1
        row[STEP] = self._step = step
        self.last_step = max(self.last_step, step)
        moment = row.get(TIMESTAMP)
        if isinstance(moment, (int, float)):
            self.last_at = max(self.last_at, moment)
        self._rows.add(step, row, sum(map(len, texts)))

    def _add_stats(self, stats: Any) -> None:
        moment = stats.timestamp.seconds + stats.timestamp.nanos / 1e9
        self.last_at = max(self.last_at, moment)
        values = {f"system.{item.key}": json.loads(item.value_json) for item in stats.item}
        times = {TIMESTAMP: moment, RUNTIME: moment - self.started_at}
        # W&B marks rows of system metrics with `_wandb`.
        self.system_rows.append({"_wandb": True, **times, **values})

    def _add_exit(self, exited: Any) -> None:
        self.exit_code = exited.exit_code

    def state(self, *, is_recent: bool) -> str:
        """Return the state of the run; ``is_recent`` says that its file was just written."""
        if self.exit_code is not None:
            return FAILED if self.exit_code else FINISHED
        return RUNNING if is_recent else CRASHED

    def attrs(self, state: str) -> dict[str, Any]:
        """Return the run's fields by the backend's names.

        ``state`` is the state that the method `state` has returned.
        """
        last_system = self.system_rows[-1] if self.system_rows else {}
        config = {key: {"value": value} for key, value in self.config.values().items()}
        return {
            **self.fields,
            "id": str(self.path),
            "name": self.run_id,
            "displayName": self.fields.get("displayName") or self.run_id,
            "state": state,
            "heartbeatAt": written_time(self.last_at),
            "description": None,
            "readOnly": False,
            "projectId": None,
            "user": None,
            "historyLineCount": self.n_lines,
            "config": json.dumps(config),
            "summaryMetrics": json.dumps(self.summary.values()),
            "systemMetrics": json.dumps(
                {key: value for key, value in last_system.items() if key.startswith("system.")}
            ),
            "historyKeys": describe_keys(self.key_counts, self.last_step),
        }


def written_time(moment: float) -> str:
    """Convert seconds since 1970 to the ISO 8601 text that a backend writes."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _messages() -> tuple[Any, type[Exception]]:
    """Return the SDK's class of records, and the exception that it raises for invalid bytes."""
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
