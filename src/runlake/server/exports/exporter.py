"""Writes exports of runs and publishes them."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from functools import partial
from itertools import islice, zip_longest

import pyarrow as pa

from runlake.server.exports.parquet_files import convert_lines, write_export
from runlake.server.runs.export_sizes import MAX_LIVE_BYTES, UNDER_WAY, is_due, most_rows
from runlake.server.runs.export_spans import find_spans
from runlake.server.runs.kept_lines import NO_LIMIT, KeptLines
from runlake.server.runs.line_blocks import DamagedBlock
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage


@dataclass(frozen=True, slots=True)
class _Lines:
    """History lines of a run, as JSON strings.

    The lines are from position ``start``, inclusive, to ``stop``, exclusive. Some positions may
    have no line.
    """

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
    """Exports the live rows of runs, which are the rows that are in no export yet.

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
        self._kept = KeptLines(database, storage)
        self._rows = rows

    def export_next(self, run_id: int) -> bool:
        """Write the next export of a run, if one is due.

        Parameters
        ----------
        run_id : int
            Database id of the run.

        Returns
        -------
        bool
            Whether another export of the run is due.
        """
        run = self._run(run_id)
        if run is None or not is_due(run, self._rows):
            return False
        is_under_way = run["state"] in UNDER_WAY
        lines = self._read(run_id, run["exported_count"], None, stops_at_gap=is_under_way)
        if not lines.texts:
            return False
        columns, lines = self._convert(run_id, lines)
        # The name has a random part, so that a run that starts again gets new objects.
        name = f"exports/{run_id}/{lines.start:012d}-{secrets.token_hex(4)}.parquet"
        # Compared before the transaction: this takes long, and nobody else can write during a
        # transaction.
        is_unchanged = self._is_unchanged(run_id, lines)
        with (
            self._storage.writing(name, partial(write_export, columns, lines.texts)) as written,
            self._database.transaction() as connection,
        ):
            if is_unchanged and _move(connection, run_id, lines, run["n_changes"]):
                self._storage.register(name, written)
                connection.execute(
                    "INSERT INTO exports VALUES (?, ?, ?)", (run_id, lines.start, name)
                )
        run = self._run(run_id)
        return run is not None and is_due(run, self._rows)

    def export_again(self, run_id: int, position: int) -> None:
        """Write the Parquet file of an export again, from the stored lines of the run.

        Parameters
        ----------
        run_id : int
            Database id of the run.
        position : int
            Position of the export's first line, its ``position`` in the table ``exports``.

        Raises
        ------
        LinesAreGone
            If the run has no such export, or its lines are damaged or not kept.
        """
        spans = find_spans(self._database, "e.run_id = ? AND e.position = ?", run_id, position)
        if not spans:
            raise LinesAreGone(f"run {run_id} has no export that starts at line {position}")
        (span,) = spans
        name = span.name
        if self._kept.are_dropped(span):
            raise LinesAreGone(f"the lines of {name} were dropped after it was written")
        try:
            lines = self._read(run_id, position, span.stop)
        except DamagedBlock as error:
            raise LinesAreGone(str(error)) from error
        if not lines.texts:
            raise LinesAreGone(f"the lines of {name} are not kept")
        # All lines, however long: older versions wrote exports of any size.
        columns, _ = convert_lines(lines.texts, all_of_them=True)
        with (
            self._storage.writing(name, partial(write_export, columns, lines.texts)) as written,
            self._database.transaction(),
        ):
            self._storage.register(name, written)

    def _run(self, run_id: int) -> sqlite3.Row | None:
        return self._database.row(
            "SELECT state, line_count, exported_count, live_bytes, n_changes FROM runs "
            "WHERE id = ?",
            run_id,
        )

    def _read(
        self, run_id: int, start: int, stop: int | None, *, stops_at_gap: bool = False
    ) -> _Lines:
        """Return the lines from position ``start``, inclusive, to ``stop``, exclusive.

        If ``stop`` is None, return as many lines as one export may have. With ``stops_at_gap``,
        return only the lines before the first position that has no line. While a run goes on, a
        line may still arrive for this position, and would make an export that includes it wrong.
        """
        kept = self._kept.each(run_id, start, NO_LIMIT if stop is None else stop)
        texts: list[str] = []
        last, n_bytes = start - 1, 0
        for line in islice(kept, most_rows(self._rows) if stop is None else None):
            n_bytes += len(line.text)
            if stops_at_gap and line.position > last + 1:
                break
            if stop is None and texts and n_bytes > MAX_LIVE_BYTES:
                break
            texts.append(line.text)
            last = line.position
        return _Lines(start, last + 1, texts)

    def _convert(self, run_id: int, lines: _Lines) -> tuple[dict[str, pa.Array], _Lines]:
        """Return the Arrow columns of history lines, and the lines that the columns contain.

        If the lines are very long, the columns contain only the first lines.
        """
        columns, n_lines = convert_lines(lines.texts)
        if n_lines == len(lines.texts):
            return columns, lines
        # Without a gap the positions are consecutive.
        stop = lines.start + n_lines
        if lines.has_gap:
            stop = self._position_after(run_id, lines.start, n_lines)
        return columns, _Lines(lines.start, stop, lines.texts[:n_lines])

    def _position_after(self, run_id: int, start: int, n_lines: int) -> int:
        last = next(islice(self._kept.each(run_id, start), n_lines - 1, None), None)
        return start if last is None else last.position + 1

    def _is_unchanged(self, run_id: int, lines: _Lines) -> bool:
        held = self._kept.each(run_id, lines.start, lines.stop)
        pairs = zip_longest((line.text for line in held), lines.texts)
        return all(now == then for now, then in pairs)


def _move(connection: sqlite3.Connection, run_id: int, lines: _Lines, n_changes: int) -> bool:
    """Record that lines are exported; return False if they have changed since they were read."""
    moved = connection.execute(
        "UPDATE runs SET exported_count = ?, live_bytes = max(0, live_bytes - ?) "
        "WHERE id = ? AND exported_count = ? AND n_changes = ?",
        (lines.stop, lines.n_bytes, run_id, lines.start, n_changes),
    ).rowcount
    return moved > 0
