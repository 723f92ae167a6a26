"""Cache the contents of files by digest: each is downloaded once, and checked at every use.

A file is copied from the cache to its destination. The copy shares blocks with the cache if the
file system supports reflinks. It is never a hard link, because then an edit of the copy would also
change the file in the cache, and every other copy.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from runlake.backend.http.client import Client
from runlake.backend.http.statuses import URL_EXPIRED
from runlake.backend.http.transfer import download_file, make_directory
from runlake.cache.disk.abandoned import is_abandoned
from runlake.cache.disk.links import is_regular
from runlake.cache.layout import ArtifactPlace
from runlake.cache.locking.striped import file_lock
from runlake.errors import CacheError, FileTransferError
from runlake.settings import Settings

Download = Callable[[Path], None]
FindUrl = Callable[[bool], str]
IsRight = Callable[[Path], bool]
COPY_BYTES = 1 << 24


def fetch_content(
    client: Client, name: str, is_right: IsRight, download: Download, *, what: str
) -> Path:
    """Return the path of a file's content in the cache; download the content if it is missing.

    Parameters
    ----------
    client : Client
        Client of the backend; contents are not shared between backends.
    name : str
        Name of the content, see `ContentFile`.
    is_right : callable
        Reads a file, and returns whether it has the right content.
    download : callable
        Writes the verified content to a path, atomically.
    what : str
        The words that name the content in messages.

    Returns
    -------
    Path
        The file in the cache, which must not be changed.

    Raises
    ------
    CacheError
        If the cache cannot be written.
    """
    content = artifact_place(client.settings).content(name)
    settings = client.settings
    with file_lock(
        content.lock,
        content.root,
        what,
        settings.lock_timeout,
        locking=settings.locking,
        guarded=content.path,
    ):
        # Another process may have stored the content while this one waited for the lock.
        if is_right(content.path):
            return content.path
        try:
            content.path.parent.mkdir(parents=True, exist_ok=True)
            _sweep(content.path.parent)
            download(content.path)
        except OSError as error:
            raise CacheError(
                f"{what} cannot be stored in the cache at {str(content.root)!r} "
                f"({error.strerror or error}).",
                path=str(content.path),
            ) from error
    return content.path


def store_content(client: Client, content: bytes, *, what: str) -> str:
    """Store bytes in the cache, and return the name of this content; see `ContentFile`.

    Raises
    ------
    CacheError
        If the cache cannot be written.
    """
    digest = hashlib.md5(content, usedforsecurity=False)
    md5 = base64.b64encode(digest.digest()).decode()

    def write(path: Path) -> None:
        part = path.with_name(f".{secrets.token_hex(8)}.part")
        try:
            part.write_bytes(content)
            part.replace(path)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    name = digest.hexdigest()
    fetch_content(client, name, lambda path: is_intact(path, md5), write, what=what)
    return name


def artifact_place(settings: Settings) -> ArtifactPlace:
    """Return an `ArtifactPlace` for the cache and the backend that the settings name."""
    return ArtifactPlace(settings.cache_dir, settings.base_url)


def download_checked(
    client: Client,
    find_url: FindUrl,
    destination: Path,
    *,
    what: str,
    md5: str | None,
    max_bytes: int | None = None,
    count: Callable[[int], None] | None = None,
) -> None:
    """Download a file by a signed URL, which is renewed once if it has expired.

    Parameters
    ----------
    client : Client
        Client of the backend.
    find_url : callable
        Returns the URL. It is called with False first, and with True if the URL has expired.
    destination : Path
        File to create or replace once the download is complete and has the right MD5.
    what : str
        The words that name the file in errors.
    md5 : str or None
        Expected MD5 in base64; None skips the check.
    max_bytes : int, optional
        Maximum length of the file in bytes.
    count : callable, optional
        Called with the number of bytes of each piece that arrives, see `download_file`.
    """

    def download(url: str) -> None:
        download_file(
            client,
            url,
            destination,
            what=what,
            md5=md5,
            max_bytes=max_bytes,
            # Each use compares the file with its MD5, so a file that a crash damaged is downloaded
            # again.
            is_durable=False,
            count=count,
        )

    try:
        download(find_url(False))
    except FileTransferError as error:
        if error.facts.get("status") not in URL_EXPIRED:
            raise
        download(find_url(True))


def is_intact(path: Path, md5: str) -> bool:
    """Read a whole file, and return whether it exists and has the given MD5 (in base64)."""
    return file_md5(path) == md5


def file_md5(path: Path) -> str | None:
    """Return the MD5 of a file in base64; None if the file cannot be read."""
    if not is_regular(path):
        return None
    try:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, _md5).digest()
    except OSError:
        return None
    return base64.b64encode(digest).decode()


def place_copy(source: Path, destination: Path) -> None:
    """Copy a file atomically, as a reflink if possible.

    Parameters
    ----------
    source : Path
        The file to copy.
    destination : Path
        File to create or replace; missing directories are made.

    Raises
    ------
    OSError
        If the destination cannot be written.
    """
    make_directory(destination.parent)
    part = destination.with_name(f".{secrets.token_hex(8)}.part")
    try:
        _copy(source, part)
        part.replace(destination)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _copy(source: Path, destination: Path) -> None:
    # Never a hard link: an edit of the copy would change the cache and every other copy. Where the
    # file system has reflinks, the two files share their blocks.
    share = getattr(os, "copy_file_range", None)
    with source.open("rb") as taken, destination.open("xb") as given:
        if share is not None:
            try:
                while share(taken.fileno(), given.fileno(), COPY_BYTES):
                    pass
            except OSError:
                # A reflink is not possible between file systems, or not supported by this one.
                taken.seek(0)
                given.seek(0)
                given.truncate()
            else:
                return
        shutil.copyfileobj(taken, given, COPY_BYTES)


def _sweep(directory: Path) -> None:
    """Delete partial files of downloads that were killed more than a day ago."""
    for part in directory.glob(".*.part"):
        with suppress(OSError):
            if is_abandoned(part):
                part.unlink()


def _md5() -> hashlib._Hash:
    return hashlib.md5(usedforsecurity=False)
