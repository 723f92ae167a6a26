"""The catalog: an SQLite database of runs, exports and columns, to list runs and plan reads.

The catalog contains only copies of facts from stored manifests and footers, so the database may be
deleted at any time: missing facts are read from the files and stored again. So an error of SQLite
never stops a read.
"""

from __future__ import annotations

import itertools
import logging
import os
import sqlite3
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar
from urllib.parse import quote

from runlake.cache.catalog_schema import MIGRATIONS
from runlake.cache.column_facts import (
    facts_crc32c,
    pack_facts,
    real_bound,
    unpack_facts,
)
from runlake.cache.disk.dropped import read_dropped
from runlake.cache.disk.mounts import is_network
from runlake.cache.disk.sealed import BrokenSeal, seal_row, unseal_row
from runlake.cache.layout import RunDirectory
from runlake.cache.run_facts import run_row
from runlake.cache.store import StoredManifest, read_manifest
from runlake.exports.footers.known_columns import ColumnFacts
from runlake.exports.footers.stored_types import stored_type

logger = logging.getLogger("runlake.cache")
DATABASE = "catalog.sqlite"
# If this file exists beside the database, all runs have to be stored in the catalog again.
STALE = "catalog.stale"
SUFFIXES = ("", "-wal", "-shm", "-journal")
# Positions in a row of the table "columns".
NAME, POSITION, TYPE, N_NULLS, SLICE = 1, 2, 3, 4, 7
# If another process keeps the catalog locked for BUSY_SECONDS, reads continue without the catalog,
# and do not use it for SHUNNED_SECONDS.
BUSY_SECONDS = 0.2
SHUNNED_SECONDS = 5.0
PAGE_BYTES = 16_384
MAX_VARIABLES = 500  # per statement; SQLite before 3.32 allows 999
# The database has this `application_id` once it contains every run on disk.
HAS_ALL_RUNS = 0x726C6B31
# A footer of fewer columns is parsed in a millisecond, so its slices are not stored, and the facts
# of its columns are stored together, in a fifth of the space of one row per column.
WIDE_COLUMNS = 256
RUNS = """
SELECT runs.directory, backend, entity, project, run_id, state, runs.last_step, count(file),
  coalesce(sum(n_held_bytes), 0), coalesce(sum(n_rows), 0)
FROM runs LEFT JOIN exports ON exports.directory = runs.directory AND dropped_at IS NULL
GROUP BY runs.directory ORDER BY entity, project, run_id, backend
"""
# The row of a run, and the rows of its exports.
RunRows: TypeAlias = tuple[dict[str, Any], list[tuple[Any, ...]]]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CatalogRun:
    """A run in the catalog, with the number of its exports, their size on disk and their rows."""

    directory: str
    backend: str
    entity: str
    project: str
    run_id: str
    state: str | None
    last_step: int | None
    n_exports: int
    n_bytes: int
    n_rows: int


class Catalog:
    """The catalog of one cache directory.

    Parameters
    ----------
    root : Path
        Root of the cache. The database is created at the first write.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def columns(
        self, file: str, names: Iterable[str] | None, n_columns: int
    ) -> dict[str, ColumnFacts] | None:
        """Return the stored types, null counts and bounds of columns of an export.

        Parameters
        ----------
        file : str
            File name of the export, under which its columns are stored.
        names : iterable of str or None
            Columns to look up; None means all.
        n_columns : int
            Number of columns of the export.

        Returns
        -------
        dict of str to ColumnFacts or None
            Columns in file order, without those that the export does not have. None if the catalog
            does not have all columns of the export.
        """
        wanted = None if names is None else tuple(dict.fromkeys(names))

        def read(connection: sqlite3.Connection) -> dict[str, ColumnFacts] | None:
            if n_columns < WIDE_COLUMNS:
                select = "SELECT facts, crc32c FROM narrow_exports WHERE file = ?"
                found = connection.execute(select, (file,)).fetchone()
                if found is not None:
                    if facts_crc32c(file, found[0]) != found[1]:
                        raise BrokenSeal("the facts of columns are not what was written")
                    return unpack_facts(found[0], n_columns, wanted)
            # Older versions of runlake stored the columns of narrow exports in this table too.
            count = "SELECT count(*) FROM columns WHERE file = ?"
            if connection.execute(count, (file,)).fetchone()[0] != n_columns:
                return None
            return {row[NAME]: _facts(row) for row in _column_rows(connection, file, wanted)}

        return self._read(read, file)

    def prepare(self) -> None:
        """Create the database now, unless it exists.

        Call this before many bytes are downloaded. The first commit of a database waits until the
        disk has written all bytes, so later it would wait for the downloaded files too.
        """
        self._write(_change_nothing)

    def note_columns(self, exports: Mapping[Path, Mapping[str, ColumnFacts]]) -> None:
        """Store all columns of exports, and the footers of exports with many columns.

        The columns of an export with few columns are stored together in one row; in an export with
        many columns, each column has its own row. Footers are stored in parts, see
        `runlake.exports.footers.narrow`.

        Parameters
        ----------
        exports : mapping of Path to mapping of str to ColumnFacts
            For the file of each export, all columns of the export, in file order. Columns are
            stored under the name of the file.
        """
        rows: list[tuple[Any, ...]] = []
        frames, narrow = [], []
        for path, columns in exports.items():
            file = path.name
            if len(columns) < WIDE_COLUMNS:
                facts = pack_facts(columns)
                narrow.append((file, facts, facts_crc32c(file, facts)))
                continue
            frame, slices = _slices(path, len(columns))
            if frame is not None:
                frames.append(seal_row((file, frame)))
            rows += (
                seal_row(
                    (
                        *(file, name, at, c.stored.content, c.n_nulls),
                        *(real_bound(c.minimum), real_bound(c.maximum), slices.get(at)),
                    )
                )
                for at, (name, c) in enumerate(columns.items())
            )

        self._write(partial(_insert_columns, rows, narrow, frames))

    def slim_footer(self, file: str, names: Iterable[str]) -> bytes | None:
        """Return a footer with only some columns of an export.

        Parameters
        ----------
        file : str
            File name of the export.
        names : iterable of str
            Columns to keep; columns that the export does not have are ignored.

        Returns
        -------
        bytes or None
            Footer with the columns in file order, see `runlake.exports.footers.narrow.slim_footer`;
            None if the catalog does not contain the footer of the export.
        """
        # Imported late, as below: few exports have so many columns that their footers are sliced.
        from runlake.exports.footers.narrow import slim_footer, unpack_column, unpack_frame

        wanted = tuple(dict.fromkeys(names))

        def read(connection: sqlite3.Connection) -> bytes | None:
            select = "SELECT file, frame, crc32c FROM footers WHERE file = ?"
            found = connection.execute(select, (file,)).fetchone()
            if found is None:
                return None
            frame = unpack_frame(unseal_row(found)[1])
            rows = _column_rows(connection, file, wanted)
            return slim_footer(frame, [unpack_column(row[SLICE]) for row in rows])

        return self._read(read, file)

    def note_run(self, directory: RunDirectory, manifest: StoredManifest) -> None:
        """Store rows about a run, made from its stored manifest, in place of older rows."""
        self.note_runs([(directory, manifest)])

    def note_runs(self, runs: Iterable[tuple[RunDirectory, StoredManifest]]) -> None:
        """Do for several runs what `note_run` does for one run, in one transaction."""
        noted = [(directory, _rows_of(directory, manifest)) for directory, manifest in runs]

        if not self._write(partial(_replace_runs, noted)):
            self.note_stale()

    def note_rows(self, rows: Iterable[Mapping[str, Any]]) -> bool:
        """Store rows in the table ``runs``, for runs that have no manifest on this machine.

        Return False if the write failed.
        """

        def note(connection: sqlite3.Connection) -> None:
            for row in rows:
                _insert(connection, row)

        return self._write(note)

    def note_stale(self) -> None:
        """Record that the catalog is incomplete, because a write to it failed."""
        with suppress(OSError):
            (self._root / STALE).touch()

    def forget_run(self, directory: str) -> None:
        """Delete a run, its exports and their columns; ``directory`` is relative to the root."""

        def forget(connection: sqlite3.Connection) -> None:
            _forget_columns(connection, directory, set())
            connection.execute("DELETE FROM exports WHERE directory = ?", (directory,))
            connection.execute("DELETE FROM runs WHERE directory = ?", (directory,))

        self._write(forget)

    def runs(self) -> list[CatalogRun]:
        """Return every run in the catalog, sorted by entity, project and run id."""
        rows = self._read(lambda connection: connection.execute(RUNS).fetchall())
        return [CatalogRun(*row) for row in rows or []]

    def select(
        self,
        query: str,
        values: Sequence[object] = (),
        prepare: Callable[[sqlite3.Connection], None] | None = None,
    ) -> list[tuple[Any, ...]] | None:
        """Return the rows of a query; None if the database cannot be read.

        Parameters
        ----------
        query : str
            SQL over the tables ``runs`` and ``exports``.
        values : sequence
            Values of the query's parameters, in order.
        prepare : callable, optional
            Called with the connection before the query. It adds to the connection the functions
            that the query calls.
        """

        def read(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
            if prepare is not None:
                prepare(connection)
            return connection.execute(query, values).fetchall()

        return self._read(read)

    def state(self) -> tuple[int, int, int] | None:
        """Return a tuple that differs after each change; None if the catalog is unreadable.

        Only states that one thread has read can be compared.
        """

        def read(connection: sqlite3.Connection) -> tuple[int, int, int]:
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            # SQLite counts the changes of other connections, and Python those of this one.
            return _connections.serial(self._root), int(version), connection.total_changes

        return self._read(read)

    @property
    def has_all_runs(self) -> bool:
        """True if the catalog has every run on disk.

        If the database was lost or damaged, the next read creates it again with only one run.
        """
        marked = self._read(
            lambda connection: connection.execute("PRAGMA application_id").fetchone()[0]
        )
        return marked == HAS_ALL_RUNS

    def mark_all_runs(self, *, has_all: bool = True) -> bool:
        """Record whether the catalog has every run on disk; return False if the write failed."""
        mark = HAS_ALL_RUNS if has_all else 0
        return self._write(lambda connection: connection.execute(f"PRAGMA application_id = {mark}"))

    def underway(self) -> dict[str, str]:
        """Return the runs that a process is pulling, or was pulling when it was killed.

        Returns
        -------
        dict of str to str
            For the directory of each run, the process as `note_underway` stored it.
        """
        query = "SELECT directory, process FROM underway"
        return dict(self._read(lambda connection: connection.execute(query).fetchall()) or [])

    def note_underway(self, directories: Iterable[str], process: str) -> None:
        """Record that a process begins to pull runs; `note_run` deletes the record of a run."""
        rows = [(directory, process) for directory in directories]
        self._write(
            lambda connection: connection.executemany(
                "INSERT OR REPLACE INTO underway VALUES (?, ?)", rows
            )
        )

    def end_underway(self, directories: Iterable[str]) -> None:
        """Delete the records of `note_underway` for runs that are no longer being pulled."""
        rows = [(directory,) for directory in directories]
        self._write(
            lambda connection: connection.executemany(
                "DELETE FROM underway WHERE directory = ?", rows
            )
        )

    def n_held_bytes(self) -> int | None:
        """Return the total bytes of all exports on disk; None if the catalog cannot be read."""
        query = "SELECT coalesce(sum(n_held_bytes), 0) FROM exports"
        return self._read(lambda connection: int(connection.execute(query).fetchone()[0]))

    def close(self) -> None:
        """Close the connection of this thread; the next read or write opens a new one."""
        _connections.close(self._root)

    def reset(self) -> None:
        """Close the connection of this thread, and use the database again even if it just failed.

        This is called before another database takes its place.
        """
        self.close()
        _shunned.pop(self._root, None)

    def lose(self) -> None:
        """Delete the catalog; the next write creates it again."""
        self.close()
        for suffix in SUFFIXES:
            with suppress(OSError):
                (self._root / (DATABASE + suffix)).unlink()

    def _read(self, query: Callable[[sqlite3.Connection], T], file: str | None = None) -> T | None:
        """Return the result of a query; None if there is no catalog, or it is damaged."""
        if not (self._root / DATABASE).exists() or _is_shunned(self._root):
            return None
        try:
            return query(_connections.get(self._root))
        except (sqlite3.Error, OSError) as error:
            self._distrust(error)
        except (ValueError, LookupError, struct.error, zlib.error) as error:
            logger.info("The catalog's rows of %s are damaged: %s", file, error)
            if file is not None:
                self._write(partial(_forget_damaged, file))
        return None

    def _write(self, change: Callable[[sqlite3.Connection], object]) -> bool:
        """Make a change in one transaction; return whether the catalog could be written."""
        if _is_shunned(self._root):
            return False
        try:
            connection = _connections.get(self._root)
            # IMMEDIATE waits for other writers now. A transaction that begins with a read cannot:
            # SQLite refuses its first write if another process has written meanwhile.
            connection.execute("BEGIN IMMEDIATE")
            try:
                change(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except (sqlite3.Error, OSError) as error:
            self._distrust(error)
        except (OverflowError, UnicodeEncodeError) as error:
            # A manifest edited by hand may contain integers or text that SQLite cannot store.
            logger.info("The catalog in %s cannot store this: %s", self._root, error)
        else:
            return True
        return False

    def _distrust(self, error: Exception) -> None:
        logger.info("The catalog in %s is not used now: %s", self._root, error)
        # An OperationalError (a lock, a full or read-only disk) does not mean that the file is
        # damaged.
        is_broken = isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, sqlite3.OperationalError
        )
        _connections.close(self._root)
        if is_broken:
            self.lose()
        else:
            _shunned[self._root] = time.monotonic() + SHUNNED_SECONDS, _is_locked(error)


class _Connections(threading.local):
    """One connection per thread and directory; a forked child opens its own connections."""

    def __init__(self) -> None:
        self._open: dict[Path, tuple[int, sqlite3.Connection, int]] = {}

    def get(self, root: Path) -> sqlite3.Connection:
        held = self._open.get(root)
        # If the database file was deleted, an open connection would still write to the deleted
        # file, which no other process sees.
        if held is not None and held[0] == os.getpid() and (root / DATABASE).exists():
            return held[1]
        connection = _connect(root)
        self._open[root] = (os.getpid(), connection, next(_serials))
        return connection

    def serial(self, root: Path) -> int:
        """Return the number of this thread's connection; each connection has another number."""
        return self._open[root][2]

    def close(self, root: Path) -> None:
        held = self._open.pop(root, None)
        if held is not None and held[0] == os.getpid():
            held[1].close()


_serials = itertools.count()
_connections = _Connections()
# For each catalog that is not used: until when, and whether because other processes write to it.
_shunned: dict[Path, tuple[float, bool]] = {}


def _is_shunned(root: Path) -> bool:
    return time.monotonic() < _shunned.get(root, (0.0, False))[0]


def is_unusable(root: Path) -> bool:
    """Return whether a catalog is out of use for a lasting reason, such as a full disk.

    Writes of another process are not a lasting reason.
    """
    return _is_shunned(root) and not _shunned[root][1]


def _is_locked(error: Exception) -> bool:
    # The low byte is the kind of error; the other bits only describe it in more detail.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF
    return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL)


def open_unchanging(root: Path) -> sqlite3.Connection | None:
    """Open the catalog of a directory that this account cannot write, without locks.

    Return None if this account can write the directory, or if the catalog may lack runs.
    """
    database = root / DATABASE
    if os.access(root, os.W_OK) or not database.is_file() or Path(f"{database}-wal").exists():
        return None
    # Without this option SQLite creates files beside a database in WAL mode, which fails in a
    # directory that cannot be written. With it, SQLite ignores a write-ahead log, hence the check
    # above.
    address = f"file:{quote(str(database.absolute()))}?immutable=1"
    connection = sqlite3.connect(address, uri=True)
    with suppress(sqlite3.Error):
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        marked = connection.execute("PRAGMA application_id").fetchone()[0]
        if version == len(MIGRATIONS) and marked == HAS_ALL_RUNS:
            return connection
    connection.close()
    return None


def copy_in_memory(runs: Iterable[tuple[RunDirectory, StoredManifest]]) -> sqlite3.Connection:
    """Return a catalog in memory, whose table ``runs`` has a row for each given run."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    _migrate(connection)
    for directory, manifest in runs:
        _insert(connection, run_row(directory, manifest))
    return connection


def _connect(root: Path) -> sqlite3.Connection:
    root.mkdir(parents=True, exist_ok=True)
    if any((root / (DATABASE + suffix)).is_symlink() for suffix in SUFFIXES):
        # SQLite would follow the link and write to its target.
        raise sqlite3.DatabaseError("the catalog's file is a symbolic link")
    connection = sqlite3.connect(root / DATABASE, timeout=BUSY_SECONDS, isolation_level=None)
    # This has an effect only on a new database. A run takes some kilobytes. With the default pages
    # of 4 kB, a filter over all runs spends half of its time on reading half-empty pages.
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    # WAL's shared memory, and memory maps, do not work between hosts on a network file system
    # (SQLite, "Write-Ahead Logging").
    journal = "DELETE" if is_network(root) else "WAL"
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("PRAGMA mmap_size = 0")
    # Triggers or views that another user added to the file must not call functions.
    connection.execute("PRAGMA trusted_schema = OFF")
    # Commits do not wait for the disk. A power failure may lose the last ones, whose facts are in
    # the stored manifests and the footers too.
    connection.execute("PRAGMA synchronous = NORMAL")
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    if found < len(MIGRATIONS):
        _migrate(connection)
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    # Race: another process may have migrated the database while this one waited.
    found = connection.execute("PRAGMA user_version").fetchone()[0]
    for version, script in enumerate(MIGRATIONS[found:], start=found + 1):
        for statement in script.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("COMMIT")


def _change_nothing(_: sqlite3.Connection) -> None:
    pass


# Changes are module functions with bound values, so that `CollectedCatalog` can pickle them.
def _insert_columns(
    rows: Sequence[tuple[Any, ...]],
    narrow: Sequence[tuple[Any, ...]],
    frames: Sequence[tuple[Any, ...]],
    connection: sqlite3.Connection,
) -> None:
    connection.executemany(f"INSERT OR REPLACE INTO columns VALUES ({_marks(9)})", rows)
    connection.executemany(f"INSERT OR REPLACE INTO narrow_exports VALUES ({_marks(3)})", narrow)
    connection.executemany(f"INSERT OR REPLACE INTO footers VALUES ({_marks(3)})", frames)


def _replace_runs(
    noted: Sequence[tuple[RunDirectory, RunRows]], connection: sqlite3.Connection
) -> None:
    for directory, rows in noted:
        # Race: another process may have pulled the run meanwhile, and noted it first.
        is_outdated = _is_outdated(connection, rows[0])
        run, exports = _rows_of(directory, read_manifest(directory)) if is_outdated else rows
        relative = run["directory"]
        _forget_columns(connection, relative, {export[0] for export in exports})
        _insert(connection, run)
        connection.execute("DELETE FROM underway WHERE directory = ?", (relative,))
        connection.execute("DELETE FROM exports WHERE directory = ?", (relative,))
        connection.executemany(f"INSERT INTO exports VALUES ({_marks(11)})", exports)


def _insert(connection: sqlite3.Connection, run: Mapping[str, Any]) -> None:
    columns, marks = ", ".join(run), _marks(len(run))
    insert = f"INSERT OR REPLACE INTO runs ({columns}) VALUES ({marks})"
    connection.execute(insert, tuple(run.values()))


def _rows_of(directory: RunDirectory, manifest: StoredManifest) -> RunRows:
    return run_row(directory, manifest), _export_rows(directory, manifest)


def _is_outdated(connection: sqlite3.Connection, run: Mapping[str, Any]) -> bool:
    select = "SELECT 1 FROM runs WHERE directory = ? AND offered_at > ?"
    found = connection.execute(select, (run["directory"], run["offered_at"] or 0.0)).fetchone()
    return found is not None


def _export_rows(directory: RunDirectory, manifest: StoredManifest) -> list[tuple[Any, ...]]:
    # A dropped export stays in the manifest, and may have been downloaded again since.
    is_dropped = directory.relative in read_dropped(directory.root)
    return [
        (
            e.file,
            directory.relative,
            e.object,
            e.n_bytes,
            0 if is_dropped and not e.path.exists() else e.n_held_bytes,
            e.facts.n_rows,
            e.facts.first_step,
            e.facts.last_step,
            e.facts.n_columns,
            int(e.coverage is not None),
            e.dropped_at,
        )
        for e in manifest.exports.values()
    ]


def _column_rows(
    connection: sqlite3.Connection, file: str, names: Sequence[str] | None
) -> list[tuple[Any, ...]]:
    select = "SELECT * FROM columns WHERE file = ?"
    rows: list[tuple[Any, ...]] = []
    if names is None:
        rows, names = connection.execute(select, (file,)).fetchall(), ()
    for start in range(0, len(names), MAX_VARIABLES):
        some = names[start : start + MAX_VARIABLES]
        rows += connection.execute(f"{select} AND name IN ({_marks(len(some))})", (file, *some))
    return sorted(map(unseal_row, rows), key=lambda row: row[POSITION])


def _forget_columns(connection: sqlite3.Connection, directory: str, kept: set[str]) -> None:
    known = connection.execute("SELECT file FROM exports WHERE directory = ?", (directory,))
    gone = [(row[0],) for row in known.fetchall() if row[0] not in kept]
    for (file,) in gone:
        _forget_file(connection, file)


def _forget_file(connection: sqlite3.Connection, file: str) -> None:
    connection.execute("DELETE FROM columns WHERE file = ?", (file,))
    connection.execute("DELETE FROM footers WHERE file = ?", (file,))
    connection.execute("DELETE FROM narrow_exports WHERE file = ?", (file,))


def _forget_damaged(file: str, connection: sqlite3.Connection) -> None:
    _forget_file(connection, file)


def _slices(path: Path, n_columns: int) -> tuple[bytes | None, dict[int, bytes]]:
    from runlake.exports.footers.narrow import (
        Unsliceable,
        pack_column,
        pack_frame,
        read_footer,
        slice_footer,
    )

    try:
        frame, columns = slice_footer(read_footer(path))
    except (Unsliceable, OSError) as error:
        logger.info("The footer of %s is read whole: %s", path, error)
        return None, {}
    if len(columns) != n_columns:
        return None, {}
    return pack_frame(frame), {at: pack_column(column) for at, column in enumerate(columns)}


def _facts(row: tuple[Any, ...]) -> ColumnFacts:
    return ColumnFacts(stored_type(row[TYPE]).checked(), *row[N_NULLS:SLICE])


def _marks(count: int) -> str:
    return ", ".join("?" * count)
