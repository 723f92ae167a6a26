"""Finds exports of runs, and the positions of the history lines that each export contains."""

from __future__ import annotations

from dataclasses import dataclass

from runlake.server.store.database import Database

SPANS = """
SELECT e.run_id, e.position, e.object, coalesce((SELECT min(position) FROM exports AS later
  WHERE later.run_id = e.run_id AND later.position > e.position), r.exported_count) AS stop
FROM exports AS e JOIN runs AS r ON r.id = e.run_id
"""


@dataclass(frozen=True, slots=True)
class ExportSpan:
    """An export, and the range of positions of the history lines that it contains.

    Parameters
    ----------
    run_id : int
        Database id of the run.
    start, stop : int
        Position of the first line, inclusive, and the position to stop before, exclusive.
    name : str
        Name of the object that contains the export.
    """

    run_id: int
    start: int
    stop: int
    name: str


def find_spans(database: Database, condition: str, *values: int) -> list[ExportSpan]:
    """Return the exports that meet a condition, ordered by run and position.

    Parameters
    ----------
    database : Database
        Contains the exports.
    condition : str
        An SQL condition, in which ``e`` is the row of the table ``exports``.
    *values : int
        Parameters of the condition.
    """
    rows = database.rows(f"{SPANS} WHERE {condition} ORDER BY e.run_id, e.position", *values)
    return [ExportSpan(row["run_id"], row["position"], row["stop"], row["object"]) for row in rows]
