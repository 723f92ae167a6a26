"""Objects behind signed URLs: exports, run files and artifact files."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from itsdangerous import Signer
from starlette.concurrency import run_in_threadpool

from runlake.server.store.database import Database

MAX_NAME = 200


class BrokenUpload(Exception):
    """The uploaded bytes do not have the MD5 that the signed URL requires."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A complete object and the facts for its HTTP headers; ``md5`` is in hex."""

    file: Path
    md5: str
    n_bytes: int
    modified_at: float


class Storage:
    """Objects on disk; the database lists an object once it is complete.

    Parameters
    ----------
    database : Database
        Holds digest, length and time of each object, and the signing secret.
    directory : Path
        Root of the files.
    url : str
        Origin that serves them.
    expiry : float
        Seconds for which a signed URL is valid.
    """

    def __init__(self, database: Database, directory: Path, url: str, expiry: float) -> None:
        self._database = database
        self._directory = directory
        self._url = url
        self._expiry = expiry
        with database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO secrets VALUES ('signing', ?)", (secrets.token_hex(32),)
            )
        row = database.row("SELECT value FROM secrets WHERE name = 'signing'")
        self._signer = Signer(row["value"] if row else "", salt="runlake-storage")

    def sign(self, method: str, name: str, *, md5: str = "") -> str:
        """Return a URL that allows one method on one object until it expires.

        Parameters
        ----------
        method, name : str
            The allowed method and object.
        md5 : str
            MD5 in hex that an upload must have; empty allows any content.
        """
        expires = int(time.time() + self._expiry)
        signature = self._signer.get_signature(f"{method}\n{name}\n{expires}\n{md5}").decode()
        promise = f"&md5={md5}" if md5 else ""
        url = f"{self._url}/storage/{quote(name)}?expires={expires}&signature={signature}"
        return url + promise

    def allows(self, method: str, name: str, expires: str, signature: str, md5: str = "") -> bool:
        """Return whether a signature is valid and not expired; a GET signature also allows HEAD."""
        signed = "GET" if method == "HEAD" else method
        if not expires.isdecimal() or int(expires) < time.time():
            return False
        return self._signer.verify_signature(f"{signed}\n{name}\n{expires}\n{md5}", signature)

    def file(self, name: str) -> Path:
        """Return the file of an object; no name leads out of the directory."""
        return self._directory.joinpath(*(_file_name(part) for part in name.split("/")))

    def find(self, name: str) -> StoredObject | None:
        """Return a complete object, None if there is none."""
        row = self._database.row("SELECT * FROM objects WHERE name = ?", name)
        if row is None:
            return None
        return StoredObject(self.file(name), row["md5"], row["n_bytes"], row["modified_at"])

    async def receive(self, name: str, body: AsyncIterator[bytes], md5: str = "") -> str:
        """Store an upload while it arrives and return its MD5 in hex.

        Raises
        ------
        BrokenUpload
            If it does not have the required MD5; nothing is stored then.
        """
        file = self.file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{secrets.token_hex(8)}.part")
        digest = hashlib.md5(usedforsecurity=False)
        try:
            with aside.open("wb") as sink:
                async for chunk in body:
                    sink.write(chunk)
                    digest.update(chunk)
            if md5 and digest.hexdigest() != md5:
                raise BrokenUpload(f"the upload has the MD5 {digest.hexdigest()}, not {md5}")
            # In a thread: waiting for disk and database must not block the event loop.
            await run_in_threadpool(self._take_over, aside, name, digest.hexdigest())
        finally:
            with suppress(OSError):
                aside.unlink(missing_ok=True)
        return digest.hexdigest()

    def _take_over(self, aside: Path, name: str, md5: str) -> None:
        # Flushed before the database lists it: a listed object must survive a power cut.
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        n_bytes = aside.stat().st_size
        aside.replace(self.file(name))
        self._register(name, md5, n_bytes)

    def adopt(self, name: str) -> None:
        """Register a file that was already written at its final place."""
        file = self.file(name)
        with file.open("rb") as written:
            digest = hashlib.file_digest(written, "md5").hexdigest()
        self._register(name, digest, file.stat().st_size)

    def write(self, name: str, content: bytes) -> None:
        """Store an object that the server itself made."""
        file = self.file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f".{secrets.token_hex(8)}.part")
        with aside.open("wb") as sink:
            sink.write(content)
            sink.flush()
            os.fsync(sink.fileno())
        aside.replace(file)
        self._register(name, hashlib.md5(content, usedforsecurity=False).hexdigest(), len(content))

    def forget(self, name: str) -> None:
        """Delete an object."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM objects WHERE name = ?", (name,))
        with suppress(OSError):
            self.file(name).unlink()

    def _register(self, name: str, md5: str, n_bytes: int) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?)",
                (name, md5, n_bytes, time.time()),
            )


def _file_name(part: str) -> str:
    """Return a file name that every file system accepts; different parts get different names."""
    quoted = quote(part, safe="").replace(".", "%2E") or "%"
    if len(quoted) <= MAX_NAME:
        return quoted
    return f"{quoted[:100]}%-{hashlib.sha256(part.encode()).hexdigest()}"
