"""What an artifact version holds: its manifest, read and checked."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from runlake.backend import artifact_documents as documents
from runlake.backend.client import Client
from runlake.backend.graphql import query
from runlake.backend.transfer import download_bytes
from runlake.errors import ArtifactNotFoundError, ProtocolError

MD5_BYTES = 16


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an artifact, as the manifest describes it.

    Parameters
    ----------
    path : str
        Name in the artifact, with ``/``.
    digest : str
        MD5 in base64; for a reference whatever tells its versions apart, such as an ETag.
    ref : str or None
        URL of a reference: the file lies elsewhere.
    size : int or None
        Bytes.
    extra : mapping
        What else the manifest says, such as the ETag of a reference.
    birth_artifact_id : str or None
        The version that first had the file.
    """

    path: str
    digest: str
    ref: str | None = None
    size: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    birth_artifact_id: str | None = None

    @property
    def md5(self) -> str | None:
        """The digest, where it is an MD5 of the content."""
        try:
            is_md5 = len(base64.b64decode(self.digest, validate=True)) == MD5_BYTES
        except ValueError:
            return None
        # The SDK marks an entry that was digested by XXH128, which is as long.
        return self.digest if is_md5 and self.extra.get("alg", "MD5") == "MD5" else None


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an artifact version holds.

    Parameters
    ----------
    entries : mapping of str to Entry
        By name.
    version : int
        Of the format.
    """

    entries: Mapping[str, Entry]
    version: int = 1


def fetch_manifest(client: Client, artifact_id: str, what: str) -> Manifest:
    """Ask the backend what an artifact version holds; two requests.

    Parameters
    ----------
    client : Client
        The backend.
    artifact_id : str
        The backend's own id of the version.
    what : str
        What to call the artifact in errors.

    Returns
    -------
    Manifest
        Every name in it stays below the directory that it is downloaded to.

    Raises
    ------
    ArtifactNotFoundError
        If the version is gone.
    ProtocolError
        If the answer is no manifest, or one of its names leads elsewhere.
    """
    data = query(client, documents.FETCH_ARTIFACT_MANIFEST, {"id": artifact_id})
    manifest = (data.get("artifact") or {}).get("currentManifest")
    if not manifest:
        raise ArtifactNotFoundError(
            f"Artifact {what} has no manifest at {client.origin}: it was deleted, or never "
            "committed.",
            operation="FetchArtifactManifest",
            origin=client.origin,
        )
    url = manifest["file"]["directUrl"]
    content = download_bytes(client, url, what=f"the manifest of {what}")
    return parse_manifest(content, what)


def parse_manifest(content: bytes, what: str) -> Manifest:
    """Read the JSON of a manifest.

    Parameters
    ----------
    content : bytes
        The file.
    what : str
        What to call the artifact in errors.

    Returns
    -------
    Manifest
        Checked: every name in it stays below the directory that it is downloaded to.

    Raises
    ------
    ProtocolError
        If it is no manifest, or one of its names leads elsewhere.

    Examples
    --------
    >>> parse_manifest(b'{"version": 1, "contents": {"a": {"digest": "x", "size": 3}}}', "d:v0")
    Manifest(entries={'a': Entry(path='a', digest='x', ref=None, size=3, extra={}, \
birth_artifact_id=None)}, version=1)
    """
    try:
        document = json.loads(content)
        contents = document["contents"]
        entries = {name: _parse_entry(name, entry) for name, entry in contents.items()}
        version = int(document.get("version", 1))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"The manifest of {what} is no artifact manifest.") from error
    for name in entries:
        if leads_out(name):
            raise ProtocolError(
                f"Artifact {what} names a file {name!r}, which leads out of the directory that it "
                "is downloaded to. Nothing of it was written."
            )
    return Manifest(entries, version)


def leads_out(name: str) -> bool:
    r"""Tell whether a name, read as a path, can lead out of a directory on any system.

    Examples
    --------
    >>> [leads_out(name) for name in ("a/b.txt", "../a", "/etc/passwd", "C:\\x", "a/..b")]
    [False, True, True, True, False]
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    has_anchor = bool(posix.anchor or windows.anchor or windows.drive)
    return has_anchor or not posix.parts or ".." in {*posix.parts, *windows.parts} or "\0" in name


def _parse_entry(name: str, entry: Mapping[str, Any]) -> Entry:
    size = entry.get("size")
    return Entry(
        path=str(name),
        digest=str(entry["digest"]),
        ref=entry.get("ref"),
        size=None if size is None else int(size),
        extra=entry.get("extra") or {},
        birth_artifact_id=entry.get("birthArtifactID"),
    )
