"""Finds rows of the database that contradict each other or the exports."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.server.data_directory.custody import STORAGE
from runlake.server.data_directory.damage import Damage, NotRepairable
from runlake.server.runs.lines import parse_line
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage

EXPORT_NAME = re.compile(r"exports/(\d+)/(\d+)-[0-9a-f]+\.parquet")
WRONG_COUNTS = """
SELECT id, line_count, n, last_step, step FROM (
  SELECT id, line_count, last_step,
    coalesce((SELECT max(position) + 1 FROM lines
      WHERE run_id = runs.id AND stream = 'history'), 0) AS n,
    coalesce((SELECT max(step) FROM lines
      WHERE run_id = runs.id AND stream = 'history'), -1) AS step
  FROM runs
) WHERE line_count < n OR last_step < step
"""
SPANS = """
SELECT e.run_id, e.position, e.object, o.file, coalesce((SELECT min(position) FROM exports l
  WHERE l.run_id = e.run_id AND l.position > e.position), r.exported_count) AS stop
FROM exports e JOIN runs r ON r.id = e.run_id JOIN objects o ON o.name = e.object
WHERE o.file IS NOT NULL
"""
NO_FIRST_EXPORT = """
SELECT id FROM runs WHERE exported_count > 0 AND EXISTS
  (SELECT 1 FROM lines WHERE run_id = runs.id AND stream = 'history' AND position <
    coalesce((SELECT min(position) FROM exports WHERE run_id = runs.id), exported_count))
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

    def find_unnamed(self) -> Iterator[Damage]:
        """Yield the objects that belong to no export, file or artifact."""
        for row in self._database.rows(
            "SELECT name FROM objects WHERE name NOT IN (SELECT name FROM named_objects)"
        ):
            text = f"Nothing has the object {row['name']!r}."
            yield Damage(text, partial(self._name_or_delete, row["name"]))

    def find(self) -> Iterator[Damage]:
        """Yield wrong counts of lines, lines that cannot be read, and exports that lack rows."""
        for row in self._database.rows(WRONG_COUNTS):
            text = (
                f"Run {row['id']} counts {row['line_count']} lines to step {row['last_step']}, "
                f"but has {row['n']} to step {row['step']}."
            )
            yield Damage(text, partial(self._count_again, row["id"]))
        yield from self._find_bad_lines()
        incomplete = {row["id"]: "its first rows" for row in self._database.rows(NO_FIRST_EXPORT)}
        for row in self._database.rows(SPANS):
            if self._lacks_rows(row):
                incomplete.setdefault(row["run_id"], f"rows of {row['object']!r}")
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

    def _lacks_rows(self, row: sqlite3.Row) -> bool:
        try:
            n_rows = pq.read_metadata(self._data_dir / STORAGE / row["file"]).num_rows
        except (pa.ArrowException, OSError):
            return False
        logged = self._database.row(
            "SELECT count(DISTINCT step) AS n FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND position >= ? AND position < ?",
            row["run_id"],
            row["position"],
            row["stop"],
        )
        return logged is not None and n_rows < logged["n"]

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

    def _count_again(self, run_id: int) -> str:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE runs SET line_count = max(line_count, coalesce((SELECT max(position) + 1 "
                "FROM lines WHERE run_id = runs.id AND stream = 'history'), 0)), last_step = "
                "max(last_step, coalesce((SELECT max(step) FROM lines WHERE run_id = runs.id "
                "AND stream = 'history'), -1)) WHERE id = ?",
                (run_id,),
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
            for row in connection.execute(
                "SELECT object FROM exports WHERE run_id = ?", (run_id,)
            ).fetchall():
                self._storage.forget(row["object"])
            connection.execute("DELETE FROM exports WHERE run_id = ?", (run_id,))
            connection.execute(
                "UPDATE runs SET exported_count = 0, has_old_exports = 1, live_bytes = "
                "(SELECT coalesce(sum(length(content)), 0) FROM lines WHERE run_id = runs.id "
                "AND stream = 'history') WHERE id = ?",
                (run_id,),
            )
        return "They were withdrawn; the server exports the run again."
