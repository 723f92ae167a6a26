"""Reads rows of a run's history from its stored lines; parses only the lines that it needs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from runlake.server.runs.lines import Row, even_positions, merge_steps, parse_line, rows_on_wire
from runlake.server.store.database import Database

STEP = "_step"
NO_LIMIT = 2**63 - 1
MAX_MARKS = 500
IN_RANGE = (
    "FROM lines INDEXED BY lines_by_step WHERE run_id = ? AND stream = 'history' "
    "AND step >= ? AND step < ? AND position >= ? "
)


class HistoryRows:
    """Reads history rows of all runs.

    Parameters
    ----------
    database : Database
        Contains the stored lines.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def steps(self, run: sqlite3.Row, *, is_live: bool) -> list[int]:
        """Return the steps of all rows, or only of live rows; ascending, each step once."""
        # By position, not by step: this reads only the live rows of a long run. The unary plus
        # keeps SQLite from choosing the index on steps.
        steps = self._database.texts(
            "SELECT step AS value FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND position >= ? AND +step >= 0",
            run["id"],
            run["exported_count"] if is_live else 0,
        )
        return sorted(set(map(int, steps)))

    def between(self, run: sqlite3.Row, start: int, stop: int, *, is_live: bool) -> list[Row]:
        """Return the rows with ``start <= step < stop``, ascending, one row per step.

        Parameters
        ----------
        run : Row
            The run.
        start, stop : int
            First step, inclusive, and the step to stop before, exclusive.
        is_live : bool
            Return only rows that are not exported.

        Returns
        -------
        list of dict
            Rows with dotted keys.
        """
        bounds = self._bounds(run, start, stop, is_live=is_live)
        return self._parsed(f"SELECT content {IN_RANGE} ORDER BY step, position", *bounds)

    def page(
        self, run: sqlite3.Row, start: int, stop: int, *, is_live: bool, limit: int
    ) -> list[str]:
        """Return the first ``limit`` of the rows that `between` returns, as JSON."""
        bounds = self._bounds(run, start, stop, is_live=is_live)
        behind = self._database.row(
            f"SELECT DISTINCT step {IN_RANGE} ORDER BY step LIMIT 1 OFFSET ?",
            *bounds,
            max(0, limit),
        )
        if behind is not None:
            bounds = self._bounds(run, start, behind["step"], is_live=is_live)
        texts = self._database.texts(
            f"SELECT step || ' ' || position || ' ' || content AS value {IN_RANGE}", *bounds
        )
        lines: dict[int, list[str]] = {}
        for step, _, line in sorted(map(_placed, texts)):
            lines.setdefault(step, []).append(line)
        return rows_on_wire(lines)

    def sample(self, run: sqlite3.Row, n_rows: int) -> list[Row]:
        """Return at most ``n_rows`` rows of the whole run, evenly spaced."""
        steps = self._steps(run, 0, NO_LIMIT, is_live=False)
        chosen = [steps[index] for index in even_positions(len(steps), n_rows)]
        return self._parsed(
            f"SELECT content {IN_RANGE} AND step IN (SELECT value FROM json_each(?)) "
            "ORDER BY step, position",
            *self._bounds(run, 0, NO_LIMIT, is_live=False),
            json.dumps(chosen),
        )

    def with_keys(
        self,
        run: sqlite3.Row,
        keys: Sequence[str],
        start: int,
        stop: int,
        *,
        is_live: bool,
        limit: int,
    ) -> list[Row]:
        """Return the rows that have all of the given keys; other keys are left out of the rows.

        Parameters
        ----------
        run : Row
            The run.
        keys : sequence of str
            The keys; ``_step`` may be among them.
        start, stop : int
            First step, inclusive, and the step to stop before, exclusive.
        is_live : bool
            Return only rows that are not exported.
        limit : int
            Maximum number of rows; if there are more, an evenly spaced sample is returned.

        Returns
        -------
        list of dict
            The rows, ascending by step, one row per step.
        """
        if set(keys) <= {STEP}:
            steps = self._steps(run, start, stop, is_live=is_live)
            chosen = [steps[index] for index in even_positions(len(steps), limit)]
            return [dict.fromkeys(keys, step) for step in chosen]
        condition, marks = _mentions(keys)
        rows = self._parsed(
            f"SELECT content {IN_RANGE} AND {condition} ORDER BY step, position",
            *self._bounds(run, start, stop, is_live=is_live),
            *marks,
        )
        found = [row for row in rows if all(key in row for key in keys)]
        positions = even_positions(len(found), limit)
        return [{key: found[position][key] for key in keys} for position in positions]

    def _steps(self, run: sqlite3.Row, start: int, stop: int, *, is_live: bool) -> list[int]:
        steps = self._database.texts(
            f"SELECT DISTINCT step AS value {IN_RANGE}",
            *self._bounds(run, start, stop, is_live=is_live),
        )
        return sorted(map(int, steps))

    def _bounds(
        self, run: sqlite3.Row, start: int, stop: int, *, is_live: bool
    ) -> tuple[int, int, int, int]:
        first = run["exported_count"] if is_live else 0
        return run["id"], max(start, 0), min(stop, NO_LIMIT), first

    def _parsed(self, statement: str, *values: object) -> list[Row]:
        lines = self._database.rows(statement, *values)
        return merge_steps(parse_line(line["content"]) for line in lines)


def _placed(text: str) -> tuple[int, int, str]:
    step, position, line = text.split(" ", 2)
    return int(step), int(position), line


def _mentions(keys: Sequence[str]) -> tuple[str, list[str]]:
    """Return an SQL condition that every line with one of the keys meets, and its parameters.

    The condition only skips lines that cannot have a key; the parsed rows are checked afterwards.
    A dotted key may come from a nested dict, whose line contains only the last part of the key as a
    name. JSON may escape any character. For very many keys there is no condition, because SQLite
    limits the depth of an expression.
    """
    names = {key.rpartition(".")[2] for key in keys if key != STEP}
    marks = [
        "\\u",
        "\\/",
        *(f'{json.dumps(name, ensure_ascii=False)[1:-1]}"' for name in sorted(names)),
    ]
    if len(marks) > MAX_MARKS:
        return "1", []
    return f"({' OR '.join('instr(content, ?)' for _ in marks)})", marks
