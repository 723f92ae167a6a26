"""Finds history lines, wherever they are kept: in rows of their own, in blocks, or in exports.

A line is stored in a row of the table ``lines``. Once it is exported, it is moved to a compressed
block in the table ``line_blocks``. If a server drops exported lines, the block has no content, and
its rows are read from the export. A line is never in the table ``lines`` and in a block at once.
"""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, TypeVar

from runlake.server.refused import Refused
from runlake.server.runs.export_spans import ExportSpan
from runlake.server.runs.exported_rows import DamagedExport, read_lines, read_steps
from runlake.server.runs.line_blocks import Line, positions_of, steps_of, unpack
from runlake.server.store.database import Database
from runlake.server.store.objects import Storage

Read = TypeVar("Read")
NO_LIMIT = 2**63 - 1
IN_RANGE = (
    "FROM lines INDEXED BY lines_by_step WHERE run_id = ? AND stream = 'history' "
    "AND step >= ? AND step < ? AND position >= ? "
)
BLOCKS = (
    "FROM line_blocks INDEXED BY line_blocks_by_step WHERE run_id = ? AND min_step < ? "
    "AND max_step >= ? AND stop > ? "
)
# The blocks that overlap a range of positions. Blocks do not overlap each other.
OVERLAPPING = (
    "FROM line_blocks WHERE run_id = ?1 AND position < ?3 AND stop > ?2 AND position >= coalesce("
    "(SELECT max(position) FROM line_blocks WHERE run_id = ?1 AND position <= ?2), 0) "
    "ORDER BY position"
)
HEAD = "run_id, position, stop, n_lines, min_step, max_step, content IS NULL AS is_dropped"


class KeptLines:
    """Finds the history lines of all runs.

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

    def in_steps(
        self, run_id: int, start: int, stop: int, first: int, marks: Sequence[str] = ()
    ) -> list[Line]:
        """Return the lines of a range of steps, ascending by step, then by position.

        Parameters
        ----------
        run_id : int
            Database id of the run.
        start, stop : int
            First step, inclusive, and the step to stop before, exclusive.
        first : int
            Lines before this position are left out.
        marks : sequence of str
            Return only lines that contain one of these strings; all lines if empty.

        Returns
        -------
        list of Line
            The lines, each with its step and its position. Lines without a step are left out. For
            each step, lines that were dropped are one line, made from a row of the export; its
            position is the first position of the export.
        """
        condition = " OR ".join("instr(content, ?)" for _ in marks) or "1"
        values = (run_id, start, stop, first, *marks)
        with self._database.snapshot():
            texts = self._database.texts(
                f"SELECT step || ' ' || position || ' ' || content AS value {IN_RANGE} "
                f"AND ({condition})",
                *values,
            )
            found = list(map(_placed, texts))
            for block in self._blocks(run_id, start, stop, first):
                lines = self._lines_of(block, start, stop, first)
                found += (line for line in lines if not marks or any(m in line.text for m in marks))
        return sorted(found)

    def of_steps(self, run_id: int, steps: Sequence[int]) -> list[Line]:
        """Return the lines of the given steps, ascending by step, then by position."""
        if not steps:
            return []
        wanted, low, high = set(steps), min(steps), max(steps)
        with self._database.snapshot():
            found = self._few_rows(run_id, sorted(wanted))
            for block in self._blocks(run_id, low, high + 1, 0):
                if block["is_dropped"]:
                    lines = self._lines_of(block, low, high + 1, 0)
                    found += (line for line in lines if line.step in wanted)
                else:
                    found += unpack(self._whole(block), wanted.__contains__)
        return sorted(found)

    def steps(self, run_id: int, start: int, stop: int, first: int) -> set[int]:
        """Return the steps of the lines that `in_steps` returns for the same arguments."""
        with self._database.snapshot():
            if start <= 0 and stop >= NO_LIMIT:
                # By position: this reads only the last lines of a long run. The unary plus keeps
                # SQLite from choosing the index on steps.
                texts = self._database.texts(
                    "SELECT step AS value FROM lines WHERE run_id = ? AND stream = 'history' "
                    "AND position >= ? AND +step >= 0",
                    run_id,
                    first,
                )
            else:
                texts = self._database.texts(
                    f"SELECT DISTINCT step AS value {IN_RANGE}", run_id, start, stop, first
                )
            found = set(map(int, texts))
            for block in self._blocks(run_id, start, stop, first):
                found.update(self._steps_of(block, start, stop, first))
        return found

    def first_steps(
        self, run_id: int, start: int, stop: int, first: int, n_steps: int
    ) -> list[Line]:
        """Return the lines of `in_steps`, but only the lines of the first ``n_steps`` steps."""
        with self._database.snapshot():
            stop = self._step_after(run_id, start, stop, first, n_steps)
            return self.in_steps(run_id, start, stop, first)

    def _step_after(self, run_id: int, start: int, stop: int, first: int, n_steps: int) -> int:
        texts = self._database.texts(
            f"SELECT DISTINCT step AS value {IN_RANGE} ORDER BY step LIMIT ?",
            run_id,
            start,
            stop,
            first,
            n_steps + 1,
        )
        found = set(map(int, texts))
        for block in self._blocks(run_id, start, stop, first):
            if sum(step < block["min_step"] for step in found) > n_steps:
                break
            found.update(self._steps_of(block, start, stop, first))
        return sorted(found)[n_steps] if len(found) > n_steps else stop

    def each(self, run_id: int, start: int, stop: int = NO_LIMIT) -> Iterator[Line]:
        """Yield the lines from position ``start``, inclusive, to ``stop``, exclusive, ascending.

        Lines that were dropped are left out.

        Raises
        ------
        DamagedBlock
            If a block cannot be unpacked.
        """
        for block in self._database.rows(f"SELECT {HEAD} {OVERLAPPING}", run_id, start, stop):
            # Lines before the block that are in rows of their own.
            yield from self._rows(run_id, start, min(block["position"], stop))
            if not block["is_dropped"]:
                inner = max(start, block["position"]), min(stop, block["stop"])
                packed = [
                    line for line in unpack(self._whole(block)) if line.position in range(*inner)
                ]
                # Lines that arrived late for a gap in the block are in rows of their own.
                late = self._rows(run_id, *inner)
                yield from heapq.merge(packed, late, key=lambda line: line.position)
            start = max(start, block["stop"])
        yield from self._rows(run_id, start, stop)

    def count_steps(self, span: ExportSpan) -> int | None:
        """Return how many different steps the lines of an export have; None if lines were dropped.

        Raises
        ------
        DamagedBlock
            If a block cannot be unpacked.
        """
        place = (span.run_id, span.start, span.stop)
        rows = self._database.rows(
            "SELECT DISTINCT step FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND position >= ? AND position < ? AND +step >= 0",
            *place,
        )
        found = {row["step"] for row in rows}
        for block in self._database.rows(f"SELECT {HEAD} {OVERLAPPING}", *place):
            if block["is_dropped"]:
                return None
            whole = self._whole(block)
            if span.start <= block["position"] and block["stop"] <= span.stop:
                # The steps of a whole block are read without unpacking its texts.
                found.update(steps_of(whole))
            else:
                lines = [line for line in unpack(whole) if span.start <= line.position < span.stop]
                found.update(line.step for line in lines if line.step is not None)
        return len(found)

    def are_dropped(self, span: ExportSpan) -> bool:
        """Return whether lines of an export were dropped."""
        row = self._database.row(
            "SELECT 1 FROM line_blocks WHERE run_id = ? AND position >= ? AND position < ? "
            "AND content IS NULL",
            span.run_id,
            span.start,
            span.stop,
        )
        return row is not None

    def positions(self, run_id: int, start: int, stop: int) -> tuple[set[int], set[int]]:
        """Return which positions of a range are in the table ``lines``, and which are in blocks."""
        rows = self._database.rows(
            "SELECT position FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND position >= ? AND position < ?",
            run_id,
            start,
            stop,
        )
        packed: set[int] = set()
        for block in self._database.rows(f"SELECT {HEAD} {OVERLAPPING}", run_id, start, stop):
            span = range(max(start, block["position"]), min(stop, block["stop"]))
            # A block without gaps has every position, so it need not be unpacked.
            if block["n_lines"] == block["stop"] - block["position"]:
                packed.update(span)
            else:
                packed.update(at for at in positions_of(self._whole(block)) if at in span)
        return {row["position"] for row in rows}, packed

    def first_after(self, run_id: int, step: int) -> int | None:
        """Return the lowest position of a line with a step above ``step``; None if not found.

        If such lines were dropped, their positions are unknown, and the first position of their
        export is used instead.
        """
        row = self._database.row(
            "SELECT min(position) AS first FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND step > ?",
            run_id,
            step,
        )
        found = [row["first"]] if row is not None and row["first"] is not None else []
        for block in self._blocks(run_id, step + 1, NO_LIMIT, 0):
            # The rows of an export have no positions, so the whole block counts.
            if block["is_dropped"]:
                found.append(block["position"])
            else:
                found += (line.position for line in self._lines_of(block, step + 1, NO_LIMIT, 0))
        return min(found, default=None)

    def last_line(self, run_id: int) -> str | None:
        """Return the line with the highest position; None if there are no lines."""
        row = self._database.row(
            "SELECT content, position FROM lines WHERE run_id = ? AND stream = 'history' "
            "ORDER BY position DESC LIMIT 1",
            run_id,
        )
        block = self._database.row(
            f"SELECT {HEAD} FROM line_blocks WHERE run_id = ? ORDER BY position DESC LIMIT 1",
            run_id,
        )
        if block is None or (row is not None and row["position"] >= block["stop"]):
            return row["content"] if row is not None else None
        if block["is_dropped"]:
            lines = self._lines_of(block, block["max_step"] or 0, NO_LIMIT, 0)
            return max(lines, default=Line(0, 0, "{}")).text
        last = unpack(self._whole(block))[-1]
        is_later = row is not None and row["position"] > last.position
        return row["content"] if row is not None and is_later else last.text

    def count_to(self, run_id: int, step: int) -> int:
        """Return the number of lines whose step is at most ``step``.

        Lines that were dropped count once for each step, like the rows of their export.
        """
        row = self._database.row(
            "SELECT count(*) AS n FROM lines WHERE run_id = ? AND stream = 'history' AND step <= ?",
            run_id,
            step,
        )
        blocks = self._blocks(run_id, 0, step + 1, 0)
        packed = sum(1 for block in blocks for _ in self._steps_of(block, 0, step + 1, 0))
        return packed + (row["n"] if row is not None else 0)

    def delete_after(
        self, connection: sqlite3.Connection, run_id: int, step: int, first: int
    ) -> int:
        """Delete the lines after a step, within the present transaction.

        Parameters
        ----------
        connection : Connection
            A connection with an open transaction.
        run_id : int
            Database id of the run.
        step : int
            The last step that is kept.
        first : int
            Position that `first_after` returned. Lines without a step are deleted from it on.

        Returns
        -------
        int
            The position after the last kept line, which becomes the ``line_count`` of the run.
        """
        connection.execute(
            "DELETE FROM line_blocks WHERE run_id = ? AND position >= ? AND min_step > ?",
            (run_id, first, step),
        )
        self._release(connection, run_id, first)
        connection.execute(
            "DELETE FROM lines WHERE run_id = ?1 AND stream = 'history' "
            "AND (step > ?2 OR (step IS NULL AND position >= ?3))",
            (run_id, step, first),
        )
        row = connection.execute(
            "SELECT max(coalesce((SELECT max(position) + 1 FROM lines WHERE run_id = ?1 "
            "AND stream = 'history'), 0), coalesce((SELECT max(stop) FROM line_blocks "
            "WHERE run_id = ?1), 0)) AS n",
            (run_id,),
        ).fetchone()
        return int(row["n"])

    def _release(self, connection: sqlite3.Connection, run_id: int, position: int) -> None:
        """Move the lines of all blocks that end after a position back to the table ``lines``."""
        for block in self._database.rows(
            f"SELECT {HEAD} FROM line_blocks WHERE run_id = ? AND stop > ?", run_id, position
        ):
            if block["is_dropped"]:
                rows = self._lines_of(block, 0, NO_LIMIT, 0)
                lines = [
                    line._replace(position=at) for at, line in enumerate(rows, block["position"])
                ]
            else:
                lines = unpack(self._whole(block))
            connection.executemany(
                # The positions of dropped lines are only counted, and may be those of lines that
                # arrived late for a gap; these are kept.
                "INSERT OR IGNORE INTO lines VALUES (?, 'history', ?, ?, ?)",
                [(run_id, line.position, line.step, line.text) for line in lines],
            )
            connection.execute(
                "DELETE FROM line_blocks WHERE run_id = ? AND position = ?",
                (run_id, block["position"]),
            )

    def _few_rows(self, run_id: int, steps: Sequence[int]) -> list[Line]:
        low, high = steps[0], steps[-1] + 1
        condition = "AND step IN (SELECT value FROM json_each(?))"
        rows = self._database.rows(
            f"SELECT step, position, content {IN_RANGE} {condition}",
            run_id,
            low,
            high,
            0,
            str(list(steps)),
        )
        return [Line(row["step"], row["position"], row["content"]) for row in rows]

    def _rows(self, run_id: int, start: int, stop: int) -> Iterator[Line]:
        for row in self._database.each(
            "SELECT step, position, content FROM lines WHERE run_id = ? AND stream = 'history' "
            "AND position >= ? AND position < ? ORDER BY position",
            run_id,
            start,
            stop,
        ):
            yield Line(row["step"], row["position"], row["content"])

    def _blocks(self, run_id: int, start: int, stop: int, first: int) -> list[sqlite3.Row]:
        """Return the blocks that may have lines of a range of steps, ascending by lowest step."""
        if first and self._last_stop(run_id) <= first:
            # The usual case for live rows: all blocks end before them, however long the run is.
            return []
        return self._database.rows(
            f"SELECT {HEAD} {BLOCKS} ORDER BY min_step", run_id, stop, start, first
        )

    def _last_stop(self, run_id: int) -> int:
        row = self._database.row(
            "SELECT stop FROM line_blocks WHERE run_id = ? ORDER BY position DESC LIMIT 1", run_id
        )
        return 0 if row is None else int(row["stop"])

    def _whole(self, block: sqlite3.Row) -> sqlite3.Row:
        row = self._database.row(
            "SELECT * FROM line_blocks WHERE run_id = ? AND position = ?",
            block["run_id"],
            block["position"],
        )
        if row is None:
            # Race: the block was listed before, and is gone now.
            raise Refused("the run was started again")
        return row

    def _steps_of(self, block: sqlite3.Row, start: int, stop: int, first: int) -> Iterator[int]:
        if block["is_dropped"]:
            # All steps are read now, because the file is closed before the caller iterates.
            return self._from_export(block, lambda file: iter([*read_steps(file, start, stop)]))
        if block["position"] < first:
            return (line.step or 0 for line in self._lines_of(block, start, stop, first))
        return (step for step in steps_of(self._whole(block)) if start <= step < stop)

    def _lines_of(self, block: sqlite3.Row, start: int, stop: int, first: int) -> Iterable[Line]:
        if not block["is_dropped"]:
            lines = unpack(self._whole(block), range(start, stop).__contains__)
            return (line for line in lines if line.position >= first)
        rows = self._from_export(block, lambda file: [*read_lines(file, start, stop)])
        return [Line(step, block["position"], text) for step, text in rows]

    def _from_export(self, block: sqlite3.Row, read: Callable[[IO[bytes]], Read]) -> Read:
        export = self._database.row(
            "SELECT object FROM exports WHERE run_id = ? AND position <= ? "
            "ORDER BY position DESC LIMIT 1",
            block["run_id"],
            block["position"],
        )
        found = self._storage.open(export["object"]) if export is not None else None
        if found is None:
            raise Refused(
                f"rows from line {block['position']} on are lost: run 'runlake server check'"
            )
        with found.content as file:
            try:
                return read(file)
            except DamagedExport as error:
                raise Refused(
                    f"an export with rows from line {block['position']} on is damaged: "
                    "run 'runlake server check'"
                ) from error


def count_live_bytes(connection: sqlite3.Connection, run_id: int, position: int) -> int:
    """Return the total length in characters of a run's history lines from a position on."""
    counted = connection.execute(
        "SELECT coalesce((SELECT sum(length(content)) FROM lines WHERE run_id = ?1 "
        "AND stream = 'history' AND position >= ?2), 0) + coalesce((SELECT sum(n_chars) "
        "FROM line_blocks WHERE run_id = ?1 AND position >= ?2), 0) AS n",
        (run_id, position),
    ).fetchone()
    return int(counted["n"])


def _placed(text: str) -> Line:
    step, position, line = text.split(" ", 2)
    return Line(int(step), int(position), line)
