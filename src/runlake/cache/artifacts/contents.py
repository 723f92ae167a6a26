"""Contents under their MD5: downloaded once, checked at every use, copied to where they are wanted.

Copies share blocks with the cache where the file system can do that (reflinks). They are never hard
links: whoever edits a downloaded file would edit the cache, and every other copy with it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runlake.backend.http.client import Client
from runlake.backend.http.statuses import URL_EXPIRED
from runlake.backend.http.transfer import download_file, make_directory
from runlake.cache.disk.links import is_regular
from runlake.cache.layout import ContentFile
from runlake.cache.locking.striped import file_lock
from runlake.cache.upkeep.dead_attempts import ABANDONED_SECONDS
from runlake.errors import CacheError, FileTransferError

Download = Callable[[Path], None]
FindUrl = Callable[[bool], str]
COPY_BYTES = 1 << 24


def fetch_content(client: Client, md5: str, download: Download, *, what: str) -> Path:
    """Download a content into the cache, unless another process has just done so.

    Parameters
    ----------
    client : Client
        The backend; what one sent is not given out for another's.
    md5 : str
        Digest in base64.
    download : callable
        Puts the content, checked, at a path, atomically.
    what : str
        What to call the content in messages.

    Returns
    -------
    Path
        Not to be changed.

    Raises
    ------
    CacheError
        If the cache cannot be written.
    """
    content = _content(client, md5)
    settings = client.settings
    with file_lock(
        content.lock,
        content.root,
        what,
        settings.lock_timeout,
        locking=settings.locking,
        guarded=content.path,
    ):
        if is_intact(content.path, md5):
            return content.path
        try:
            content.path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(content.path.parent)
            download(content.path)
        except OSError as error:
            raise CacheError(
                f"The cache at {str(content.root)!r} cannot take {what} "
                f"({error.strerror or error}).",
                path=str(content.path),
            ) from error
    return content.path


def find_content(client: Client, md5: str) -> Path | None:
    """Return the cached file with an MD5, in base64, if it is there and intact."""
    path = _content(client, md5).path
    return path if is_intact(path, md5) else None


def download_checked(
    client: Client,
    find_url: FindUrl,
    destination: Path,
    *,
    what: str,
    md5: str | None,
    max_bytes: int | None = None,
) -> None:
    """Download a file by a signed URL; a URL that ran out is asked for again, once.

    Parameters
    ----------
    client : Client
        The backend.
    find_url : callable
        Gives the URL; called with True for a fresh one.
    destination : Path
        Replaced once the file is complete and has its digest.
    what : str
        What to call the file in errors.
    md5 : str or None
        Digest in base64.
    max_bytes : int, optional
        How long it may be.
    """

    def download(url: str) -> None:
        download_file(
            client, url, destination, what=what, md5=md5, max_bytes=max_bytes, is_durable=False
        )

    try:
        download(find_url(False))
    except FileTransferError as error:
        if error.facts.get("status") not in URL_EXPIRED:
            raise
        download(find_url(True))


def is_intact(path: Path, md5: str) -> bool:
    """Tell whether a file is there and has an MD5, in base64; reads all of it."""
    return file_md5(path) == md5


def file_md5(path: Path) -> str | None:
    """Return the MD5 of a file in base64, None where there is no such file."""
    if not is_regular(path):
        return None
    try:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, _md5).digest()
    except OSError:
        return None
    return base64.b64encode(digest).decode()


def place_copy(source: Path, destination: Path) -> None:
    """Copy a file under its final name, atomically, sharing its blocks where that is possible.

    Parameters
    ----------
    source : Path
        The file.
    destination : Path
        Replaced; its directory is made.

    Raises
    ------
    OSError
        If the place cannot be written.
    """
    make_directory(destination.parent)
    part = destination.with_name(f".{secrets.token_hex(8)}.part")
    try:
        _copy(source, part)
        part.replace(destination)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _content(client: Client, md5: str) -> ContentFile:
    settings = client.settings
    return ContentFile(settings.cache_dir, settings.base_url, base64.b64decode(md5).hex())


def _copy(source: Path, destination: Path) -> None:
    share = getattr(os, "copy_file_range", None)
    with source.open("rb") as taken, destination.open("xb") as given:
        if share is not None:
            try:
                while share(taken.fileno(), given.fileno(), COPY_BYTES):
                    pass
            except OSError:
                # Between file systems, or on one that does not know how.
                taken.seek(0)
                given.seek(0)
                given.truncate()
            else:
                return
        shutil.copyfileobj(taken, given, COPY_BYTES)


def _sweep(directory: Path) -> None:
    """Delete what downloads left that were killed long ago."""
    for part in directory.glob(".*.part"):
        with suppress(OSError):
            if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
                part.unlink()


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)
