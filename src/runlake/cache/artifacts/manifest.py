"""Fetch, parse and check the manifest of an artifact version, which lists its files."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql.query import query
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.backend.http.transfer import download_bytes
from runlake.errors import ArtifactNotFoundError, ProtocolError

MD5_BYTES = 16
# The value of "alg" that the wandb SDK writes for a digest that is not an MD5.
XXH128 = "XXH128"
VERSION = 1
STORAGE_POLICY = "wandb-storage-policy-v1"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an artifact, as its manifest describes it.

    Parameters
    ----------
    path : str
        Name of the file in the artifact, with ``/`` between folders.
    digest : str
        MD5 or XXH128 of the content, in base64. The digest of a reference is any string that
        identifies the version of its target, such as an ETag.
    ref : str or None
        URL of a reference, whose file is stored elsewhere; None for a file that is stored with the
        artifact.
    size : int or None
        Length in bytes.
    extra : mapping
        Additional facts in the manifest, such as the ETag of a reference.
    birth_artifact_id : str or None
        Id of the first version that had the file.
    """

    path: str
    digest: str
    ref: str | None = None
    size: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    birth_artifact_id: str | None = None

    @property
    def algorithm(self) -> str:
        """Algorithm of the digest: ``MD5`` or ``XXH128``; without meaning for a reference.

        Digests of the two algorithms have equal lengths.
        """
        return XXH128 if self.extra.get("alg") == XXH128 else "MD5"

    @property
    def md5(self) -> str | None:
        """The digest if it is an MD5 of the content, else None."""
        try:
            is_md5 = len(base64.b64decode(self.digest, validate=True)) == MD5_BYTES
        except ValueError:
            return None
        return self.digest if is_md5 and self.extra.get("alg", "MD5") == "MD5" else None

    @property
    def content_name(self) -> str | None:
        """Name of the content in the cache; None if the digest does not identify the content.

        Examples
        --------
        >>> Entry("a", "1B2M2Y8AsgTpgAmY7PhCfg==").content_name
        'd41d8cd98f00b204e9800998ecf8427e'
        """
        if self.md5 is not None:
            return base64.b64decode(self.md5).hex()
        if self.ref is not None or self.algorithm != XXH128:
            return None
        try:
            digest = base64.b64decode(self.digest, validate=True)
        except ValueError:
            return None
        return f"{digest.hex()}.xxh128" if len(digest) == MD5_BYTES else None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The manifest of an artifact version.

    Parameters
    ----------
    entries : mapping of str to Entry
        The artifact's files; the keys are `Entry.path`.
    version : int
        Version of the manifest's format.
    storage_policy : str
        Name of the backend's scheme for storing files.
    storage_policy_config : mapping
        Options of that scheme.
    """

    entries: Mapping[str, Entry]
    version: int = VERSION
    storage_policy: str = STORAGE_POLICY
    storage_policy_config: Mapping[str, Any] = field(default_factory=dict)


def fetch_manifest(client: Client, artifact_id: str, what: str) -> Manifest:
    """Fetch the manifest of an artifact version from the backend, with two requests.

    `runlake.cache.artifacts.held.load_manifest` also works offline.

    Parameters
    ----------
    client : Client
        Client of the backend.
    artifact_id : str
        The backend's id of the version.
    what : str
        The words that name the artifact in errors.

    Returns
    -------
    Manifest
        The checked manifest: no file name in it leads out of the download directory.

    Raises
    ------
    ArtifactNotFoundError
        If the version was deleted, or never committed.
    ProtocolError
        If the file is not a manifest, or a name in it leads out of the directory.
    """
    data = query(client, documents.FETCH_ARTIFACT_MANIFEST, {"id": artifact_id})
    return parse_manifest(download_manifest(client, data.get("artifact"), what), what)


def download_manifest(client: Client, artifact: Mapping[str, Any] | None, what: str) -> bytes:
    """Return the bytes of an artifact version's manifest, downloaded by the URL in its fields.

    Parameters
    ----------
    client : Client
        Client of the backend.
    artifact : mapping or None
        The fields of the version, with ``currentManifest``.
    what : str
        The words that name the artifact in errors.

    Raises
    ------
    ArtifactNotFoundError
        If the version was deleted, or never committed.
    """
    with answer_to(client, "FetchArtifactManifest", what):
        manifest = (artifact or {}).get("currentManifest")
        url = manifest["file"]["directUrl"] if manifest else None
        if url is not None and not isinstance(url, str):
            raise TypeError("the URL of the manifest is not a string")
    if url is None:
        raise ArtifactNotFoundError(
            f"Artifact {what} has no manifest at {client.origin}: it was deleted, or never "
            "committed.",
            operation="FetchArtifactManifest",
            origin=client.origin,
        )
    return download_bytes(client, url, what=f"the manifest of {what}")


def parse_manifest(content: bytes, what: str) -> Manifest:
    """Parse and check the JSON of an artifact version's manifest.

    Parameters
    ----------
    content : bytes
        The content of the manifest's file.
    what : str
        The words that name the artifact in errors.

    Returns
    -------
    Manifest
        The checked manifest: no file name in it leads out of the download directory.

    Raises
    ------
    ProtocolError
        If the file is not a manifest of a known version, if a name in it leads out of the
        directory, or if two names are the same path.

    Examples
    --------
    >>> manifest = parse_manifest(
    ...     b'{"version": 1, "contents": {"a": {"digest": "x", "size": 3}}}', "d:v0"
    ... )
    >>> manifest.entries["a"].size
    3
    """
    try:
        # By default `json` keeps the last of two equal names, so one file would silently be
        # missing.
        document = json.loads(content, object_pairs_hook=_unique)
        contents = document["contents"]
        version = document.get("version", VERSION)
        entries = {name: _parse_entry(name, entry) for name, entry in contents.items()}
        policy = str(document.get("storagePolicy", STORAGE_POLICY))
        config = dict(document.get("storagePolicyConfig") or {})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ProtocolError(
            f"The manifest of {what} is not an artifact manifest: {_reason(error)}. No file was "
            "written."
        ) from error
    if version != VERSION:
        raise ProtocolError(
            f"The manifest of {what} is of version {version!r}; runlake knows version {VERSION}."
        )
    paths: dict[str, str] = {}
    for name in entries:
        if leads_out(name):
            raise ProtocolError(
                f"Artifact {what} has a file {name!r}, which leads out of the directory that it "
                "is downloaded to. No file was written."
            )
        # `a//b` and `a/./b` are the path `a/b` too: one download would replace the other.
        other = paths.setdefault(str(PurePosixPath(name)), name)
        if other != name:
            raise ProtocolError(
                f"Artifact {what} has the files {other!r} and {name!r}, which are the same path. "
                "No file was written."
            )
    return Manifest(entries, version, policy, config)


def leads_out(name: str) -> bool:
    r"""Return whether a relative path leads out of its directory on any operating system.

    Examples
    --------
    >>> [leads_out(name) for name in ("a/b.txt", "../a", "/etc/passwd", "C:\\x", "a/..b")]
    [False, True, True, True, False]
    """
    posix, windows = PurePosixPath(name), PureWindowsPath(name)
    has_anchor = bool(posix.anchor or windows.anchor or windows.drive)
    is_nowhere = not posix.parts or "\0" in name or not _is_utf8(name)
    return has_anchor or is_nowhere or ".." in {*posix.parts, *windows.parts}


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise ValueError(f"it has {twice!r} twice")
    return found


def _parse_entry(name: str, entry: Mapping[str, Any]) -> Entry:
    digest, ref, size = entry["digest"], entry.get("ref"), entry.get("size")
    extra, birth = entry.get("extra") or {}, entry.get("birthArtifactID")
    is_size = size is None or (isinstance(size, int) and size >= 0)
    if not (isinstance(digest, str) and is_size and isinstance(extra, dict)) or not all(
        text is None or isinstance(text, str) for text in (ref, birth)
    ):
        raise TypeError(f"the entry of {name!r} is not a digest, size and reference")
    return Entry(name, digest, ref or None, size, extra, birth)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "its JSON is nested too deep"
    if isinstance(error, KeyError):
        return f"it lacks {error}"
    return str(error) or type(error).__name__
