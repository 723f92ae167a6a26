"""References: entries of an artifact whose bytes lie elsewhere."""

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
from runlake.errors import FileTransferError

ARTIFACT_SCHEME = "wandb-artifact"
WEB_SCHEMES = {"http", "https"}


def parse_artifact_reference(ref: str | None) -> tuple[str, str] | None:
    """Return artifact id and name of a reference to another artifact's entry.

    Parameters
    ----------
    ref : str or None
        The URL of a reference.

    Returns
    -------
    tuple of str and str, or None
        None for a reference of another kind.

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
        artifact_id = base64.b64encode(bytes.fromhex(parts.netloc)).decode()
    except ValueError:
        return None
    if not artifact_id:
        return None
    return artifact_id, parts.path.removeprefix("/")


def copy_reference(client: Client, entry: Entry, target: Path, *, what: str) -> None:
    """Put what a reference refers to at a path, atomically, if it is still the version referred to.

    Parameters
    ----------
    client : Client
        Sends; its key goes along to its own origin only.
    entry : Entry
        Its reference is a ``file``, ``http`` or ``https`` URL. Its digest is the MD5 in base64 of a
        local file; the ETag of what HTTP gives, or the URL itself where it gives none.
    target : Path
        Replaced; its directory is made.
    what : str
        What to call the entry in errors.

    Raises
    ------
    FileTransferError
        If it is not there, has changed, or is of a kind that runlake does not read.
    """
    ref, digest = entry.ref or "", entry.digest
    parts = _split(ref)
    if parts is None:
        raise FileTransferError(f"{what} refers to {ref!r}, which is no URL.")
    if parts.scheme in WEB_SCHEMES:
        etag = None if digest == ref else digest
        # Those who log without looking at what they refer to give it no size.
        download_file(client, ref, target, what=what, etag=etag, max_bytes=entry.size or None)
        return
    if parts.scheme != "file":
        raise FileTransferError(
            f"{what} refers to {ref!r}; runlake reads references to artifacts, files and http(s) "
            "only. Pass allow_missing_references=True to leave it out."
        )
    source = Path(url2pathname(unquote(parts.path)))
    if "\0" in str(source) or not source.is_file():
        raise FileTransferError(f"{what} refers to {str(source)!r}, which is not there.")
    if not is_intact(source, entry):
        raise FileTransferError(f"{what} refers to {str(source)!r}, which has changed since.")
    place_copy(source, target)


def _split(ref: str) -> SplitResult | None:
    """Return the parts of a URL, None for what only looks like one."""
    try:
        parts = urlsplit(ref)
        # To look at a port is to check it.
        is_url = parts.scheme not in WEB_SCHEMES or (bool(parts.hostname) and parts.port != 0)
    except ValueError:
        return None
    return parts if is_url else None
