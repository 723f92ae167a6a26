"""Finds history lines that are exported, but lost or damaged; restores them from the exports."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.server.data_directory.damage import Damage, NotRepairable
from runlake.server.runs.export_spans import ExportSpan, find_spans
from runlake.server.runs.exported_rows import DamagedExport, read_lines
from runlake.server.runs.kept_lines import NO_LIMIT, KeptLines
from runlake.server.runs.line_blocks import (
    DamagedBlock,
    Line,
    checksum,
    pack,
    store_block,
    unpack,
)
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage

LINES_PER_BLOCK = 1_000
HAS_FILE = "EXISTS (SELECT 1 FROM objects WHERE name = e.object AND file IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class Compared:
    """The number of rows in an export, and the number of different steps in its stored lines."""

    n_exported: int
    n_kept: int


class LostLines:
    """Checks the stored history lines that are also in an export, for all runs.

    Parameters
    ----------
    database : Database
        Contains the lines.
    storage : Storage
        Contains the exports.
    """

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage
        self._kept = KeptLines(database, storage)

    def exports(self) -> list[ExportSpan]:
        """Return all exports that have a file."""
        return find_spans(self._database, HAS_FILE)

    def compare(self, export: ExportSpan) -> Compared | None:
        """Count the rows of an export and the steps of its stored lines.

        Return None if the file is missing or damaged, or if some of the lines are damaged or were
        dropped. Lines that are lost are not counted.
        """
        file = self._file(export)
        # The server may compress the lines at this moment.
        with self._database.snapshot():
            try:
                n_exported = None if file is None else pq.read_metadata(file).num_rows
                n_kept = self._kept.count_steps(export)
            except (pa.ArrowException, OSError, DamagedBlock):
                return None
        if n_exported is None or n_kept is None:
            return None
        return Compared(n_exported, n_kept)

    def find(self) -> Iterator[Damage]:
        """Yield each damaged block of lines, and each export that has lost some of its lines."""
        for block in self._database.each("SELECT * FROM line_blocks WHERE content IS NOT NULL"):
            if checksum(block["shape"], block["content"]) != block["crc32c"]:
                place = (block["run_id"], block["position"])
                text = f"Lines of run {place[0]} from position {place[1]} on are damaged."
                yield Damage(text, partial(self._replace_block, *place))
        for export in self.exports():
            compared = self.compare(export)
            if compared is not None and compared.n_kept < compared.n_exported:
                n_lost = compared.n_exported - compared.n_kept
                text = f"The lines of {n_lost:,} rows of {export.name!r} are lost."
                yield Damage(text, partial(self._refill, export))

    def _replace_block(self, run_id: int, position: int) -> str:
        for export in self.exports():
            if export.run_id == run_id and export.start <= position < export.stop:
                return self._refill(export)
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM line_blocks WHERE run_id = ? AND position = ?", (run_id, position)
            )
        raise NotRepairable("No export has their rows: they were deleted.")

    def _refill(self, export: ExportSpan) -> str:
        """Restore the stored lines of an export from the rows in its Parquet file.

        Return a sentence that says what was done.
        """
        try:
            with self._intact(export).open("rb") as content:
                rows = list(read_lines(content, 0, NO_LIMIT))
        except (DamagedExport, OSError) as error:
            raise NotRepairable(f"They are lost: {export.name!r} is damaged too.") from error
        lines = [
            Line(step, position, text)
            for position, (step, text) in enumerate(rows, start=export.start)
        ]
        groups = [lines[at : at + LINES_PER_BLOCK] for at in range(0, len(lines), LINES_PER_BLOCK)]
        with self._database.transaction() as connection:
            span = (export.run_id, export.start, export.stop)
            connection.execute(
                "DELETE FROM lines WHERE run_id = ? AND stream = 'history' "
                "AND position >= ? AND position < ?",
                span,
            )
            connection.executemany(
                "INSERT OR IGNORE INTO lines VALUES (?, 'history', ?, ?, ?)",
                [
                    (export.run_id, line.position, line.step, line.text)
                    for line in self._lines_beyond(export)
                ],
            )
            connection.execute(
                "DELETE FROM line_blocks WHERE run_id = ? AND stop > ? AND position < ?", span
            )
            for at, group in enumerate(groups):
                is_last = at == len(groups) - 1
                stop = export.stop if is_last else group[-1].position + 1
                store_block(connection, export.run_id, group[0].position, stop, pack(group))
        return f"They were made again from the rows of {export.name!r}."

    def _lines_beyond(self, export: ExportSpan) -> list[Line]:
        """Return lines that are outside an export, but share a block with lines of the export.

        A block can overlap two exports. If lines arrive late, for positions that had no line,
        exports are written again with other bounds, but blocks are not.
        """
        found: list[Line] = []
        for block in self._database.rows(
            "SELECT * FROM line_blocks WHERE run_id = ?1 AND content IS NOT NULL "
            "AND ((position < ?2 AND stop > ?2) OR (position < ?3 AND stop > ?3))",
            export.run_id,
            export.start,
            export.stop,
        ):
            # Lines of a damaged block are made again from their own exports, if there are any.
            with suppress(DamagedBlock):
                found += [
                    line
                    for line in unpack(block)
                    if not export.start <= line.position < export.stop
                ]
        return found

    def _intact(self, export: ExportSpan) -> Path:
        file = self._file(export)
        if file is None or not self._storage.is_intact(export.name):
            raise DamagedExport(export.name)
        return file

    def _file(self, export: ExportSpan) -> Path | None:
        found = self._storage.find(export.name)
        return found.file if found is not None else None
