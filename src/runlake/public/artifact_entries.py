"""The contents of an artifact, under W&B's names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.cache.artifact_files import Fetcher
from runlake.cache.artifact_manifest import Entry, Manifest
from runlake.errors import InvalidArgument
from runlake.errors.screen import for_screen

if TYPE_CHECKING:
    from runlake.public.artifacts import Artifact


class ArtifactManifestEntry:
    """One file of an artifact.

    Parameters
    ----------
    artifact : Artifact
        The artifact.
    entry : Entry
        What its manifest says of the file.
    """

    def __init__(self, artifact: Artifact, entry: Entry) -> None:
        self._artifact = artifact
        self._entry = entry

    @property
    def path(self) -> str:
        """Name in the artifact, with ``/``."""
        return self._entry.path

    @property
    def name(self) -> str:
        """Name in the artifact; the older word for `path`."""
        return self._entry.path

    @property
    def digest(self) -> str:
        """MD5 in base64; for a reference whatever tells its versions apart."""
        return self._entry.digest

    @property
    def ref(self) -> str | None:
        """URL of a reference; None for a file of the artifact's own."""
        return self._entry.ref

    @property
    def size(self) -> int | None:
        """Bytes."""
        return self._entry.size

    @property
    def extra(self) -> dict[str, Any]:
        """What else the manifest says."""
        return dict(self._entry.extra)

    @property
    def birth_artifact_id(self) -> str | None:
        """The version that first had the file."""
        return self._entry.birth_artifact_id

    def parent_artifact(self) -> Artifact:
        """Return the artifact that the entry was taken from."""
        return self._artifact

    def ref_target(self) -> str:
        """Return the URL that the entry refers to.

        Raises
        ------
        InvalidArgument
            If it is no reference.
        """
        if self._entry.ref is None:
            raise InvalidArgument(f"{self.path!r} is a file of the artifact, no reference.")
        return self._entry.ref

    def download(
        self, root: str | os.PathLike[str] | None = None, skip_cache: bool | None = None
    ) -> str:
        """Download the file below a directory, unless it is there already with its digest.

        Parameters
        ----------
        root : path, optional
            The directory; that of `Artifact.download` if omitted.
        skip_cache : bool, optional
            Download past the cache.

        Returns
        -------
        str
            Where it is.

        Raises
        ------
        FileTransferError
            If it cannot be had, has not its digest, or cannot be written.
        """
        artifact = self._artifact
        directory = artifact.default_root() if root is None else Path(root)
        fetcher = Fetcher(artifact.client, artifact.place, [self.path], skip_cache=bool(skip_cache))
        fetcher.place(self._entry, directory / self.path)
        return str(directory / self.path)

    def __repr__(self) -> str:
        return for_screen(f"<ArtifactManifestEntry {self.path} ({self.digest})>")


class ArtifactManifest:
    """What an artifact holds.

    Parameters
    ----------
    artifact : Artifact
        The artifact.
    manifest : Manifest
        Its manifest.
    """

    def __init__(self, artifact: Artifact, manifest: Manifest) -> None:
        self.manifest_version = manifest.version
        self._entries = {
            name: ArtifactManifestEntry(artifact, entry) for name, entry in manifest.entries.items()
        }

    @property
    def entries(self) -> Mapping[str, ArtifactManifestEntry]:
        """The files by name."""
        return self._entries

    def size(self) -> int:
        """Return the bytes of all files, references included."""
        return sum(entry.size or 0 for entry in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return for_screen(f"<ArtifactManifest ({len(self)} files)>")
