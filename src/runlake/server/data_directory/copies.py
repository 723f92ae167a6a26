"""Backs up a data directory, even while a server uses it, and restores a backup.

A backup has the layout of a data directory. Files of objects are written once, so a second backup
to the same place copies only new files. While a backup runs, the server removes no file.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import sys
from dataclasses import dataclass, field
from pathlib import Path

from runlake.server.data_directory.custody import (
    DATABASE,
    GENERATION,
    LOCK_SECONDS,
    STORAGE,
    DirectoryError,
    check_schema,
    hold_directory,
    no_removals,
    write_generation,
)
from runlake.server.store.digests import READ_BYTES, Digests

# Files that are copied unchanged, besides the database and the files of objects.
OTHERS = ("storage-port",)


@dataclass(slots=True)
class Copied:
    """What a backup or a restore copied.

    Parameters
    ----------
    n_objects : int
        Number of stored files (objects) that the database lists.
    n_copied, n_bytes : int
        Number of files that were copied now, and their total length in bytes.
    damaged : list of str
        Names of the objects whose file is lost or damaged.
    """

    n_objects: int = 0
    n_copied: int = 0
    n_bytes: int = 0
    damaged: list[str] = field(default_factory=list)


def back_up(data_dir: Path, destination: Path, *, link: bool = False) -> Copied:
    """Back up a data directory, which a server may use at the same time.

    Parameters
    ----------
    data_dir : Path
        The data directory.
    destination : Path
        A new or empty directory, or an earlier backup, which is updated.
    link : bool
        Make hard links to the stored files (objects) instead of copies.

    Returns
    -------
    Copied
        What was copied. Damaged objects are not copied; if an earlier backup has copies of them,
        these copies are kept.

    Raises
    ------
    DirectoryError
        If the directory has no database, a damaged one, or one of another version; if the
        destination is neither empty nor an earlier backup, or is in use; or if one of the two
        directories contains the other.
    """
    check_schema(data_dir)
    inner, outer = destination.resolve(), data_dir.resolve()
    if inner == outer or outer in inner.parents or inner in outer.parents:
        raise DirectoryError("A backup cannot be inside the data directory, nor around it.")
    is_other = destination.exists() and any(destination.iterdir())
    if is_other and not destination.joinpath(DATABASE).is_file():
        raise DirectoryError(
            f"{str(destination)!r} is neither empty nor a backup; choose another directory."
        )
    with hold_directory(destination), no_removals(data_dir):
        return _copy(data_dir, destination, link=link)


def restore(backup: Path, data_dir: Path) -> Copied:
    """Copy a backup to a new or empty data directory; return what was copied, as `back_up` does."""
    check_schema(backup)
    if data_dir.exists() and any(data_dir.iterdir()):
        raise DirectoryError(
            f"{str(data_dir)!r} is not empty; move it aside first, or name another --data-dir."
        )
    with hold_directory(data_dir):
        return _copy(backup, data_dir, link=False)


def _copy(source: Path, target: Path, *, link: bool) -> Copied:
    aside = target / f".{DATABASE}.part"
    aside.unlink(missing_ok=True)
    _copy_database(source / DATABASE, aside)
    with contextlib.closing(sqlite3.connect(aside)) as database:
        objects = database.execute(
            "SELECT name, file, md5, n_bytes FROM objects WHERE file IS NOT NULL"
        ).fetchall()
        generation = database.execute(
            "SELECT value FROM secrets WHERE name = 'generation'"
        ).fetchone()
    copied = Copied(len(objects))
    for name, path, md5, n_bytes in objects:
        file = target / STORAGE / path
        if not file.exists() or file.stat().st_size != n_bytes:
            _copy_object(source / STORAGE / path, file, md5, copied, name, link=link)
    for name in OTHERS:
        if source.joinpath(name).is_file():
            shutil.copyfile(source / name, target / name)
    # All files are flushed to disk before the new database, which names them, is put in place.
    _flush()
    # Without this file, a database of any generation is accepted. So the target stays usable if the
    # copy is interrupted before the number of the new database is written.
    target.joinpath(GENERATION).unlink(missing_ok=True)
    # SQLite would apply the write-ahead log of the earlier database to the new one.
    for suffix in ("-wal", "-shm"):
        target.joinpath(DATABASE + suffix).unlink(missing_ok=True)
    aside.replace(target / DATABASE)
    write_generation(target, int(generation[0]) if generation else 0)
    # Not before the new database is in place: the old one names these files.
    _remove_others(target, {path for _, path, _, _ in objects})
    _flush()
    return copied


def _copy_database(source: Path, target: Path) -> None:
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT, 0o600))
    with (
        contextlib.closing(sqlite3.connect(source, timeout=LOCK_SECONDS)) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        # All pages in one step: the copy has one state of the database, and writers can continue.
        old.backup(new)
        # In this mode all rows are in one file, which can be renamed; there is no write-ahead log.
        new.execute("PRAGMA journal_mode = DELETE").fetchall()
        (found,) = new.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        target.unlink()
        raise DirectoryError(
            f"The database {str(source)!r} is damaged ({found}); 'runlake server check' says more."
        )


def _copy_object(
    source: Path, target: Path, md5: str, copied: Copied, name: str, *, link: bool
) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    aside.unlink(missing_ok=True)
    digests = Digests()
    try:
        with source.open("rb") as content, contextlib.ExitStack() as stack:
            # The source of a link is read too, because a damaged file must not enter the backup.
            sink = None if link else stack.enter_context(open(aside, "wb", opener=_private))
            while piece := content.read(READ_BYTES):
                digests.update(piece)
                if sink is not None:
                    sink.write(piece)
    except FileNotFoundError:
        copied.damaged.append(name)
        return
    if digests.md5 != md5:
        aside.unlink(missing_ok=True)
        copied.damaged.append(name)
        return
    if link:
        os.link(source, aside)
    aside.replace(target)
    copied.n_copied += 1
    copied.n_bytes += digests.n_bytes


def _flush() -> None:
    if sys.platform != "win32":
        os.sync()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _remove_others(target: Path, paths: set[str]) -> None:
    """Remove the files of an earlier backup whose paths are not among those of the new backup."""
    storage = target / STORAGE
    for folder, _, names in os.walk(storage):
        for file in (Path(folder, name) for name in names):
            if file.relative_to(storage).as_posix() not in paths:
                file.unlink()
