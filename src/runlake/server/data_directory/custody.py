"""Keeps a data directory private and for one server at a time, and detects lost commits.

The database contains a number, its generation. The file ``generation`` contains the same number. At
each start and after each checkpoint, the number is increased, first in the database, then in the
file. So if the number in the database is lower than the number in the file, the database lost
commits: its write-ahead log, or the database itself, was removed or replaced by an older copy.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from runlake.server.store.database import MIGRATIONS, Database
from runlake.server.store.objects import removal_lock

DATABASE, STORAGE, LOCK, GENERATION = "runlake.sqlite", "storage", "server.lock", "generation"
# The cache of the web pages, with data of the runs that visitors have opened.
PAGES = "pages"
# The name of each folder that a server makes in a data directory begins with one of these.
OWN_FOLDERS = (STORAGE, PAGES, "damaged")
# Pause between checkpoints. The write-ahead log, which has the commits since the last checkpoint,
# slows reads if it grows beyond some 100 MB.
CHECKPOINT_SECONDS = 5.0
LOCK_SECONDS = 60.0


class DirectoryError(Exception):
    """A data directory cannot be used; the message says why, and what to do."""


@contextlib.contextmanager
def hold_directory(data_dir: Path, *, is_changed: bool = True) -> Iterator[None]:
    """Keep other servers, repairs and restores out of a directory during the block.

    Parameters
    ----------
    data_dir : Path
        The data directory.
    is_changed : bool
        True if the caller will write to the directory. The directory is then created if it does
        not exist, and closed to other users.

    Raises
    ------
    DirectoryError
        If another process holds the directory.
    """
    if is_changed:
        make_private(data_dir)
    lock = FileLock(data_dir / LOCK, timeout=0, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise DirectoryError(
            f"The data directory {str(data_dir)!r} is in use by another server or command of "
            "'runlake server'; stop that one first."
        ) from error
    try:
        yield
    finally:
        lock.release()


def make_private(data_dir: Path) -> None:
    """Create a data directory if it does not exist, and close it to other users.

    The directory contains the secret that signs URLs. `open_to_others` says which paths are closed.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    data_dir.joinpath(STORAGE).mkdir(mode=0o700, exist_ok=True)
    for path in open_to_others(data_dir):
        # The path may have another owner, who then decides about access to it.
        with contextlib.suppress(PermissionError):
            path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)


def open_to_others(data_dir: Path) -> list[Path]:
    """Return the paths of a data directory that other users may access.

    Only the directory itself, its storage folder, the cache of its pages and the files of its
    database are examined. If the directory has other folders too, as the folder of a project has,
    the user may share it on purpose. In this case the directory itself is not examined.
    """
    names = (STORAGE, PAGES, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")
    found = [data_dir / name for name in names]
    if not _has_other_folders(data_dir):
        found.append(data_dir)
    return [path for path in found if path.exists() and path.stat().st_mode & 0o077]


def _has_other_folders(data_dir: Path) -> bool:
    found = data_dir.iterdir() if data_dir.is_dir() else iter(())
    return any(path.is_dir() and not path.name.startswith(OWN_FOLDERS) for path in found)


def check_nothing_lost(data_dir: Path) -> None:
    """Raise `DirectoryError` if the database of a directory is missing, emptied or too old."""
    generation = _stored_generation(data_dir / DATABASE)
    remembered = _remembered(data_dir)
    if generation is None:
        if has_objects(data_dir) or remembered:
            raise DirectoryError(
                f"The data directory {str(data_dir)!r} lost its database: {DATABASE!r} is missing "
                "or empty, but there was one. Restore a backup with 'runlake server restore', or "
                f"start with --accept-loss, which moves {STORAGE!r} aside and begins with nothing."
            )
    elif generation < remembered:
        raise DirectoryError(
            f"The database of the data directory {str(data_dir)!r} is older than the directory: "
            "its last commits are lost, because its write-ahead log was removed or an older copy "
            "was put in its place. Restore a backup with 'runlake server restore', or start with "
            "--accept-loss to go on with what there is."
        )


def accept_loss(data_dir: Path) -> Path | None:
    """Accept that a database is missing or too old, so that a server can start.

    If the database is missing and the storage folder contains files, rename this folder and return
    its new path. Otherwise return None.
    """
    remembered = data_dir / GENERATION
    remembered.unlink(missing_ok=True)
    if _stored_generation(data_dir / DATABASE) is not None or not has_objects(data_dir):
        return None
    aside = data_dir / time.strftime(f"{STORAGE}.lost-%Y%m%dT%H%M%SZ", time.gmtime())
    return data_dir.joinpath(STORAGE).rename(aside)


def check_schema(source: Path) -> None:
    """Raise `DirectoryError` if a directory has no database with this version's schema."""
    file = source / DATABASE
    if not file.is_file():
        raise DirectoryError(f"There is no backend, and no backup of one, in {str(source)!r}.")
    with contextlib.closing(sqlite3.connect(file, timeout=LOCK_SECONDS)) as database:
        (schema,) = database.execute("PRAGMA user_version").fetchone()
    if schema != len(MIGRATIONS):
        raise DirectoryError(
            f"The database {str(file)!r} has schema {schema}, and this version of runlake writes "
            f"{len(MIGRATIONS)}: start 'runlake serve' once, or install the runlake that wrote it."
        )


@contextlib.contextmanager
def no_removals(data_dir: Path) -> Iterator[None]:
    """Prevent servers from removing the files of stored objects during the block."""
    lock = FileLock(removal_lock(data_dir / STORAGE), timeout=LOCK_SECONDS, mode=0o600)
    try:
        lock.acquire()
    except Timeout as error:
        raise DirectoryError(
            f"A backup or check of {str(data_dir)!r} runs; wait for it."
        ) from error
    try:
        yield
    finally:
        lock.release()


def has_objects(data_dir: Path) -> bool:
    """Return whether the storage folder of a data directory contains any file."""
    return any(names for _, _, names in os.walk(data_dir / STORAGE))


class Generations:
    """Checkpoints a database that is in use, and increases its generation number each time.

    If the number in the database is lower than the number in a file beside it, commits were lost.

    Parameters
    ----------
    data_dir : Path
        The directory, which this process holds.
    database : Database
        Database of the directory, for which SQLite's automatic checkpoints are switched off.
    """

    def __init__(self, data_dir: Path, database: Database) -> None:
        self._data_dir = data_dir
        self._database = database
        self._version: int | None = None
        database.leave_checkpoints()
        self._begin()

    def _begin(self) -> None:
        number = self._database.begin_generation()
        write_generation(self._data_dir, number)

    def go_on(self) -> None:
        """If there were commits since the last call, checkpoint, and raise the generation number.

        Every call of this method must come from the same thread.
        """
        version = self._database.data_version()
        if version != self._version:
            self._version = version
            self._database.checkpoint()
            self._begin()

    def end(self) -> None:
        """Move all commits from the write-ahead log to the database file, when the server ends."""
        self._database.checkpoint(is_last=True)


def write_generation(data_dir: Path, number: int) -> None:
    """Write a database's number, by which lost commits are noticed, to the file ``generation``."""
    aside = data_dir / f".{GENERATION}.part"
    with aside.open("w") as sink:
        sink.write(f"{number}\n")
    aside.replace(data_dir / GENERATION)


def _stored_generation(file: Path) -> int | None:
    """Return the number by which `Generations` notices lost commits, from a database.

    None if the database is missing or has no users.
    """
    if not file.is_file() or not file.stat().st_size:
        return None
    # Do not change the database: a lost write-ahead log that the user restores must still fit it.
    address = f"{file.resolve().as_uri()}?mode=ro"
    with contextlib.closing(sqlite3.connect(address, uri=True)) as found:
        tables = {name for (name,) in found.execute("SELECT name FROM sqlite_master")}
        if "users" not in tables or not found.execute("SELECT 1 FROM users").fetchone():
            return None
        row = found.execute("SELECT value FROM secrets WHERE name = 'generation'").fetchone()
        return int(row[0]) if row else 0


def _remembered(data_dir: Path) -> int:
    try:
        return int(data_dir.joinpath(GENERATION).read_text())
    except (OSError, ValueError):
        # Older versions of runlake wrote no such file.
        return 0
