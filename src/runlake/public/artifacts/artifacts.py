"""`Artifact`: one version of a logged set of files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql.query import query
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.cache.artifacts.contents import artifact_place
from runlake.cache.artifacts.digests import is_intact
from runlake.cache.artifacts.files import Fetcher
from runlake.cache.artifacts.held import (
    HeldVersion,
    find_named,
    find_version,
    load_manifest,
    not_pulled,
)
from runlake.cache.artifacts.manifest import Manifest, leads_out
from runlake.errors import (
    ArtifactEntryNotFound,
    ArtifactFileMissing,
    ArtifactMismatch,
    ArtifactNotFoundError,
    FileTransferError,
    InvalidArgument,
    NotCached,
    ProtocolError,
)
from runlake.errors.screen import line_for_screen
from runlake.errors.user_line import warn
from runlake.exports.progress import Count, FileCount
from runlake.public.artifacts.entries import ArtifactManifest, ArtifactManifestEntry
from runlake.public.artifacts.fields import VERSION
from runlake.public.artifacts.links import ArtifactLinks
from runlake.public.artifacts.objects import object_name
from runlake.public.links import files_of, object_in, run_at
from runlake.public.lists.destinations import directory_or
from runlake.public.progress import check_progress, progress_of
from runlake.values import ArtifactPath, ProgressOption
from runlake.values.counted import counted, was_or_were
from runlake.values.local_paths import path_text

if TYPE_CHECKING:
    from runlake.public.artifacts.collection import ArtifactCollection
    from runlake.public.artifacts.lists import ArtifactFiles
    from runlake.public.artifacts.tables import ArtifactTable
    from runlake.public.run.run import Run

AnyPath = str | os.PathLike[str]


class Artifact(ArtifactLinks):
    """One version of an artifact; returned by `Api.artifact`, and by lists of artifacts.

    Its properties have the values that they had when the artifact was fetched; `save` sends edits.
    runlake does not create artifacts: log a new artifact with ``wandb.Artifact`` and
    ``run.log_artifact``.
    """

    _contents: Manifest | None = None
    _manifest: ArtifactManifest | None = None

    @property
    def collection(self) -> ArtifactCollection:
        """The collection in which the artifact was found; each access makes one request."""
        return self._open_collection(self._path)

    @property
    def source_collection(self) -> ArtifactCollection:
        """The collection to which the version was logged; each access makes one request."""
        return self._open_collection(self._source)

    @property
    def manifest(self) -> ArtifactManifest:
        """The manifest, which lists the artifact's files; the first access makes two requests."""
        if self._manifest is None:
            self._manifest = ArtifactManifest(self, self._fetch_contents())
        return self._manifest

    @property
    def digest_algorithm(self) -> str:
        """The algorithm of the files' digests: ``MANIFEST_MD5`` or ``MANIFEST_XXH128``."""
        return self.manifest.digest_algorithm

    def get_entry(self, name: AnyPath) -> ArtifactManifestEntry:
        """Return the manifest's entry for one file of the artifact.

        Parameters
        ----------
        name : str
            Name of the file, or the name under which an object was added: ``tbl`` for
            ``tbl.table.json``.

        Returns
        -------
        ArtifactManifestEntry
            The file, which has not been downloaded yet.

        Raises
        ------
        InvalidArgument
            If the name is not a path; this is checked before any request.
        ArtifactEntryNotFound
            If there is no such file.
        """
        wanted = Path(path_text(name, "The name of the file")).as_posix()
        entries = self._fetch_contents().entries
        if wanted in entries:
            return ArtifactManifestEntry(self, entries[wanted])
        found = object_name(entries, wanted)
        if found is not None:
            return ArtifactManifestEntry(self, entries[found[0]])
        some = ", ".join(sorted(entries)[:5])
        raise ArtifactEntryNotFound(
            f"Path not contained in artifact {self.qualified_name!r}: {wanted!r}. It holds {some}"
            f"{', ...' if len(entries) > 5 else ''}."  # noqa: PLR2004
        )

    def get_path(self, name: AnyPath) -> ArtifactManifestEntry:
        """Return one file of the artifact. This is an alias of `get_entry`."""
        return self.get_entry(name)

    def __getitem__(self, name: str) -> ArtifactTable | None:
        return self.get(name)

    def get(self, name: str) -> ArtifactTable | None:
        """Return an object that was added to the artifact, such as a table.

        Parameters
        ----------
        name : str
            The name under which the object was added: ``tbl`` for ``tbl.table.json``.

        Returns
        -------
        ArtifactTable or None
            None if no object has this name; for files see `get_entry`.

        Raises
        ------
        InvalidArgument
            If the object is not a table: runlake has no classes for images and other media.
        FileTransferError
            If the object's file cannot be downloaded.
        """
        return object_in(self, self._fetch_contents(), str(name))

    def files(
        self, names: list[str] | None = None, per_page: int = 50, start: str | None = None
    ) -> ArtifactFiles:
        """List the files of the artifact, with the backend's fields for each file.

        Parameters
        ----------
        names : list of str, optional
            Exact names of the files to list; all files if omitted.
        per_page : int
            Files per request.
        start : str, optional
            The ``cursor`` of an earlier list, at which this list continues.

        Returns
        -------
        ArtifactFiles
            A list, fetched page by page as it is accessed.
        """
        return files_of(self, names, per_page, start=start)

    def download(
        self,
        root: AnyPath | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: AnyPath | None = None,
        multipart: bool | None = None,
        *,
        progress: ProgressOption = None,
    ) -> str:
        """Download the files of the artifact, except existing files with the right digest.

        Parameters
        ----------
        root : path, optional
            The directory. If omitted, ``NAME:VERSION`` in the directory ``WANDB_ARTIFACT_DIR``,
            which is ``./artifacts`` by default.
        allow_missing_references : bool
            Warn about references that cannot be downloaded, and continue.
        skip_cache : bool, optional
            Neither read files from the cache nor store them there.
        path_prefix : str, optional
            Download only files whose names start with this string.
        multipart : bool, optional
            Accepted for compatibility and ignored.
        progress : bool, callable or None
            How to show progress; see `Run.pull`.

        Returns
        -------
        str
            The path of the directory.

        Raises
        ------
        FileTransferError
            If a file cannot be downloaded, has the wrong digest, or cannot be written.

        Notes
        -----
        Every file, even if it comes from the cache, is compared with its digest in the artifact's
        manifest. A damaged file in the cache is downloaded again. A reference to another artifact,
        to a local file or to an http(s) URL is followed: the file that it refers to is downloaded.
        The manifest has no digest for a file at an http(s) URL: each call downloads this file
        again, and compares its ETag with the logged ETag, if one was logged.
        """
        del multipart
        directory = directory_or(root, self.default_root)
        prefix = "" if path_prefix is None else path_text(path_prefix, "path_prefix")
        count = Count(progress_of(self._client.settings, progress))
        manifest = self._fetch_contents()
        entries = [entry for name, entry in manifest.entries.items() if name.startswith(prefix)]
        fetcher = Fetcher(
            self._client, self.place, skip_cache=bool(skip_cache), counted=FileCount(count)
        )
        n_bytes = sum(entry.size or 0 for entry in entries)
        with count.shown(f"{counted(len(entries), 'file')} of {self.name}", n_bytes, "B"):
            fetcher.place_all(
                entries, Path(directory), allow_missing_references=allow_missing_references
            )
        return directory

    def checkout(self, root: AnyPath | None = None, *, progress: ProgressOption = None) -> str:
        """Download the files of the artifact to a directory, and delete all other files in it.

        Parameters
        ----------
        root : path, optional
            The directory. If omitted, ``NAME`` in the directory ``WANDB_ARTIFACT_DIR``, which is
            ``./artifacts`` by default.
        progress : bool, callable or None
            How to show progress; see `Run.pull`.

        Returns
        -------
        str
            The path of the directory.

        Raises
        ------
        FileTransferError
            If a file cannot be downloaded, has the wrong digest, or cannot be written or deleted.
        """
        # Checked here, because files are deleted before the download checks it.
        check_progress(progress)
        directory = directory_or(root, partial(self.default_root, include_version=False))
        for found, name in _files_below(directory):
            if not self._holds(name):
                try:
                    found.unlink()
                except OSError as error:
                    raise FileTransferError(
                        f"{str(found)!r} is not in artifact {self.qualified_name!r} and cannot be "
                        f"deleted: {error}."
                    ) from error
        return self.download(directory, progress=progress)

    def file(self, root: AnyPath | None = None) -> str:
        """Download the only file of an artifact that has exactly one file.

        Parameters
        ----------
        root : path, optional
            The directory; ``./artifacts/NAME:ALIAS`` if omitted, with the requested alias.

        Returns
        -------
        str
            Path of the file: the directory as given, then the file's name.

        Raises
        ------
        InvalidArgument
            If the artifact has no file, or several.
        """
        if root is None:
            # As in the SDK, this is not `default_root`: the requested alias is in the name.
            root = os.path.join(".", "artifacts", self._checked_root(self.name))  # noqa: PTH118
        entries = list(self.manifest.entries.values())
        if len(entries) != 1:
            raise InvalidArgument(
                f"Artifact {self.qualified_name!r} has {len(entries):,} files, not exactly one. "
                "Call .download() for all, or .get_entry(name).download() for one."
            )
        return entries[0].download(root)

    def verify(self, root: AnyPath | None = None) -> None:
        """Check that a directory has exactly the artifact's files; references are not checked.

        Parameters
        ----------
        root : path, optional
            The directory to check; the default directory of `download` if omitted.

        Raises
        ------
        ArtifactMismatch
            If a file is missing, has another digest, or is not in the artifact.
        """
        directory = directory_or(root, self.default_root)
        entries = self._fetch_contents().entries
        for found, name in _files_below(directory):
            if not self._holds(name):
                raise ArtifactMismatch(
                    f"Found file {str(found)!r}, which is not in artifact {self.qualified_name!r}."
                )
        for name, entry in entries.items():
            if entry.ref is not None:
                continue
            path = Path(directory, name)
            if not path.is_file():
                raise ArtifactFileMissing(
                    f"{name!r} of artifact {self.qualified_name!r} is not in {str(directory)!r}. "
                    "Call .download() to restore it."
                )
            if not is_intact(path, entry):
                raise ArtifactMismatch(
                    f"Digest mismatch: {name!r} in {str(directory)!r} is not the file of artifact "
                    f"{self.qualified_name!r}. Call .download() to restore it."
                )
        n_references = sum(entry.ref is not None for entry in entries.values())
        if n_references:
            warn(
                f"{counted(n_references, 'reference')} of {self.qualified_name!r} "
                f"{was_or_were(n_references)} not verified."
            )

    def logged_by(self) -> Run | None:
        """Return the run that logged the artifact; None if no run did, or the run was deleted."""
        if self._client.settings.offline:
            creator = self._held().created_by
            return None if creator is None else self._run(dict(creator))
        data = query(self._client, documents.ARTIFACT_CREATED_BY, {"id": self.id})
        with answer_to(self._client, "ArtifactCreatedBy", f"'{self.qualified_name}'"):
            creator = (data.get("artifact") or {}).get("createdBy") or {}
            return self._run(creator) if creator.get("__typename") == "Run" else None

    def used_by(self) -> list[Run]:
        """Return the runs that used the artifact, in the order in which they used it.

        In offline mode, these are the runs that had used the artifact at its last pull, and whose
        fields are on disk.
        """
        if self._client.settings.offline:
            return self._held_users()
        data = query(self._client, documents.ARTIFACT_USED_BY, {"id": self.id})
        with answer_to(self._client, "ArtifactUsedBy", f"'{self.qualified_name}'"):
            edges = ((data.get("artifact") or {}).get("usedBy") or {}).get("edges") or []
            nodes = {edge["node"]["id"]: edge["node"] for edge in edges if edge.get("node")}
            runs = map(self._run, nodes.values())
            return [run for run in runs if run is not None]

    @property
    def source_artifact(self) -> Artifact:
        """The artifact in the collection to which it was logged.

        If this artifact is a link, each access makes one request.

        Raises
        ------
        ArtifactNotFoundError
            If the user of the API key must not read that collection.
        """
        if not self.is_link:
            return self
        return fetch_artifact(self._client, self._source)

    def default_root(self, *, include_version: bool = True) -> str:
        """Return the default directory of `download`."""
        name = self.source_name if include_version else self.source_name.partition(":")[0]
        root = self._client.settings.artifact_dir.absolute() / self._checked_root(name)
        # Windows allows no ":" in file names, so NAME:VERSION becomes NAME-VERSION as in the SDK.
        if os.name == "nt":
            root = root.with_name(root.name.replace(":", "-"))
        return str(root)

    def _checked_root(self, name: str) -> str:
        # Both forms of the directory's name, see `default_root`.
        if leads_out(name.partition(":")[0]) or leads_out(name.replace(":", "-")):
            raise ProtocolError(
                f"The name of artifact {name!r} leads out of the directory for artifacts. Pass a "
                "directory as root."
            )
        return name

    def _holds(self, name: str) -> bool:
        try:
            self.get_entry(name)
        except ArtifactEntryNotFound:
            return False
        return True

    def _fetch_contents(self) -> Manifest:
        if self._contents is None:
            name = f"'{self.qualified_name}'"
            self._contents = load_manifest(self._client, self.id, name)
        return self._contents

    def _held(self) -> HeldVersion:
        """Return the version's fields and manifest, which a pull has stored on disk."""
        found = find_version(artifact_place(self._client.settings), self.id)
        if found is None or found.manifest is None:
            raise not_pulled(artifact_place(self._client.settings), f"'{self.qualified_name}'")
        return found

    def _held_users(self) -> list[Run]:
        nodes = {node["id"]: dict(node) for node in self._held().used_by}
        found = []
        for node in nodes.values():
            # Runs that were not pulled may have used the artifact.
            with suppress(NotCached):
                found.append(self._run(node))
        return [run for run in found if run is not None]

    def _run(self, node: dict[str, Any]) -> Run | None:
        project = node.get("project")
        if not project:
            return None
        return run_at(self._client, project["entity"]["name"], project["name"], node["name"])

    def __repr__(self) -> str:
        return line_for_screen(f"<Artifact {self.qualified_name} ({self.type})>")

    def _repr_html_(self) -> str:
        from runlake.public.cards.others import show_artifact

        return show_artifact(self)


def _files_below(directory: str) -> Iterator[tuple[Path, str]]:
    """Yield the files below a directory with their relative names; do not enter linked folders."""
    # Not the standard library's walk: its recursion overflows the stack on deep directories.
    folders = [directory]
    while folders:
        try:
            with os.scandir(folders.pop()) as scanned:
                found = sorted(scanned, key=lambda one: one.name)
        except OSError:
            continue
        folders += [one.path for one in found if one.is_dir(follow_symlinks=False)]
        for path in [Path(one.path) for one in found if not one.is_dir()]:
            yield path, path.relative_to(directory).as_posix()


def fetch_artifact(client: Client, path: ArtifactPath) -> Artifact:
    """Fetch the version of an artifact that a path names, with one request.

    Parameters
    ----------
    client : Client
        Client of the backend.
    path : ArtifactPath
        A path without an alias means the latest version.

    Returns
    -------
    Artifact
        The artifact; its ``name`` has the requested alias.

    Raises
    ------
    ArtifactNotFoundError
        If there is no such project, collection or version.
    """
    if client.settings.offline:
        held = find_named(artifact_place(client.settings), path)
        if held is not None:
            return from_membership(client, _membership(held), path)
    variables = {"entity": path.entity, "project": path.project, "name": path.name}
    data = query(client, documents.ARTIFACT_BY_NAME, variables)
    with answer_to(client, "ArtifactMembershipByName", f"'{path}'"):
        membership = (data.get("project") or {}).get("artifactCollectionMembership") or {}
        collection = membership.get("artifactCollection") or {}
        project = collection.get("project")
        is_there = bool(membership.get("artifact"))
    if not is_there or not project:
        what = "artifact" if data.get("project") else "project of artifact"
        raise ArtifactNotFoundError(
            f"Could not find {what} '{path}' at {client.origin}. Check the spelling and the alias, "
            "and that this API key may read the project.",
            operation="ArtifactMembershipByName",
            origin=client.origin,
        )
    return from_membership(client, membership, path)


def stored_artifact(client: Client, held: HeldVersion) -> Artifact:
    """Return a version that a pull stored, without a request; ``client`` must be offline."""
    return from_membership(client, _membership(held), held.path)


def _membership(held: HeldVersion) -> dict[str, Any]:
    """Return a pulled version as a GraphQL membership, which puts a version into a collection."""
    node = deepcopy(dict(held.node))
    return {
        "versionIndex": node["versionIndex"],
        "aliases": [{"alias": alias} for alias in held.aliases],
        "artifactCollection": node["artifactSequence"],
        "artifact": node,
    }


def from_membership(client: Client, membership: dict[str, Any], path: ArtifactPath) -> Artifact:
    """Build an artifact from a GraphQL membership, which puts a version into a collection.

    ``path`` names this collection.
    """
    with answer_to(client, "ArtifactMembershipByName", f"'{path}'"):
        # Take the names of the answer: the backend may have redirected the requested names.
        project = membership["artifactCollection"]["project"]
        names = (project["entity"]["name"], project["name"])
        aliases = [alias["alias"] for alias in membership.get("aliases") or []]
        index = membership.get("versionIndex")
        number = next(filter(VERSION.fullmatch, aliases), None if index is None else f"v{index}")
    found = ArtifactPath(*names, path.collection, path.alias)
    artifact = Artifact.from_attrs(client, membership["artifact"], found, aliases, version=number)
    return artifact.as_linked_at(membership.get("createdAt")) if artifact.is_link else artifact
