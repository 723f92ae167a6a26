"""Give each packed version of a run a number, which is never used again.

A number must not be given again even if the process that took it was killed, because a file may
already have rows with this number. So a process takes its numbers from a separate database before
it writes the first row. If this database is lost, the highest number is read from the names of the
data files.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

from runlake.cache.disk.mounts import is_network
from runlake.errors import CacheError
from runlake.lake.packed.place import TABLES, PackedPlace

BUSY_SECONDS = 60.0
CREATE = """
CREATE TABLE IF NOT EXISTS batches (
  first INTEGER PRIMARY KEY, last INTEGER NOT NULL, at REAL NOT NULL, is_done INTEGER NOT NULL
)
"""
# The tables hold numbers of runs as 32-bit integers.
MAX_NUMBER = 2**31 - 1


def take_numbers(place: PackedPlace, count: int) -> int:
    """Reserve ``count`` consecutive run numbers that were never used; return the first number.

    Raises
    ------
    CacheError
        If the database cannot be written, or all numbers are used.
    """
    with _changing(place) as connection:
        (last,) = connection.execute("SELECT max(last) FROM batches").fetchone()
        first = 1 + max(_highest_in_names(place) if last is None else last, 0)
        if first + count > MAX_NUMBER:
            raise CacheError(
                f"The packed tables in '{place.path}' have used all numbers of runs. Delete the "
                "directory, and pack the lake again.",
                path=str(place.path),
            )
        connection.execute(
            "INSERT INTO batches VALUES (?, ?, ?, 0)", (first, first + count - 1, time.time())
        )
    return first


def end_batch(place: PackedPlace, first: int) -> None:
    """Record that the run numbers of one call of `take_numbers` were committed or given up.

    ``first`` is the number that the call returned.
    """
    with _changing(place) as connection:
        connection.execute("UPDATE batches SET is_done = 1 WHERE first = ?", (first,))


def open_batches(place: PackedPlace, younger_than: float) -> list[tuple[int, int]]:
    """Return the run numbers that a process has taken and may still commit.

    Each entry is the first and the last number that one call of `take_numbers` has reserved.

    Parameters
    ----------
    place : PackedPlace
        The directory of the tables.
    younger_than : float
        Numbers that were taken more than this many seconds ago are left out, because the process
        that took them must be dead.
    """
    with _changing(place) as connection:
        query = "SELECT first, last FROM batches WHERE NOT is_done AND at > ? ORDER BY first"
        return [tuple(row) for row in connection.execute(query, (time.time() - younger_than,))]


@contextmanager
def _changing(place: PackedPlace) -> Iterator[sqlite3.Connection]:
    """Open a connection to the database of run numbers for a ``with`` block.

    All statements in the block are one transaction, which is committed at the end of the block.
    """
    place.path.mkdir(parents=True, exist_ok=True)
    try:
        with closing(
            sqlite3.connect(place.numbers, timeout=BUSY_SECONDS, isolation_level=None)
        ) as connection:
            # WAL needs memory that all processes share, which machines on a network do not have.
            if not is_network(place.path):
                connection.execute("PRAGMA journal_mode = WAL")
            # After a power cut, a number that the database has forgotten would be given again.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute(CREATE)
            # Takes the write lock before the first read: two processes must not read the same
            # number.
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
    except sqlite3.DatabaseError as error:
        raise CacheError(
            f"'{place.numbers}' cannot be used: {error}. If it is damaged, delete it; it is built "
            "again from the names of the data files.",
            path=str(place.numbers),
        ) from error


def _highest_in_names(place: PackedPlace) -> int:
    """Return the highest run number in the names of data files; 0 if there are none.

    A name is ``<first>-<last>-<id>.parquet``, with the lowest and highest run number.
    """
    highest = 0
    for table in TABLES:
        for path in place.data(table).glob("*.parquet"):
            parts = path.name.split("-")
            if len(parts) > 1 and parts[1].isdecimal():
                highest = max(highest, int(parts[1]))
    return highest
