"""References: entries of an artifact that name a file outside of the artifact."""

from __future__ import annotations

import base64
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import url2pathname

from runlake.backend.http.client import Client
from runlake.backend.http.transfer import download_file
from runlake.cache.artifacts.contents import place_copy
from runlake.cache.artifacts.digests import is_intact
from runlake.cache.artifacts.manifest import Entry
from runlake.errors import FileTransferError, OfflineError

ARTIFACT_SCHEME = "wandb-artifact"
WEB_SCHEMES = {"http", "https"}


def parse_artifact_reference(ref: str | None) -> tuple[str, str] | None:
    """Return the artifact id and the entry name in a reference to another artifact's entry.

    Parameters
    ----------
    ref : str or None
        URL of a reference.

    Returns
    -------
    tuple of str and str, or None
        None if the URL does not refer to an artifact.

    Examples
    --------
    >>> parse_artifact_reference("wandb-artifact://4172743a31/a/b.txt")
    ('QXJ0OjE=', 'a/b.txt')
    >>> parse_artifact_reference("s3://bucket/key") is None
    True
    """
    try:
        parts = urlsplit(ref or "")
        if parts.scheme != ARTIFACT_SCHEME:
            return None
        # The URL has the bytes of the id in hex, while the backend's ids are in base64.
        artifact_id = base64.b64encode(bytes.fromhex(parts.netloc)).decode()
    except ValueError:
        return None
    if not artifact_id:
        return None
    return artifact_id, parts.path.removeprefix("/")


def copy_reference(client: Client, entry: Entry, target: Path, *, what: str) -> None:
    """Copy the file that a reference names, atomically, unless the file has changed.

    Parameters
    ----------
    client : Client
        Sends the request. The API key is sent only to the backend's own origin.
    entry : Entry
        An entry whose reference is a ``file``, ``http`` or ``https`` URL. For a local file, its
        digest is the MD5 in base64. For HTTP, its digest is the ETag, or the URL itself if the host
        sent no ETag.
    target : Path
        File to create or replace; missing directories are made.
    what : str
        The words that name the entry in errors.

    Raises
    ------
    FileTransferError
        If the file is missing, has changed, or its URL has an unsupported scheme.
    OfflineError
        If the reference is an HTTP URL, and offline mode is on.
    """
    ref, digest = entry.ref or "", entry.digest
    parts = _split(ref)
    if parts is None:
        raise FileTransferError(f"{what} refers to {ref!r}, which is no URL.")
    if parts.scheme in WEB_SCHEMES:
        if client.settings.offline:
            raise OfflineError(
                f"{what} refers to {ref!r}, which no pull stores, and offline mode is on. Pass "
                "allow_missing_references=True to leave it out, or build the Api without "
                "offline=True.",
                operation="a download",
                origin=client.origin,
            )
        etag = None if digest == ref else digest
        # The size may be missing or 0: wandb's checksum=False logs a reference without reading it.
        download_file(client, ref, target, what=what, etag=etag, max_bytes=entry.size or None)
        return
    if parts.scheme != "file":
        raise FileTransferError(
            f"{what} refers to {ref!r}; runlake reads references to artifacts, files and http(s) "
            "only. Pass allow_missing_references=True to leave it out."
        )
    source = Path(url2pathname(unquote(parts.path)))
    if "\0" in str(source) or not source.is_file():
        raise FileTransferError(f"{what} refers to {str(source)!r}, which does not exist.")
    if not is_intact(source, entry):
        raise FileTransferError(f"{what} refers to {str(source)!r}, which has changed since.")
    place_copy(source, target)


def _split(ref: str) -> SplitResult | None:
    """Split a URL; return None if it is malformed."""
    try:
        parts = urlsplit(ref)
        # `port` raises ValueError for an invalid port.
        is_url = parts.scheme not in WEB_SCHEMES or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return None
    return parts if is_url else None
