"""Reads rows of a run's history from its stored lines; parses only the lines that it needs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from runlake.server.runs.kept_lines import NO_LIMIT, KeptLines
from runlake.server.runs.line_blocks import Line
from runlake.server.runs.lines import Row, even_positions, merge_steps, parse_line, rows_on_wire

STEP = "_step"
MAX_MARKS = 500


class HistoryRows:
    """Reads history rows of all runs.

    Parameters
    ----------
    lines : KeptLines
        Finds the stored lines.
    """

    def __init__(self, lines: KeptLines) -> None:
        self._lines = lines

    def steps(self, run: sqlite3.Row, *, is_live: bool) -> list[int]:
        """Return the steps of a run's rows, ascending, each step once.

        With ``is_live``, return only the steps of rows that are not exported.
        """
        return sorted(self._lines.steps(*_bounds(run, 0, NO_LIMIT, is_live=is_live)))

    def between(self, run: sqlite3.Row, start: int, stop: int, *, is_live: bool) -> list[Row]:
        """Return the rows with ``start <= step < stop``, ascending, one row per step.

        Parameters
        ----------
        run : Row
            The database row of the run.
        start, stop : int
            First step, inclusive, and the step to stop before, exclusive.
        is_live : bool
            Return only rows that are not exported.

        Returns
        -------
        list of dict
            Rows with dotted keys.
        """
        return _parsed(self._lines.in_steps(*_bounds(run, start, stop, is_live=is_live)))

    def page(
        self, run: sqlite3.Row, start: int, stop: int, *, is_live: bool, limit: int
    ) -> list[str]:
        """Return the first ``limit`` of the rows that `between` returns, as JSON."""
        found = self._lines.first_steps(*_bounds(run, start, stop, is_live=is_live), max(0, limit))
        lines: dict[int, list[str]] = {}
        for step, _, text in found:
            lines.setdefault(step or 0, []).append(text)
        return rows_on_wire(lines)

    def sample(self, run: sqlite3.Row, n_rows: int) -> list[Row]:
        """Return at most ``n_rows`` rows of the whole run, evenly spaced."""
        steps = self.steps(run, is_live=False)
        chosen = [steps[index] for index in even_positions(len(steps), n_rows)]
        return _parsed(self._lines.of_steps(run["id"], chosen))

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
            The database row of the run.
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
            steps = sorted(self._lines.steps(*_bounds(run, start, stop, is_live=is_live)))
            chosen = [steps[index] for index in even_positions(len(steps), limit)]
            return [dict.fromkeys(keys, step) for step in chosen]
        bounds = _bounds(run, start, stop, is_live=is_live)
        rows = _parsed(self._lines.in_steps(*bounds, _marks(keys)))
        found = [row for row in rows if all(key in row for key in keys)]
        positions = even_positions(len(found), limit)
        return [{key: found[position][key] for key in keys} for position in positions]


def _bounds(run: sqlite3.Row, start: int, stop: int, *, is_live: bool) -> tuple[int, int, int, int]:
    first = run["exported_count"] if is_live else 0
    return run["id"], max(start, 0), min(stop, NO_LIMIT), first


def _parsed(lines: Iterable[Line]) -> list[Row]:
    return merge_steps(parse_line(line.text) for line in lines)


def _marks(keys: Sequence[str]) -> list[str]:
    """Return strings; a line that contains none of them has none of the keys.

    Such lines need not be parsed. The other lines are parsed, and their keys are compared exactly.
    The string for a dotted key is only the last part of the key, because the line may contain the
    key as a nested dict. Lines with a Unicode escape or an escaped slash are always parsed, because
    a key may be written in this way. For very many keys the list is empty, which means that all
    lines are parsed: SQLite could not search for so many strings in one statement.
    """
    names = {key.rpartition(".")[2] for key in keys if key != STEP}
    marks = [
        "\\u",
        "\\/",
        *(f'{json.dumps(name, ensure_ascii=False)[1:-1]}"' for name in sorted(names)),
    ]
    return marks if len(marks) <= MAX_MARKS else []
