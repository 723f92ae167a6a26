"""Removes unused files and adds missing checksums when a server starts."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runlake.server.data_directory.custody import STORAGE
from runlake.server.store.database import Database
from runlake.server.store.digests import read_digests
from runlake.server.store.objects import INCOMING

LOGGER = logging.getLogger(__name__)
# Complete files that no object names are kept for a while: the database may have been replaced by
# an older copy, and the newer one may return.
UNNAMED_SECONDS = 7 * 24 * 3600.0


def remove_parts(data_dir: Path) -> None:
    """Remove the incomplete files of uploads and exports that were cut off.

    No other process or thread may write to the storage folder meanwhile.
    """
    for part in data_dir.joinpath(STORAGE, INCOMING).glob("*"):
        part.unlink(missing_ok=True)


def remove_unnamed_files(data_dir: Path, database: Database) -> None:
    """Remove files that belong to no object and are older than `UNNAMED_SECONDS`.

    Such a file is left if the server crashes before it acknowledges the upload of the file.
    """
    latest = time.time() - UNNAMED_SECONDS
    for file in unnamed_files(data_dir, database):
        with suppress(OSError):
            if file.stat().st_mtime <= latest:
                file.unlink()


def add_checksums(data_dir: Path, database: Database, is_over: Callable[[], bool]) -> None:
    """Add a CRC32C to files that older versions of runlake stored, if their MD5 is still right.

    Parameters
    ----------
    data_dir : Path
        The data directory.
    database : Database
        Database of the directory.
    is_over : callable
        Returns whether to stop before the next file.
    """
    for row in database.rows(
        "SELECT name, file, md5 FROM objects WHERE crc32c IS NULL AND file IS NOT NULL"
    ):
        if is_over():
            return
        try:
            digests = read_digests(data_dir / STORAGE / row["file"])
        except OSError as error:
            LOGGER.warning("The object %r cannot be read: %s.", row["name"], error)
            continue
        if digests.md5 != row["md5"]:
            LOGGER.warning("The object %r is damaged: run 'runlake server check'.", row["name"])
            continue
        with database.transaction() as connection:
            connection.execute(
                "UPDATE objects SET crc32c = ? WHERE file = ?", (digests.crc32c, row["file"])
            )


def unnamed_files(data_dir: Path, database: Database) -> list[Path]:
    """Return the complete files in a storage folder that belong to no object."""
    storage = data_dir / STORAGE
    # The files first: a file that an upload adds meanwhile must not count as unnamed.
    found = {Path(folder, name) for folder, _, names in os.walk(storage) for name in names}
    named = {
        storage / row["file"]
        for row in database.rows("SELECT file FROM objects WHERE file IS NOT NULL")
    }
    return sorted(file for file in found - named if file.parent != storage / INCOMING)
