"""Compresses history lines that are exported, or drops them."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from runlake.server.runs.export_spans import ExportSpan, find_spans
from runlake.server.runs.kept_lines import KeptLines
from runlake.server.runs.line_blocks import BLOCK_CHARS, pack, store_block
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage

LOGGER = logging.getLogger(__name__)
# The block at the first position of an export is stored last. If it exists, all lines of the export
# are compressed.
NOT_COMPRESSED = (
    "NOT EXISTS (SELECT 1 FROM line_blocks AS b WHERE b.run_id = e.run_id "
    "AND b.position = e.position)"
)
NOT_DROPPED = (
    "NOT EXISTS (SELECT 1 FROM line_blocks AS b WHERE b.run_id = e.run_id "
    "AND b.position = e.position AND b.content IS NULL)"
)
COUNT = (
    "SELECT min(position) AS start, max(stop) AS stop, sum(n_lines) AS n_lines, "
    "sum(n_chars) AS n_chars, min(min_step) AS min_step, max(max_step) AS max_step, "
    "count(content) AS n_blocks FROM line_blocks "
    "WHERE run_id = ? AND position >= ? AND position < ?"
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A range of positions of a run, whose lines are compressed into one block.

    The lines are from position ``first``, inclusive, to ``stop``, exclusive. The block covers the
    positions from ``start`` on. In the first block of an export, ``start`` is the export's first
    position, which may have no line and so be before ``first``.
    """

    start: int
    first: int
    stop: int


class LineCompressor:
    """Compresses the exported lines of runs, one export after the other.

    Parameters
    ----------
    database : Database
        Contains the lines.
    storage : Storage
        Contains the exports.
    drops : bool
        Drop the lines of an export after they are compressed. Lines after a gap (positions that
        have no line yet) are kept. If lines arrive for the gap later, the exports from the gap on
        are written again from the kept lines.

    Notes
    -----
    Lines are replaced only after the export was read back from the disk with the right digest. Each
    transaction replaces the lines of one block, so that writers need not wait, and a crash between
    two transactions loses nothing.
    """

    def __init__(self, database: Database, storage: Storage, *, drops: bool) -> None:
        self._database = database
        self._storage = storage
        self._kept = KeptLines(database, storage)
        self._drops = drops

    def find_runs(self) -> list[int]:
        """Return the database ids of the runs that have exported lines to compress or drop."""
        condition = NOT_DROPPED if self._drops else NOT_COMPRESSED
        rows = self._database.rows(f"SELECT DISTINCT run_id FROM exports AS e WHERE {condition}")
        return [row["run_id"] for row in rows]

    def compress_next(self, run_id: int) -> bool:
        """Compress or drop the lines of one export of a run.

        Parameters
        ----------
        run_id : int
            Database id of the run.

        Returns
        -------
        bool
            Whether the run may have another export whose lines must be compressed or dropped.
        """
        for export in self._exports(run_id, NOT_COMPRESSED):
            pieces = self._pieces(export)
            if pieces and self._is_intact(export):
                return self._compress(export, pieces)
        if self._drops:
            for export in self._droppable(run_id):
                return self._is_intact(export) and self._drop(export)
        return False

    def _exports(self, run_id: int, condition: str) -> list[ExportSpan]:
        return find_spans(self._database, f"e.run_id = ? AND {condition}", run_id)

    def _is_intact(self, export: ExportSpan) -> bool:
        if self._storage.is_intact(export.name):
            return True
        LOGGER.warning("The object %r is damaged: run 'runlake server check'.", export.name)
        return False

    def _compress(self, export: ExportSpan, pieces: list[_Piece]) -> bool:
        """Move the lines of an export to compressed blocks, the last lines first.

        Return False if the export was removed meanwhile, for example because a line arrived late.
        """
        for piece in reversed(pieces):
            lines = list(self._kept.each(export.run_id, piece.first, piece.stop))
            # Before the transaction, during which nobody else can write. Lines of a listed export
            # do not change, so it is enough to check below that the export is still listed.
            packed = pack(lines)
            with self._database.transaction() as connection:
                if not _is_listed(connection, export):
                    return False
                connection.execute(
                    "DELETE FROM lines WHERE run_id = ? AND stream = 'history' "
                    "AND position >= ? AND position < ?",
                    (export.run_id, piece.first, piece.stop),
                )
                store_block(connection, export.run_id, piece.start, piece.stop, packed)
        return True

    def _pieces(self, export: ExportSpan) -> list[_Piece]:
        """Divide the lines of an export into one piece per block.

        The list is empty if lines arrived late, for positions that are in or after an existing
        block. Such lines are few, and stay uncompressed.
        """
        sizes = self._database.rows(
            "SELECT position, length(content) AS n_chars FROM lines WHERE run_id = ? "
            "AND stream = 'history' AND position >= ? AND position < ? ORDER BY position",
            export.run_id,
            export.start,
            export.stop,
        )
        made = self._database.row(COUNT, export.run_id, export.start, export.stop)
        stop = export.stop if made is None or made["start"] is None else made["start"]
        if not sizes or sizes[-1]["position"] >= stop:
            return []
        firsts: list[int] = []
        n_chars = BLOCK_CHARS
        for row in sizes:
            if n_chars >= BLOCK_CHARS:
                firsts.append(row["position"])
                n_chars = 0
            n_chars += row["n_chars"]
        starts = [export.start, *firsts[1:]]
        return list(map(_Piece, starts, firsts, [*firsts[1:], stop]))

    def _droppable(self, run_id: int) -> Iterator[ExportSpan]:
        """Yield each export of a run whose lines can be dropped.

        Up to the end of such an export, each position has a line, and all lines are compressed.
        """
        waiting = {export.start for export in self._exports(run_id, NOT_DROPPED)}
        for export in self._exports(run_id, "1"):
            made = self._database.row(COUNT, run_id, export.start, export.stop)
            span = (export.start, export.stop, export.stop - export.start)
            if made is None or (made["start"], made["stop"], made["n_lines"]) != span:
                return
            if export.start in waiting:
                yield export

    def _drop(self, export: ExportSpan) -> bool:
        with self._database.transaction() as connection:
            if not _is_listed(connection, export):
                return False
            made = connection.execute(COUNT, (export.run_id, export.start, export.stop)).fetchone()
            connection.execute(
                "DELETE FROM line_blocks WHERE run_id = ? AND position >= ? AND position < ?",
                (export.run_id, export.start, export.stop),
            )
            connection.execute(
                "INSERT INTO line_blocks (run_id, position, stop, n_lines, n_chars, n_bytes, "
                "min_step, max_step) VALUES (?, ?, ?, ?, ?, 0, ?, ?)",
                (
                    export.run_id,
                    export.start,
                    export.stop,
                    made["n_lines"],
                    made["n_chars"],
                    made["min_step"],
                    made["max_step"],
                ),
            )
        return True


def _is_listed(connection: sqlite3.Connection, export: ExportSpan) -> bool:
    """Return whether the database still lists an export.

    While an export is listed, its lines do not change.
    """
    row = connection.execute(
        "SELECT 1 FROM exports WHERE run_id = ? AND position = ? AND object = ?",
        (export.run_id, export.start, export.name),
    ).fetchone()
    return row is not None
