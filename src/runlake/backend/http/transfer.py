"""Download and upload files by URL: atomic downloads, and uploads in pieces."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from runlake.backend.http.client import Client
from runlake.backend.http.decoding import encoding_of
from runlake.backend.http.reply import Reply
from runlake.backend.http.retry import Transient, retry
from runlake.backend.http.statuses import OK, is_retryable
from runlake.errors import FileTransferError

WRITE_BYTES = 1 << 20
MAX_BYTES_IN_MEMORY = 1 << 30
# Limit for a file in memory without Content-Length, or that the host compressed without a request.
MAX_UNANNOUNCED_IN_MEMORY = 256 << 20


def download_file(
    client: Client,
    url: str,
    destination: Path,
    *,
    what: str,
    md5: str | None = None,
    etag: str | None = None,
    max_bytes: int | None = None,
    is_durable: bool = True,
    count: Callable[[int], None] | None = None,
) -> None:
    """Download a file atomically: replace ``destination`` only once the download is complete.

    Parameters
    ----------
    client : Client
        Client of the backend; the API key is sent only to the backend's own origin.
    url : str
        Absolute http(s) URL.
    destination : Path
        File to create or replace; missing directories are created.
    what : str
        Name of the file in error messages.
    md5 : str, optional
        Expected MD5 digest, in base64.
    etag : str, optional
        Expected ETag, without quotes.
    max_bytes : int, optional
        Maximum length; a longer file is refused before all of it has arrived.
    is_durable : bool
        Flush the file to disk before it is renamed. Not needed if all readers verify the file.
    count : callable, optional
        Called with the number of bytes of each piece that arrives. If an attempt fails, called once
        more, with minus the number of bytes that arrived in this attempt.

    Raises
    ------
    FileTransferError
        If the host refuses the download, or the file is not the expected one.
    Unreachable
        If the host did not answer within the retry timeout.
    """
    make_directory(destination.parent)
    part = destination.with_name(f".{secrets.token_hex(8)}.part")

    def attempt() -> None:
        arrived = 0

        def note(n_bytes: int) -> None:
            nonlocal arrived
            arrived += n_bytes
            if count is not None:
                count(n_bytes)

        try:
            _receive(client, url, part, what, md5, etag, max_bytes, note)
        except BaseException:
            # The next attempt begins at the first byte, which would then be counted twice.
            if arrived:
                note(-arrived)
            raise

    try:
        retry(attempt, client.settings)
        # Before the file gets its name: after a crash, a file with this name has all of its bytes.
        if is_durable:
            _sync(part)
        part.replace(destination)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def make_directory(path: Path) -> None:
    """Create a directory and its missing parents, to any depth.

    `Path.mkdir` cannot create many levels at once, because it calls itself for each missing parent.
    """
    missing = []
    place = path
    while not place.is_dir() and place != place.parent:
        missing.append(place)
        place = place.parent
    for place in reversed(missing):
        place.mkdir(exist_ok=True)


def download_bytes(
    client: Client, url: str, *, what: str, md5: str | None = None, max_bytes: int | None = None
) -> bytes:
    """Return the bytes of a small file; for arguments and errors see `download_file`."""

    def attempt() -> bytes:
        with client.open(url, {}, what=what) as reply:
            _check_status(client, url, reply, what)
            promised = _promised(reply.headers)
            most = MAX_UNANNOUNCED_IN_MEMORY if promised is None else MAX_BYTES_IN_MEMORY
            most = most if max_bytes is None else min(most, max_bytes)
            _check_length(client, url, promised, most, what)
            content = b"".join(reply.iter_bytes(most))
        _check_md5(hashlib.md5(content, usedforsecurity=False).digest(), md5, what)
        return content

    return retry(attempt, client.settings)


def upload_file(
    client: Client, url: str, source: Path, headers: Mapping[str, str], *, what: str
) -> None:
    """Upload a file in pieces, without holding it in memory.

    Parameters
    ----------
    client : Client
        Client of the backend; the API key is sent only to the backend's own origin.
    url : str
        Absolute http(s) URL.
    source : Path
        File to upload.
    headers : mapping
        Request headers that the backend requires for the upload.
    what : str
        Name of the file in error messages.

    Raises
    ------
    FileTransferError
        If the host refuses the upload.
    Unreachable
        If the host did not answer within the retry timeout.
    """

    def attempt() -> None:
        with source.open("rb") as content:
            size = source.stat().st_size
            status, answered = client.put(url, content, size, headers, what=what)
        if not OK <= status < OK + 100:
            _refuse(status, answered, what, "sent", client.host_of(url))

    retry(attempt, client.settings)


def _receive(
    client: Client,
    url: str,
    part: Path,
    what: str,
    md5: str | None,
    etag: str | None,
    max_bytes: int | None,
    note: Callable[[int], None],
) -> None:
    digest = hashlib.md5(usedforsecurity=False)
    n_bytes = 0
    with client.open(url, {}, what=what) as reply:
        _check_status(client, url, reply, what)
        found = reply.headers.get("etag", "").strip('"')
        if etag is not None and found != etag:
            shown = client.quote(repr(found))
            raise FileTransferError(f"{what} has changed: its ETag is {shown}, not {etag!r}.")
        promised = _promised(reply.headers)
        _check_length(client, url, promised, max_bytes, what)
        # On a retry the temporary file exists already; never follow a symbolic link that another
        # user may have put in its place.
        with open(part, "wb", buffering=WRITE_BYTES, opener=_open_no_link) as file:
            for chunk in reply.iter_bytes(max_bytes):
                n_bytes += len(chunk)
                note(len(chunk))
                file.write(chunk)
                digest.update(chunk)
    if promised is not None and promised != n_bytes:
        raise Transient(FileTransferError(f"Only {n_bytes} of {promised} bytes of {what} arrived."))
    _check_md5(digest.digest(), md5, what)


def _open_no_link(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _promised(headers: Mapping[str, str]) -> int | None:
    """Return the length that the headers announce; None if absent, or if the body is compressed."""
    length = headers.get("content-length", "")
    is_plain = not encoding_of(headers.get("content-encoding", ""))
    return int(length) if is_plain and length.isdecimal() else None


def _check_length(
    client: Client, url: str, promised: int | None, max_bytes: int | None, what: str
) -> None:
    if promised is not None and max_bytes is not None and promised > max_bytes:
        raise FileTransferError(
            f"{what} is longer than the {max_bytes:,} bytes that it may have: "
            f"{client.host_of(url)} sends {promised:,}. Nothing was kept."
        )


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _check_status(client: Client, url: str, reply: Reply, what: str) -> None:
    if reply.status != OK:
        _refuse(reply.status, reply.headers, what, "asked for", client.host_of(url))


def _refuse(status: int, headers: Mapping[str, str], what: str, doing: str, host: str) -> None:
    error = FileTransferError(
        f"The storage host {host} answered HTTP {status} when it was {doing} {what}.",
        status=status,
    )
    if is_retryable(status):
        raise Transient(error, retry_after=headers.get("retry-after"))
    raise error


def _check_md5(found: bytes, promised: str | None, what: str) -> None:
    if not promised:
        return
    try:
        wanted = base64.b64decode(promised, validate=True)
    except (ValueError, TypeError) as error:
        raise FileTransferError(f"The backend's MD5 of {what} is not base64.") from error
    if wanted != found:
        raise Transient(
            FileTransferError(f"{what} arrived damaged: its MD5 is not the promised one."),
            # Few attempts: a host that stores a damaged file would send the whole file each time.
            is_refusal=True,
        )
