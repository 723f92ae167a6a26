"""Cache logged media: each file is downloaded once, and checked by SHA-256 at every use."""

from __future__ import annotations

import atexit
import base64
import hashlib
import secrets
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runlake.backend.http.client import Client
from runlake.cache.disk.links import is_regular, refuse_links
from runlake.cache.layout import MediaPlace
from runlake.cache.stored_files import list_stored_files
from runlake.errors import FileTransferError, NotCached, UnwritableCacheWarning
from runlake.errors.user_line import warn
from runlake.values import RunPath

Download = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A media file of a run.

    Parameters
    ----------
    run : RunPath
        The run.
    name : str
        Name of the file in the run.
    sha256 : str
        The logged SHA-256 in hex, or its beginning; empty if none was logged.
    """

    run: RunPath
    name: str
    sha256: str = ""

    def __str__(self) -> str:
        return f"{self.name!r} of '{self.run}'"


def find_media(client: Client, wanted: MediaFile, md5: str | None = None) -> Path | None:
    """Return the path of a media file in the cache; None if the file is missing or damaged.

    Parameters
    ----------
    client : Client
        Client of the backend.
    wanted : MediaFile
        The file. If its SHA-256 is unknown, the cached file must have the MD5 ``md5``. If both
        digests are unknown, None is returned; but in offline mode, the file that was downloaded
        last is returned. Offline mode also finds files that `Lake.pull` has stored.
    md5 : str, optional
        The backend's MD5 of the file in base64.
    """
    place = _place(client, wanted)
    # Without a digest, nothing shows whether a cached file is the backend's current file.
    if not wanted.sha256 and md5 is None and not client.settings.offline:
        return None
    found = [
        path
        for path in place.directory.glob(f"{place.start}-{wanted.sha256}*")
        if _is_intact(path, place) and (wanted.sha256 or md5 is None or _md5(path) == md5)
    ]
    if not found and client.settings.offline:
        return _find_pulled(client, wanted)
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def _find_pulled(client: Client, wanted: MediaFile) -> Path | None:
    """Return the path that `Lake.pull` has stored; None if it is missing or its SHA-256 differs."""
    try:
        stored = list_stored_files(client.settings, wanted.run, [wanted.name])
    except NotCached:
        return None
    for row in stored or ():
        found = _sha256(Path(row["content"]))
        if found is not None and found.startswith(wanted.sha256):
            return Path(row["content"])
    return None


def store_media(client: Client, wanted: MediaFile, download: Download) -> Path:
    """Download a media file into the cache, and return the path of the cached file.

    Parameters
    ----------
    client : Client
        Client of the backend.
    wanted : MediaFile
        The file.
    download : callable
        Writes the file to a path, atomically.

    Raises
    ------
    FileTransferError
        If the file has another SHA-256 than the logged one.

    Warns
    -----
    UnwritableCacheWarning
        If the cache cannot be written; the file is then in a temporary directory, which is deleted
        at the end of the process.
    """
    place = _place(client, wanted)
    try:
        # A name below the directory, because `refuse_links` does not check the path itself.
        refuse_links(place.root, place.directory / "file")
        place.directory.mkdir(parents=True, exist_ok=True)
        return _store(place, place.directory, wanted, download)
    except OSError as error:
        warn(
            f"The cache at {str(place.root)!r} cannot be written ({error.strerror or error}): "
            f"{wanted} is downloaded to a temporary directory.",
            UnwritableCacheWarning,
        )
    return _store(place, _temporary_directory(), wanted, download)


def refuse_offline(client: Client, wanted: MediaFile) -> NotCached:
    """Return the error for a file that is needed in offline mode and is not in the cache."""
    root = str(client.settings.cache_dir)
    return NotCached(
        f"{wanted} is not in the cache at {root!r}, and this client is offline. Read it once "
        "without RUNLAKE_OFFLINE.",
        path=root,
    )


def _store(place: MediaPlace, directory: Path, wanted: MediaFile, download: Download) -> Path:
    part = directory / f".{secrets.token_hex(8)}.part"
    try:
        download(part)
        found = _sha256(part) or ""
        if not found.startswith(wanted.sha256):
            raise FileTransferError(
                f"{wanted} is not the file that was logged: its SHA-256 is {found}, not "
                f"{wanted.sha256}. The file was changed after it was logged."
            )
        return part.replace(directory / place.file_name(found))
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _temporary_directory() -> Path:
    path = Path(tempfile.mkdtemp(prefix="runlake-media-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def _place(client: Client, wanted: MediaFile) -> MediaPlace:
    settings = client.settings
    return MediaPlace(settings.cache_dir, settings.base_url, wanted.run, wanted.name)


def _is_intact(path: Path, place: MediaPlace) -> bool:
    found = _sha256(path)
    return found is not None and path.name == place.file_name(found)


def _sha256(path: Path) -> str | None:
    return _digest(path, hashlib.sha256)


def _md5(path: Path) -> str:
    found = _digest(path, lambda: hashlib.md5(usedforsecurity=False))
    return base64.b64encode(bytes.fromhex(found or "")).decode()


def _digest(path: Path, make: Callable[[], hashlib._Hash]) -> str | None:
    if not is_regular(path):
        return None
    try:
        with path.open("rb") as content:
            found = hashlib.file_digest(content, make)
    except OSError:
        return None
    return found.hexdigest()
