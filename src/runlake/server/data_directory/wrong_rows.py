"""Finds rows of the database that contradict each other or the exports."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from runlake.server.data_directory.custody import STORAGE
from runlake.server.data_directory.damage import Damage, NotRepairable
from runlake.server.data_directory.lost_lines import LostLines
from runlake.server.runs.kept_lines import count_live_bytes
from runlake.server.runs.lines import parse_line
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage

EXPORT_NAME = re.compile(r"exports/(\d+)/(\d+)-[0-9a-f]+\.parquet")
WRONG_COUNTS = """
SELECT id, line_count, n, last_step, step FROM (
  SELECT id, line_count, last_step,
    max(coalesce((SELECT max(position) + 1 FROM lines
      WHERE run_id = runs.id AND stream = 'history'), 0), coalesce((SELECT max(stop)
      FROM line_blocks WHERE run_id = runs.id), 0)) AS n,
    max(coalesce((SELECT max(step) FROM lines
      WHERE run_id = runs.id AND stream = 'history'), -1), coalesce((SELECT max(max_step)
      FROM line_blocks WHERE run_id = runs.id), -1)) AS step
  FROM runs
) WHERE line_count < n OR last_step < step
"""
NO_FIRST_EXPORT = """
SELECT id FROM (SELECT id, exported_count, coalesce(
  (SELECT min(position) FROM exports WHERE run_id = runs.id), exported_count) AS first FROM runs)
WHERE exported_count > 0 AND (
  EXISTS (SELECT 1 FROM lines WHERE run_id = id AND stream = 'history' AND position < first) OR
  EXISTS (SELECT 1 FROM line_blocks WHERE run_id = id AND position < first))
"""


class WrongRows:
    """Checks the rows of a database.

    Parameters
    ----------
    data_dir : Path
        The directory.
    database : Database
        Database of the directory.
    """

    def __init__(self, data_dir: Path, database: Database) -> None:
        self._data_dir = data_dir
        self._database = database
        self._storage = Storage(database, data_dir / STORAGE, "", 0.0)
        self._lines = LostLines(database, self._storage)

    def find_unnamed(self) -> Iterator[Damage]:
        """Yield a damage for each stored object that no export, run file or artifact uses."""
        for row in self._database.rows(
            "SELECT name FROM objects WHERE name NOT IN (SELECT name FROM named_objects)"
        ):
            text = f"Nothing has the object {row['name']!r}."
            yield Damage(text, partial(self._name_or_delete, row["name"]))

    def find(self) -> Iterator[Damage]:
        """Yield a damage for each wrong line count, bad line, and run with incomplete exports.

        A bad line is a stored line, except of the console output, that cannot be parsed. The
        exports of a run are incomplete if lines that count as exported have steps that no export
        has.
        """
        for row in self._database.rows(WRONG_COUNTS):
            text = (
                f"Run {row['id']} counts {row['line_count']} lines to step {row['last_step']}, "
                f"but has {row['n']} to step {row['step']}."
            )
            yield Damage(text, partial(self._count_again, row))
        yield from self._find_bad_lines()
        incomplete = {row["id"]: "its first rows" for row in self._database.rows(NO_FIRST_EXPORT)}
        for export in self._lines.exports():
            kept = self._lines.compare(export)
            if kept is not None and kept.n_exported < kept.n_kept:
                incomplete.setdefault(export.run_id, f"rows of {export.name!r}")
        for run_id, what in incomplete.items():
            text = f"The exports of run {run_id} lack {what}."
            yield Damage(text, partial(self._withdraw, run_id))

    def _find_bad_lines(self) -> Iterator[Damage]:
        lines = self._database.each(
            "SELECT run_id, stream, position, content FROM lines WHERE stream != 'output'"
        )
        for row in lines:
            try:
                parse_line(row["content"])
            except ValueError:
                place = (row["run_id"], row["stream"], row["position"])
                text = f"Line {place[2]} of the {place[1]} of run {place[0]} cannot be read."
                yield Damage(text, partial(self._delete_line, *place))

    def _name_or_delete(self, name: str) -> str:
        found = EXPORT_NAME.fullmatch(name)
        with self._database.transaction() as connection:
            if found is not None:
                listed = connection.execute(
                    "INSERT OR IGNORE INTO exports SELECT id, ?2, ?3 FROM runs "
                    "WHERE id = ?1 AND exported_count > ?2",
                    (int(found[1]), int(found[2]), name),
                ).rowcount
                if listed:
                    return "It is listed as an export of its run again."
            self._storage.forget(name)
        return "It was deleted."

    def _count_again(self, row: sqlite3.Row) -> str:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE runs SET line_count = max(line_count, ?), last_step = max(last_step, ?) "
                "WHERE id = ?",
                (row["n"], row["step"], row["id"]),
            )
        return "They were counted again."

    def _delete_line(self, run_id: int, stream: str, position: int) -> str:
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM lines WHERE run_id = ? AND stream = ? AND position = ?",
                (run_id, stream, position),
            )
        raise NotRepairable("It was deleted, so that the others can be read.")

    def _withdraw(self, run_id: int) -> str:
        with self._database.transaction() as connection:
            if connection.execute(
                "SELECT 1 FROM line_blocks WHERE run_id = ? AND content IS NULL", (run_id,)
            ).fetchone():
                raise NotRepairable("Its exported lines were dropped, so they stay as they are.")
            for row in connection.execute(
                "SELECT object FROM exports WHERE run_id = ?", (run_id,)
            ).fetchall():
                self._storage.forget(row["object"])
            connection.execute("DELETE FROM exports WHERE run_id = ?", (run_id,))
            connection.execute(
                # A reader may have cached these exports, and the SDK never updates a cached export.
                "UPDATE runs SET exported_count = 0, has_old_exports = 1, live_bytes = ? "
                "WHERE id = ?",
                (count_live_bytes(connection, run_id, 0), run_id),
            )
        return "They were withdrawn; the server exports the run again."
