"""Objects behind signed URLs: exports, run files and artifact files.

A file on disk is written once and never changed. The database says which file contains the bytes
of an object. If an object gets new bytes, they are written to a new file; one transaction then
replaces the name of the file in the database, and afterwards the old file is removed. So a reader
that has opened a file reads exactly the bytes whose digest was in the database, and a crash leaves
at most files that belong to no object.

``storage/incoming/`` contains files that are being written. ``storage/KIND/XX/`` contains complete
files; KIND is the first part of the object's name, and XX the first two characters of the file's
name. Files that older versions of runlake wrote stay where they are.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from filelock import FileLock, Timeout
from starlette.concurrency import run_in_threadpool

from runlake.server.store.database import Database
from runlake.server.store.digests import Digests, read_digests
from runlake.server.store.signing import UrlSigner

LOGGER = logging.getLogger(__name__)
# Bytes of an upload that are written at a time.
UPLOAD_BYTES = 1 << 20
INCOMING = "incoming"


class BrokenUpload(Exception):
    """The uploaded bytes do not have the MD5 that the signed URL requires."""


class ObjectGone(Exception):
    """The object was deleted after its URL was signed."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The file, digests (in hex), length and time of an object; an unknown ``crc32c`` is None."""

    file: Path
    md5: str
    crc32c: str | None
    n_bytes: int
    modified_at: float


@dataclass(frozen=True, slots=True)
class OpenObject:
    """An object that is open for reading, with the digests of exactly the bytes in its file."""

    content: FileIO
    facts: StoredObject


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A complete file that belongs to no object yet; ``path`` is relative to the storage."""

    path: str
    digests: Digests


class Storage:
    """Stores objects as files on disk; the database lists each file once the file is complete.

    Parameters
    ----------
    database : Database
        Holds the path, digests, length and time of each object, and the secret for signatures.
    directory : Path
        Root of the files.
    url : str
        Origin that serves the objects.
    expiry : float
        Seconds for which a signed URL is valid.
    """

    def __init__(self, database: Database, directory: Path, url: str, expiry: float) -> None:
        self._database = database
        self._directory = directory
        self._signer = UrlSigner(database, url, expiry)
        self._guard = threading.Lock()
        self._unwanted: set[str] = set()
        self.allows = self._signer.allows

    def sign(self, method: str, name: str, *, md5: str = "") -> str:
        """Return a signed URL that allows one HTTP method on one object until the URL expires.

        Parameters
        ----------
        method, name : str
            The allowed HTTP method (``GET`` also allows ``HEAD``), and the name of the object.
        md5 : str
            MD5 in hex that an upload must have; empty allows any content.
        """
        row = self._database.row("SELECT id FROM objects WHERE name = ?", name)
        return self._signer.sign(method, name, row["id"] if row else None, md5)

    def sign_downloads(self, names: Sequence[str]) -> list[str]:
        """Return a signed URL to download each object, in the order of the names."""
        rows = self._database.rows(
            "SELECT name, id FROM objects WHERE name IN (SELECT value FROM json_each(?))",
            json.dumps(names),
        )
        numbers = {row["name"]: row["id"] for row in rows}
        return [self._signer.sign("GET", name, numbers.get(name)) for name in names]

    def expect(self, names: Iterable[str]) -> None:
        """Register objects that will be uploaded; uploads of other objects are refused."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO objects (name) VALUES (?)", [(name,) for name in names]
            )

    def find(self, name: str) -> StoredObject | None:
        """Return the file, digests and length of a complete object; None if there is none."""
        row = self._database.row("SELECT * FROM objects WHERE name = ?", name)
        return self._facts(row) if row is not None and row["file"] is not None else None

    def open(self, name: str, number: str | None = None) -> OpenObject | None:
        """Open a complete object for reading; None if no object has this name and number.

        Parameters
        ----------
        name : str
            Name of the object.
        number : str, optional
            Database id of the object; if omitted, any id is accepted.
        """
        missing = None
        while True:
            row = self._database.row("SELECT * FROM objects WHERE name = ?", name)
            if row is None or row["file"] is None or number not in {None, str(row["id"])}:
                return None
            facts = self._facts(row)
            if facts.file == missing:
                LOGGER.error("The file of object %r is lost: run 'runlake server check'.", name)
                return None
            try:
                return OpenObject(FileIO(facts.file), facts)
            except FileNotFoundError:
                # The file was replaced after the row was read, or it is lost.
                missing = facts.file

    def read(self, name: str) -> bytes | None:
        """Return the bytes of an object; None if there is no such object."""
        found = self.open(name)
        if found is None:
            return None
        with found.content as content:
            return content.readall()

    def is_intact(self, name: str) -> bool:
        """Read the file of an object from the disk; return whether it has the stored digests."""
        row = self._database.row("SELECT * FROM objects WHERE name = ?", name)
        if row is None or row["file"] is None:
            return False
        try:
            digests = read_digests(self._directory / row["file"], from_disk=True)
        except OSError:
            return False
        return (digests.md5, digests.n_bytes) == (row["md5"], row["n_bytes"])

    async def receive(
        self, name: str, number: str, body: AsyncIterator[bytes], md5: str = ""
    ) -> str:
        """Store an upload while it arrives and return its MD5 in hex.

        Raises
        ------
        ObjectGone
            If the object was deleted; nothing is stored then.
        BrokenUpload
            If the upload does not have the required MD5; nothing is stored then.
        """
        await run_in_threadpool(self._check_expected, name, number)
        digests = Digests()
        part = await run_in_threadpool(self._new_part)
        try:
            with part.open("r+b") as sink:
                # In a thread: waiting for disk and database must not block the event loop.
                async for piece in _pieces(body):
                    await run_in_threadpool(sink.write, piece)
                    await run_in_threadpool(digests.update, piece)
                await run_in_threadpool(sink.flush)
            if md5 and digests.md5 != md5:
                raise BrokenUpload(f"the upload has the MD5 {digests.md5}, not {md5}")
            await run_in_threadpool(self._take_over, part, name, number, digests)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)
        return digests.md5

    def _take_over(self, part: Path, name: str, number: str, digests: Digests) -> None:
        written = self._complete(part, name, digests)
        try:
            with self._database.transaction():
                # Again, because the object may have been deleted or completed while the upload
                # arrived.
                self._check_expected(name, number)
                self.register(name, written)
        except ObjectGone:
            self._unlink(written.path)
            raise

    def _check_expected(self, name: str, number: str) -> None:
        row = self._database.row("SELECT id FROM objects WHERE name = ?", name)
        if row is None or str(row["id"]) != number:
            raise ObjectGone("the object was deleted, or is complete and cannot be changed")

    @contextmanager
    def writing(self, name: str, write: Callable[[Path], object]) -> Iterator[WrittenFile]:
        """Write a file that the block may register as the file of an object.

        Parameters
        ----------
        name : str
            Name of the object.
        write : callable
            Takes a path and writes the file there.

        Yields
        ------
        WrittenFile
            The complete file. It is removed after the block, if the block did not pass it to
            `register`. If the block raises an exception, the file is not removed.
        """
        part = self._new_part()
        try:
            write(part)
            written = self._complete(part, name, read_digests(part))
        finally:
            part.unlink(missing_ok=True)
        yield written
        if self._database.row("SELECT 1 FROM objects WHERE file = ?", written.path) is None:
            self._unlink(written.path)

    def write(self, name: str, write: Callable[[Path], object]) -> None:
        """Store an object that the server itself makes, such as an export.

        The callable ``write`` takes a path and writes the object's bytes to a file there.
        """
        with self.writing(name, write) as written:
            self.register(name, written)

    def register(self, name: str, written: WrittenFile) -> None:
        """Give an object a new file in the open transaction; the commit removes the old file."""
        digests = written.digests
        facts = (written.path, digests.md5, digests.crc32c, digests.n_bytes, time.time())
        with self._database.transaction() as connection:
            self._drop_file(connection, name)
            connection.execute(
                "INSERT INTO objects (file, md5, crc32c, n_bytes, modified_at, name) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET file = excluded.file, "
                "md5 = excluded.md5, crc32c = excluded.crc32c, n_bytes = excluded.n_bytes, "
                "modified_at = excluded.modified_at",
                (*facts, name),
            )

    def rename(self, name: str, new_name: str) -> None:
        """Give an object another name; URLs with the old name become invalid."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE objects SET name = ? WHERE name = ?", (new_name, name))

    def forget(self, name: str) -> None:
        """Delete an object, within the present transaction; its URLs become invalid."""
        with self._database.transaction() as connection:
            self._drop_file(connection, name)
            connection.execute("DELETE FROM objects WHERE name = ?", (name,))

    def remove_unwanted(self) -> None:
        """Remove the files that no object uses any more; during a backup, do nothing."""
        # If a backup holds the lock, the files stay in the set until a later call.
        with self._guard, suppress(Timeout), FileLock(removal_lock(self._directory), timeout=0):
            while self._unwanted:
                self._unlink(self._unwanted.pop())

    def _drop_file(self, connection: sqlite3.Connection, name: str) -> None:
        row = connection.execute("SELECT file FROM objects WHERE name = ?", (name,)).fetchone()
        if row is None or row["file"] is None:
            return
        old = row["file"]

        def remove() -> None:
            self._unwanted.add(old)
            self.remove_unwanted()

        # Not before: after a rollback or a crash, the row still names the old file.
        self._database.on_commit(remove)

    def _facts(self, row: sqlite3.Row) -> StoredObject:
        file = self._directory / row["file"]
        return StoredObject(file, row["md5"], row["crc32c"], row["n_bytes"], row["modified_at"])

    def _new_part(self) -> Path:
        part = self._directory / INCOMING / secrets.token_hex(16)
        part.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        return part

    def _complete(self, part: Path, name: str, digests: Digests) -> WrittenFile:
        """Move a file to its final place and flush it, so that it survives a power cut."""
        path = f"{name.partition('/')[0]}/{part.name[:2]}/{part.name}"
        file = self._directory / path
        parents = [file.parent]
        if not file.parent.is_dir():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            parents += [file.parent.parent, self._directory]
        part.chmod(0o600)
        part.replace(file)
        # Flushed after the move: then most file systems write the new name with the content.
        with file.open("rb") as content:
            os.fsync(content.fileno())
        for parent in parents:
            flush_directory(parent)
        return WrittenFile(path, digests)

    def _unlink(self, path: str) -> None:
        with suppress(OSError):
            self._directory.joinpath(path).unlink()


async def _pieces(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a request body in pieces of at least `UPLOAD_BYTES`; the last piece may be shorter."""
    joined = bytearray()
    async for chunk in body:
        joined += chunk
        if len(joined) >= UPLOAD_BYTES:
            yield bytes(joined)
            joined.clear()
    if joined:
        yield bytes(joined)


def removal_lock(directory: Path) -> Path:
    """Return the lock file that a backup holds to keep a server from removing stored files."""
    return directory.with_name("removal.lock")


def flush_directory(directory: Path) -> None:
    """Flush the entries of a directory to disk, where the system can do that."""
    with suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
