"""Forks and rewinds: a run continues after a step of another run, or after one of its own steps.

The branch point is that run and step. A fork gets copies of its parent's lines, so that it can be
read, exported and changed alone, also after the parent was deleted. The table ``branch_points`` has
a row for each fork and each run that was rewound. The SDK sends the branch point only in its first
config, and later sends a config without it; so it is added to every config that is stored.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from runlake.server.refused import Refused
from runlake.server.runs.kept_lines import KeptLines
from runlake.server.runs.lines import LAST_STEP, count_keys, parse_line
from runlake.server.runs.wire_json import read_json
from runlake.server.store.database import Database
from runlake.server.store.long_json import dumps_object

INTERNAL = "_wandb"
BRANCH_POINT = "branch_point"
# Before the first step: a fork or rewind to it keeps no rows.
BEFORE_FIRST = -1
STEPS_PER_PAGE = 5_000


@dataclass(frozen=True, slots=True)
class BranchPoint:
    """The run and the step after which a fork or a rewound run continues.

    Parameters
    ----------
    run : str
        Run id of the run that is forked or rewound.
    step : int
        The last step that is kept; `BEFORE_FIRST` if no step is kept.
    """

    run: str
    step: int


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Facts about the rows of a run up to a step.

    Parameters
    ----------
    n_lines, last_step : int
        Number of lines, and the highest step of these lines, which is -1 if there are no lines.
    key_facts, summary : str
        JSON objects: facts about the keys, as in `count_keys`, and the last value of each key. If
        the step is the last one of the run, these are the run's own key facts and summary.
    """

    n_lines: int
    last_step: int
    key_facts: str
    summary: str


@dataclass(frozen=True, slots=True)
class Fork:
    """The plan of a fork, which is made before any row is copied.

    Parameters
    ----------
    parent : Row
        The row of the run that is forked.
    point : BranchPoint
        The step of the parent after which the fork continues.
    rows : KeptRows
        Facts about the parent's rows that are copied.
    """

    parent: sqlite3.Row
    point: BranchPoint
    rows: KeptRows


def read_branch_point(config: str) -> BranchPoint | None:
    """Return the branch point in a config, as the SDK sends it; None if the config has none.

    Parameters
    ----------
    config : str
        A JSON object.

    Raises
    ------
    Refused
        If the step of the branch point is not a number, or is below `BEFORE_FIRST`.

    Examples
    --------
    >>> read_branch_point('{"_wandb": {"value": {"branch_point": {"run_id": "r", "step": 5.5}}}}')
    BranchPoint(run='r', step=5)
    """
    if f'"{BRANCH_POINT}"' not in config:
        return None
    found = _internal(read_json(config)).get(BRANCH_POINT)
    if not isinstance(found, dict) or not isinstance(found.get("run_id"), str):
        return None
    step = found.get("step")
    is_infinite = isinstance(step, float) and not math.isfinite(step)
    if isinstance(step, bool) or not isinstance(step, (int, float)) or is_infinite:
        raise Refused(f"a run cannot continue after step {step!r:.40}: that is no number")
    return BranchPoint(found["run_id"], checked_step(step))


def checked_step(step: float) -> int:
    """Return the step of a fork or rewind as an integer; raise `Refused` for a step below -1."""
    if step < BEFORE_FIRST:
        raise Refused(
            f"a run cannot continue after step {max(step, -LAST_STEP):g}: the first step is 0"
        )
    return int(min(step, LAST_STEP))


class Branches:
    """Forks and rewinds runs.

    Parameters
    ----------
    database : Database
        Contains the runs.
    lines : KeptLines
        Reads and deletes the lines of the runs.
    """

    def __init__(self, database: Database, lines: KeptLines) -> None:
        self._database = database
        self._kept = lines

    def plan_fork(self, parent: sqlite3.Row, point: BranchPoint) -> Fork:
        """Return the plan of a fork of a parent run; nothing is stored yet.

        Raises
        ------
        Refused
            If the step of the branch point is higher than the parent's last step.
        """
        with self._database.snapshot():
            return Fork(parent, point, self.kept_rows(parent, point.step))

    def kept_rows(self, run: sqlite3.Row, step: int) -> KeptRows:
        """Return facts about a run's rows up to a step, inclusive; `KeptRows` lists the facts.

        Raises
        ------
        Refused
            If the step is higher than the run's last step.
        """
        if step > run["last_step"]:
            has = f"its last step is {run['last_step']}" if run["last_step"] >= 0 else "it has none"
            raise Refused(f"run {run['name']!r} has no step {step} yet: {has}")
        if step == run["last_step"]:
            # Nothing is left out, and lines of a long run need not be parsed.
            n_lines = self._kept.count_to(run["id"], step)
            return KeptRows(n_lines, step, run["key_facts"], run["summary"])
        facts: dict[str, Any] = {}
        # The last line with each key: only these lines are needed for the summary.
        latest: dict[str, tuple[int, str]] = {}
        n_lines, last = 0, -1
        for page in self._pages(run["id"], step):
            rows = [parse_line(line) for _, line in page]
            count_keys(facts, rows)
            for place, (row, (_, line)) in enumerate(zip(rows, page, strict=True), n_lines):
                latest.update(dict.fromkeys(row, (place, line)))
            n_lines += len(page)
            last = page[-1][0]
        summary = _summary_of(sorted(set(latest.values())))
        return KeptRows(n_lines, last, dumps_object(facts, json.JSONEncoder()), summary)

    def _pages(self, run_id: int, step: int) -> Iterator[list[tuple[int, str]]]:
        """Yield pages of a run's lines up to a step, inclusive, ascending by step.

        Each line is a pair of its step and its JSON.
        """
        start = 0
        while True:
            lines = self._kept.first_steps(run_id, start, step + 1, 0, STEPS_PER_PAGE)
            page = [(line.step or 0, line.text) for line in lines]
            if not page:
                return
            yield page
            start = page[-1][0] + 1

    def copy_rows(self, connection: sqlite3.Connection, run_id: int, fork: Fork) -> None:
        """Copy the parent's rows up to the branch point to a new run, and store the branch point.

        The new run must not have lines yet.

        Raises
        ------
        Refused
            If the number of these rows is not the same as when the fork was planned.
        """
        position = count()
        for page in self._pages(fork.parent["id"], fork.point.step):
            connection.executemany(
                "INSERT INTO lines VALUES (?, 'history', ?, ?, ?)",
                [(run_id, next(position), step, line) for step, line in page],
            )
        n_copied = next(position)
        rows = fork.rows
        if n_copied != rows.n_lines:
            raise Refused(f"run {fork.point.run!r} was changed while it was forked; try again")
        connection.execute(
            "UPDATE runs SET line_count = ?, last_step = ?, key_facts = ?, summary = ?, live_bytes "
            "= (SELECT coalesce(sum(length(content)), 0) FROM lines WHERE run_id = runs.id "
            "AND stream = 'history') WHERE id = ?",
            (rows.n_lines, rows.last_step, rows.key_facts, rows.summary, run_id),
        )
        inherited = read_json(self._large("config", fork.parent["id"]))
        inherited.pop(INTERNAL, None)
        connection.execute(
            "INSERT OR REPLACE INTO branch_points VALUES (?, ?, ?, ?)",
            (run_id, fork.point.run, fork.point.step, json.dumps(inherited)),
        )

    def rewind(
        self, connection: sqlite3.Connection, run_id: int, step: int, kept: KeptRows
    ) -> int | None:
        """Delete a run's lines after a step, and store the branch point.

        Parameters
        ----------
        connection : Connection
            A connection with an open transaction.
        run_id : int
            Database id of the run.
        step : int
            The last step that is kept.
        kept : KeptRows
            Facts about the rows that are kept.

        Returns
        -------
        int or None
            The position that `KeptLines.first_after` returns: no line before it is deleted. None if
            the run has no later lines.

        Raises
        ------
        Refused
            If the run was changed since the facts were read.
        """
        if self._kept.count_to(run_id, step) != kept.n_lines:
            raise Refused("the run was changed while it was rewound; try again")
        first = self._kept.first_after(run_id, step)
        if first is not None:
            n_lines = self._kept.delete_after(connection, run_id, step, first)
            connection.execute(
                "UPDATE runs SET last_step = ?, key_facts = ?, summary = ?, line_count = ?, "
                "n_changes = n_changes + 1 WHERE id = ?",
                (kept.last_step, kept.key_facts, kept.summary, n_lines, run_id),
            )
        self._note_rewind(connection, run_id, step)
        return first

    def _large(self, column: str, run_id: int) -> str:
        row = self._database.row(f"SELECT {column} AS value FROM runs WHERE id = ?", run_id)
        return "{}" if row is None else str(row["value"])

    def _note_rewind(self, connection: sqlite3.Connection, run_id: int, step: int) -> None:
        run = connection.execute("SELECT name, config FROM runs WHERE id = ?", (run_id,)).fetchone()
        # A fork that is rewound stays a fork of its parent.
        connection.execute(
            "INSERT INTO branch_points VALUES (?1, ?2, ?3, '{}') "
            "ON CONFLICT (run_id) DO UPDATE SET step = iif(parent = ?2, ?3, min(step, ?3))",
            (run_id, run["name"], step),
        )
        config = self.complete_config(run_id, run["config"], is_sdk=False)
        connection.execute("UPDATE runs SET config = ? WHERE id = ?", (config, run_id))

    def forget(self, connection: sqlite3.Connection, run_id: int) -> None:
        """Delete the branch point of a run, because the run is deleted or starts over."""
        connection.execute("DELETE FROM branch_points WHERE run_id = ?", (run_id,))

    def complete_config(self, run_id: int, config: str, *, is_sdk: bool) -> str:
        """Return a config with the branch point: the run and step after which this run continues.

        If the training script of a fork sent the config, entries of the parent's config are added.
        The config of a run that has no branch point is returned unchanged.

        Parameters
        ----------
        run_id : int
            Database id of the run.
        config : str
            The config that a client sent: a JSON object.
        is_sdk : bool
            True if the training script sent the config. The script does not know the parent's
            entries, so the server adds them; an entry of the script replaces the parent's entry.
        """
        found = self._database.row("SELECT * FROM branch_points WHERE run_id = ?", run_id)
        if found is None:
            return config
        sent = read_json(config)
        values = {**read_json(found["config"]), **sent} if is_sdk else sent
        point = {"run_id": found["parent"], "step": found["step"]}
        internal = {**_internal(sent), BRANCH_POINT: point}
        return dumps_object({**values, INTERNAL: {"value": internal}}, json.JSONEncoder())


def _summary_of(lines: Iterable[tuple[int, str]]) -> str:
    """Return the last value of each key in some lines, as a JSON object.

    The lines are pairs of position and JSON, ascending by position.
    """
    summary: dict[str, Any] = {}
    for _, line in lines:
        _update(summary, read_json(line))
    return dumps_object(summary, json.JSONEncoder())


def _update(values: dict[str, Any], later: Mapping[str, Any]) -> None:
    for key, value in later.items():
        held = values.get(key)
        is_nested = isinstance(value, dict) and value and "_type" not in value
        if is_nested and isinstance(held, dict) and "_type" not in held:
            _update(held, value)
        elif value is None:
            values.pop(key, None)
        else:
            values[key] = value


def _internal(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the SDK's own entries of a config, which are under the key ``_wandb``."""
    entry = config.get(INTERNAL)
    value = entry.get("value") if isinstance(entry, dict) else None
    return value if isinstance(value, dict) else {}
