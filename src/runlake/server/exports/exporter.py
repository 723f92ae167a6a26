"""Writes exports of runs and publishes them."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest

import pyarrow as pa

from runlake.server.exports.parquet_files import convert_lines, write_export
from runlake.server.runs.export_sizes import MAX_LIVE_BYTES, UNDER_WAY, is_due, most_rows
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage


@dataclass(frozen=True, slots=True)
class _Lines:
    """History lines from position ``start`` to ``stop``; some positions may have no line."""

    start: int
    stop: int
    texts: list[str]

    @property
    def has_gap(self) -> bool:
        return self.stop - self.start > len(self.texts)

    @property
    def n_bytes(self) -> int:
        return sum(map(len, self.texts))


class LinesAreGone(Exception):
    """An export cannot be written again; the text names the export and says why."""


class Exporter:
    """Exports the live rows of runs.

    Parameters
    ----------
    database : Database
        Contains the lines and the list of exports.
    storage : Storage
        Stores the files.
    rows : int or None
        Rows per export. If None, the exports of a run get larger as the run gets longer.
    """

    def __init__(self, database: Database, storage: Storage, rows: int | None) -> None:
        self._database = database
        self._storage = storage
        self._rows = rows

    def export_next(self, run_id: int) -> bool:
        """Write the next export of a run, if one is due.

        Parameters
        ----------
        run_id : int
            The run.

        Returns
        -------
        bool
            Whether another export of the run is due.
        """
        run = self._run(run_id)
        if run is None or not is_due(run, self._rows):
            return False
        lines = self._read(run_id, run["exported_count"], None)
        if not lines.texts or (lines.has_gap and run["state"] in UNDER_WAY):
            # Lines of the gap may still arrive, and an export is never rewritten.
            return False
        columns, lines = self._convert(run_id, lines)
        # The name has a random part, so that a run that starts again gets new objects.
        name = f"exports/{run_id}/{lines.start:012d}-{secrets.token_hex(4)}.parquet"
        with (
            self._storage.writing(name, partial(write_export, columns, lines.texts)) as written,
            self._database.transaction() as connection,
        ):
            if self._move(connection, run_id, lines):
                self._storage.register(name, written)
                connection.execute(
                    "INSERT INTO exports VALUES (?, ?, ?)", (run_id, lines.start, name)
                )
        run = self._run(run_id)
        return run is not None and is_due(run, self._rows)

    def export_again(self, run_id: int, position: int) -> None:
        """Write the file of an export again, from the lines of its rows.

        Parameters
        ----------
        run_id : int
            The run.
        position : int
            Position of the export's first line, its ``position`` in the table ``exports``.

        Raises
        ------
        LinesAreGone
            If the run has no such export, or its lines are not kept.
        """
        export = self._database.row(
            "SELECT object, coalesce((SELECT min(position) FROM exports AS later WHERE "
            "later.run_id = runs.id AND later.position > exports.position), exported_count) AS stop"
            " FROM exports JOIN runs ON runs.id = run_id WHERE run_id = ? AND position = ?",
            run_id,
            position,
        )
        if export is None:
            raise LinesAreGone(f"run {run_id} has no export that starts at line {position}")
        name, lines = export["object"], self._read(run_id, position, export["stop"])
        columns, converted = self._convert(run_id, lines)
        if not lines.texts or converted.stop < lines.stop:
            raise LinesAreGone(f"the lines of {name} are not kept")
        with (
            self._storage.writing(name, partial(write_export, columns, lines.texts)) as written,
            self._database.transaction(),
        ):
            self._storage.register(name, written)

    def _run(self, run_id: int) -> sqlite3.Row | None:
        return self._database.row(
            "SELECT state, line_count, exported_count, live_bytes FROM runs WHERE id = ?", run_id
        )

    def _read(self, run_id: int, start: int, stop: int | None) -> _Lines:
        """Return the lines from ``start`` to ``stop``, or as many lines as one export may have."""
        rows = self._database.each(
            "SELECT position, content FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND position >= ? AND position < coalesce(?, 1 << 62) ORDER BY position LIMIT ?",
            run_id,
            start,
            stop,
            most_rows(self._rows) if stop is None else -1,
        )
        texts: list[str] = []
        last, n_bytes = start - 1, 0
        for row in rows:
            n_bytes += len(row["content"])
            if stop is None and texts and n_bytes > MAX_LIVE_BYTES:
                break
            texts.append(row["content"])
            last = row["position"]
        return _Lines(start, last + 1, texts)

    def _convert(self, run_id: int, lines: _Lines) -> tuple[dict[str, pa.Array], _Lines]:
        """Return columns, and the lines from which they were made.

        If the lines are very long, the columns are made only from the first lines.
        """
        columns, n_lines = convert_lines(lines.texts)
        if n_lines == len(lines.texts):
            return columns, lines
        # The positions after a gap are not known here.
        stop = lines.start + n_lines
        if lines.has_gap:
            stop = self._position_after(run_id, lines.start, n_lines)
        return columns, _Lines(lines.start, stop, lines.texts[:n_lines])

    def _position_after(self, run_id: int, start: int, n_lines: int) -> int:
        row = self._database.row(
            "SELECT position FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND position >= ? ORDER BY position LIMIT 1 OFFSET ?",
            run_id,
            start,
            n_lines - 1,
        )
        return start if row is None else int(row["position"]) + 1

    def _move(self, connection: sqlite3.Connection, run_id: int, lines: _Lines) -> bool:
        """Count lines as exported and return True; False if the lines changed meanwhile."""
        # By content: a run that was rewound, or started over, may have as many lines again.
        held = connection.execute(
            "SELECT content FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND position >= ? AND position < ? ORDER BY position",
            (run_id, lines.start, lines.stop),
        )
        pairs = zip_longest((row["content"] for row in held), lines.texts)
        if not all(now == then for now, then in pairs):
            return False
        moved = connection.execute(
            "UPDATE runs SET exported_count = ?, live_bytes = max(0, live_bytes - ?) "
            "WHERE id = ? AND exported_count = ?",
            (lines.stop, lines.n_bytes, run_id, lines.start),
        ).rowcount
        return moved > 0
