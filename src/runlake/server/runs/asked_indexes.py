"""Makes indexes on the fields by which lists of runs are filtered and ordered.

A value of a config or a summary is found by parsing the run's JSON, which takes long for ten
thousand runs. So the first list that filters or orders a large project by a field makes an index
on the field's SQL expression. The index covers only the runs of that project: making the index
reads no other runs, and changes of other runs do not become slower.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable

from runlake.server.runs.filter_fields import RunField
from runlake.server.store.database import Database

PREFIX = "asked_"
# Few indexes: SQLite updates each of them whenever a run sends its summary.
MAX_INDEXES = 16
# An index is replaced only if no list has used it for this time.
IDLE_SECONDS = 600.0
# In smaller projects a list takes a few milliseconds without an index.
MIN_RUNS = 500


class AskedIndexes:
    """Makes SQL indexes for lists of runs, and remembers when each index was last used."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._last_used: dict[str, float] | None = None

    def prepare(self, database: Database, project_id: int, fields: Iterable[RunField]) -> bool:
        """Make indexes on fields if the project is large.

        Parameters
        ----------
        database : Database
            The database of the runs; the same at each call.
        project_id : int
            Database id of the project.
        fields : iterable of RunField
            Fields by which a list of runs is filtered or ordered.

        Returns
        -------
        bool
            True if each field that needs an index has an index now. False if the project is small,
            if none of the fields needs an index, or if there are too many indexes.
        """
        asked = (_index(field, project_id) for field in fields)
        indexes = {name: statement for name, statement in asked if statement}
        if not indexes or not _is_large(database, project_id):
            return False
        with self._guard:
            if self._last_used is None:
                # 0.0, so that indexes of an earlier server may be replaced immediately.
                self._last_used = dict.fromkeys(_existing(database), 0.0)
            for name, statement in indexes.items():
                if name not in self._last_used:
                    if not _has_room(database, self._last_used):
                        return False
                    _execute(database, statement)
                self._last_used[name] = time.monotonic()
        return True


def _has_room(database: Database, last_used: dict[str, float]) -> bool:
    """Return whether one more index may be made.

    If there are too many, drop the index that was unused for longest, if it was unused long enough.
    """
    if len(last_used) < MAX_INDEXES:
        return True
    oldest = min(last_used, key=last_used.__getitem__)
    if last_used[oldest] and time.monotonic() - last_used[oldest] < IDLE_SECONDS:
        return False
    _execute(database, f"DROP INDEX IF EXISTS {oldest}")
    del last_used[oldest]
    return True


def _execute(database: Database, statement: str) -> None:
    with database.transaction() as connection:
        connection.execute(statement)


def _existing(database: Database) -> list[str]:
    rows = database.rows(
        "SELECT name FROM sqlite_schema WHERE type = 'index' AND name GLOB ?", f"{PREFIX}*"
    )
    return [row["name"] for row in rows]


def _is_large(database: Database, project_id: int) -> bool:
    row = database.row(
        "SELECT count(*) AS n FROM (SELECT 1 FROM runs WHERE project_id = ? LIMIT ?)",
        project_id,
        MIN_RUNS,
    )
    return row is not None and row["n"] == MIN_RUNS


def _index(field: RunField, project_id: int) -> tuple[str, str]:
    """Return the name and the SQL of an index on a field; both are empty if it needs no index."""
    is_of_runs = "runs." in field.value and not field.elements
    if not is_of_runs or field.value == "runs.created_at":
        return "", ""
    value = _unqualified(field.searched)
    name = f"{PREFIX}{project_id}_{hashlib.sha256(value.encode()).hexdigest()[:16]}"
    columns = f"project_id, {value}, id"
    return name, f"CREATE INDEX {name} ON runs ({columns}) WHERE project_id = {project_id}"


def _unqualified(sql: str) -> str:
    """Remove the table's name from an SQL expression, because an index must not name the table.

    The expression is split at single quotes. Literals contain no single quotes, so the first part,
    the third part and so on are outside of literals.
    """
    parts = sql.split("'")
    parts[::2] = [part.replace("runs.", "") for part in parts[::2]]
    return "'".join(parts)
