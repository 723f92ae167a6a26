"""The manifest of an artifact and its entries, one per file, under W&B's names."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.cache.artifacts.digests import manifest_digest
from runlake.cache.artifacts.files import Fetcher
from runlake.cache.artifacts.manifest import Entry, Manifest
from runlake.cache.artifacts.references import ARTIFACT_SCHEME
from runlake.errors import InvalidArgument
from runlake.errors.screen import line_for_screen
from runlake.exports.progress import Count, FileCount
from runlake.public.lists.destinations import directory_or
from runlake.public.progress import progress_of
from runlake.values import ProgressOption
from runlake.values.counted import counted

if TYPE_CHECKING:
    from runlake.public.artifacts.artifacts import Artifact


class ArtifactManifestEntry:
    """One file of an artifact.

    Parameters
    ----------
    artifact : Artifact
        The artifact that contains the file.
    entry : Entry
        The file's entry in the manifest.
    """

    def __init__(self, artifact: Artifact, entry: Entry) -> None:
        self._artifact = artifact
        self._entry = entry

    @property
    def path(self) -> str:
        """Name of the file in the artifact, with ``/`` between folders."""
        return self._entry.path

    @property
    def name(self) -> str:
        """Name of the file in the artifact; the same as `path`."""
        return self._entry.path

    @property
    def digest(self) -> str:
        """The file's digest in base64; for a reference, text that identifies the file's version."""
        return self._entry.digest

    @property
    def ref(self) -> str | None:
        """The URL of a reference; None for a file that is stored in the artifact."""
        return self._entry.ref

    @property
    def size(self) -> int | None:
        """Size of the file in bytes; None if unknown."""
        return self._entry.size

    @property
    def extra(self) -> dict[str, Any]:
        """Additional fields of the entry in the artifact's manifest."""
        return dict(self._entry.extra)

    @property
    def local_path(self) -> None:
        """Always None: only the SDK's draft artifacts have local files."""
        return None

    @property
    def skip_cache(self) -> bool:
        """Always False: only the SDK's draft artifacts can skip the cache."""
        return False

    def digest_algorithm(self) -> str:
        """Return the algorithm of the digest: ``MANIFEST_MD5`` or ``MANIFEST_XXH128``."""
        return f"MANIFEST_{self._entry.algorithm}"

    @property
    def birth_artifact_id(self) -> str | None:
        """The id of the first version that contained the file."""
        return self._entry.birth_artifact_id

    def parent_artifact(self) -> Artifact:
        """Return the artifact to which the entry belongs."""
        return self._artifact

    def ref_target(self) -> str:
        """Return the URL to which the entry refers.

        Raises
        ------
        InvalidArgument
            If the entry is not a reference.
        """
        if self._entry.ref is None:
            raise InvalidArgument(f"{self.path!r} is a file of the artifact, not a reference.")
        return self._entry.ref

    def ref_url(self) -> str:
        """Return the URL with which other artifacts can refer to the file."""
        return f"{ARTIFACT_SCHEME}://{base64.b64decode(self._artifact.id).hex()}/{self.path}"

    def to_json(self) -> dict[str, Any]:
        """Return the entry as a dict, without fields that are None."""
        known = {"path": self.path} | entry_json(self._entry) | {"extra": self.extra}
        return known | {"skip_cache": self.skip_cache}

    def download(
        self,
        root: str | os.PathLike[str] | None = None,
        skip_cache: bool | None = None,
        executor: Executor | None = None,
        *,
        progress: ProgressOption = None,
    ) -> str:
        """Download the file into a directory, unless it exists there with the right digest.

        Parameters
        ----------
        root : path, optional
            The directory; the default directory of `Artifact.download` if omitted.
        skip_cache : bool, optional
            Neither read the file from the cache nor store it there.
        executor : Executor, optional
            Accepted for compatibility and ignored: the file is downloaded in one piece.
        progress : bool, callable or None
            How to show progress; see `Run.pull`.

        Returns
        -------
        str
            Path of the file: the directory as given, then the name in the artifact.

        Raises
        ------
        FileTransferError
            If the file cannot be downloaded, has the wrong digest, or cannot be written.
        """
        del executor
        artifact = self._artifact
        directory = directory_or(root, artifact.default_root)
        counted = Count(progress_of(artifact.client.settings, progress))
        fetcher = Fetcher(
            artifact.client,
            artifact.place,
            [self.path],
            skip_cache=bool(skip_cache),
            counted=FileCount(counted),
        )
        with counted.shown(self.path, self.size, "B"):
            fetcher.place(self._entry, Path(directory))
        return os.path.join(directory, self.path)  # noqa: PTH118 - a Path drops "./"

    def __repr__(self) -> str:
        return line_for_screen(f"<ArtifactManifestEntry {self.path} ({self.digest})>")


class ArtifactManifest:
    """The list of an artifact's files, by name.

    Parameters
    ----------
    artifact : Artifact
        The artifact that contains the files.
    manifest : Manifest
        The artifact's manifest.
    """

    def __init__(self, artifact: Artifact, manifest: Manifest) -> None:
        self._manifest = manifest
        self._entries = {
            name: ArtifactManifestEntry(artifact, entry) for name, entry in manifest.entries.items()
        }

    @property
    def manifest_version(self) -> int:
        """Version of the manifest's format."""
        return self._manifest.version

    @property
    def digest_algorithm(self) -> str:
        """``MANIFEST_XXH128`` if any file has such a digest, else ``MANIFEST_MD5``."""
        kinds = {entry.digest_algorithm() for entry in self._entries.values()}
        # As text, the name with XXH128 is greater than the name with MD5.
        return max(kinds, default="MANIFEST_MD5")

    @classmethod
    def version(cls) -> int:
        """Return 1, the version of the manifest's format."""
        return 1

    @property
    def entries(self) -> Mapping[str, ArtifactManifestEntry]:
        """The files, by name."""
        return self._entries

    def size(self) -> int:
        """Return the total size of all files in bytes, including references."""
        return sum(entry.size or 0 for entry in self._entries.values())

    def digest(self) -> str:
        """Return one hex digest over the names and digests of all files."""
        return manifest_digest(self._manifest)

    def stored_entry(self, path: str) -> Entry:
        """Return the manifest's entry for a file name, for internal use."""
        return self._manifest.entries[path]

    def get_entry_by_path(self, path: str) -> ArtifactManifestEntry | None:
        """Return the file that has the given name; None if there is no such file."""
        return self._entries.get(path)

    def get_entries_in_directory(self, directory: str) -> list[ArtifactManifestEntry]:
        """Return all files below a directory of the artifact, at any depth."""
        # The slash keeps the directory "data" from matching the file "database.txt".
        return [e for name, e in self._entries.items() if name.startswith(f"{directory}/")]

    def to_manifest_json(self) -> dict[str, Any]:
        """Return the manifest in the format of its JSON file."""
        contents = {
            name: entry_json(e) | ({"extra": dict(e.extra)} if e.extra else {})
            for name, e in self._manifest.entries.items()
        }
        return {
            "version": self.manifest_version,
            "storagePolicy": self._manifest.storage_policy,
            "storagePolicyConfig": dict(self._manifest.storage_policy_config),
            "contents": contents,
        }

    def __len__(self) -> int:
        return len(self._entries)

    def __repr__(self) -> str:
        return line_for_screen(f"<ArtifactManifest ({counted(len(self), 'file')})>")


def entry_json(entry: Entry) -> dict[str, Any]:
    """Return the fields of an entry, named as in the manifest, without fields that are None."""
    known = {
        "digest": entry.digest,
        "ref": entry.ref,
        "birthArtifactID": entry.birth_artifact_id,
        "size": entry.size,
    }
    return {name: value for name, value in known.items() if value is not None}
