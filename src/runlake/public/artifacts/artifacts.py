"""Artifacts: versioned sets of files, as they were logged."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql.query import query
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.cache.artifacts.digests import is_intact
from runlake.cache.artifacts.files import Fetcher
from runlake.cache.artifacts.manifest import Manifest, fetch_manifest, leads_out
from runlake.errors import (
    ArtifactEntryNotFound,
    ArtifactFileMissing,
    ArtifactMismatch,
    ArtifactNotFoundError,
    FileTransferError,
    InvalidArgument,
    ProtocolError,
)
from runlake.errors.screen import line_for_screen
from runlake.errors.user_line import warn
from runlake.public.artifacts.entries import ArtifactManifest, ArtifactManifestEntry
from runlake.public.artifacts.fields import VERSION
from runlake.public.artifacts.links import ArtifactLinks
from runlake.public.artifacts.objects import object_name
from runlake.public.links import files_of, object_in, run_at
from runlake.public.lists.destinations import directory_or, path_text
from runlake.values import ArtifactPath

if TYPE_CHECKING:
    from runlake.public.artifacts.collection import ArtifactCollection
    from runlake.public.artifacts.lists import ArtifactFiles
    from runlake.public.artifacts.tables import ArtifactTable
    from runlake.public.run.run import Run

AnyPath = str | os.PathLike[str]


class Artifact(ArtifactLinks):
    """One version of an artifact; made by `Api.artifact`, and by lists of artifacts.

    Its properties are what the backend said when it was fetched; edits are sent by `save`. Runlake
    makes no new artifacts: log one with ``wandb.Artifact`` and ``run.log_artifact``.
    """

    _contents: Manifest | None = None
    _manifest: ArtifactManifest | None = None

    @property
    def collection(self) -> ArtifactCollection:
        """The collection that the artifact was found in; one request."""
        return self._open_collection(self._path)

    @property
    def source_collection(self) -> ArtifactCollection:
        """The collection that the version was logged to; one request."""
        return self._open_collection(self._source)

    @property
    def manifest(self) -> ArtifactManifest:
        """What the artifact holds; two requests at the first access."""
        if self._manifest is None:
            self._manifest = ArtifactManifest(self, self._fetch_contents())
        return self._manifest

    @property
    def digest_algorithm(self) -> str:
        """``MANIFEST_MD5`` or ``MANIFEST_XXH128``, as the manifest says."""
        return self.manifest.digest_algorithm

    def get_entry(self, name: AnyPath) -> ArtifactManifestEntry:
        """Return one file of the artifact.

        Parameters
        ----------
        name : str
            Its name, or that under which an object was added: ``tbl`` for ``tbl.table.json``.

        Returns
        -------
        ArtifactManifestEntry
            Not downloaded yet.

        Raises
        ------
        InvalidArgument
            If the name is none; nothing has been sent then.
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
        """Return one file of the artifact; the older word for `get_entry`."""
        return self.get_entry(name)

    def __getitem__(self, name: str) -> ArtifactTable | None:
        return self.get(name)

    def get(self, name: str) -> ArtifactTable | None:
        """Return an object that was added to the artifact, such as a table.

        Parameters
        ----------
        name : str
            What it was added under: ``tbl`` for ``tbl.table.json``.

        Returns
        -------
        ArtifactTable or None
            None where no object was added under the name: files are entries, see `get_entry`.

        Raises
        ------
        InvalidArgument
            If it is a medium, such as an image: runlake reads tables, and has no class for media.
        FileTransferError
            If its file cannot be downloaded.
        """
        return object_in(self, self._fetch_contents(), str(name))

    def files(
        self, names: list[str] | None = None, per_page: int = 50, start: str | None = None
    ) -> ArtifactFiles:
        """List the files of the artifact as the backend has them.

        Parameters
        ----------
        names : list of str, optional
            Exact names; all files if omitted.
        per_page : int
            Files per request.
        start : str, optional
            The ``cursor`` of an earlier list, to go on there.

        Returns
        -------
        ArtifactFiles
            Fetched as far as it is looked at.
        """
        return files_of(self, names, per_page, start=start)

    def download(
        self,
        root: AnyPath | None = None,
        allow_missing_references: bool = False,
        skip_cache: bool | None = None,
        path_prefix: AnyPath | None = None,
        multipart: bool | None = None,
    ) -> str:
        """Download the files of the artifact; files that are there with their digest stay.

        Parameters
        ----------
        root : path, optional
            The directory; ``./artifacts/NAME:VERSION`` if omitted, see ``WANDB_ARTIFACT_DIR``.
        allow_missing_references : bool
            Warn of references that cannot be downloaded, and go on.
        skip_cache : bool, optional
            Download past the cache.
        path_prefix : str, optional
            Only files whose names start so.
        multipart : bool, optional
            Taken for the SDK's sake; the size of a file makes no difference here.

        Returns
        -------
        str
            The directory.

        Raises
        ------
        FileTransferError
            If a file cannot be downloaded, has not its digest, or cannot be written.

        Notes
        -----
        Every file is checked against the MD5 of the manifest, also one that comes from the cache:
        one that is damaged there is fetched again. References to artifacts, local files and http(s)
        are followed.
        """
        del multipart
        directory = directory_or(root, self.default_root)
        prefix = "" if path_prefix is None else path_text(path_prefix, "path_prefix")
        manifest = self._fetch_contents()
        fetcher = Fetcher(self._client, self.place, skip_cache=bool(skip_cache))
        fetcher.place_all(
            (entry for name, entry in manifest.entries.items() if name.startswith(prefix)),
            Path(directory),
            allow_missing_references=allow_missing_references,
        )
        return directory

    def checkout(self, root: AnyPath | None = None) -> str:
        """Make a directory hold the files of the artifact, and no other.

        Parameters
        ----------
        root : path, optional
            The directory, whose other files are deleted; ``./artifacts/NAME`` without the version
            if omitted.

        Returns
        -------
        str
            The directory.

        Raises
        ------
        FileTransferError
            If a file cannot be downloaded, has not its digest, or cannot be written or deleted.
        """
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
        return self.download(directory)

    def file(self, root: AnyPath | None = None) -> str:
        """Download the one file of an artifact that has just one.

        Parameters
        ----------
        root : path, optional
            The directory; ``./artifacts/NAME:ALIAS`` if omitted, as it was asked for.

        Returns
        -------
        str
            Where the file is: the directory as it was given, then the file's name.

        Raises
        ------
        InvalidArgument
            If the artifact holds another number of files.
        """
        if root is None:
            root = os.path.join(".", "artifacts", self._checked_root(self.name))  # noqa: PTH118
        entries = list(self.manifest.entries.values())
        if len(entries) != 1:
            raise InvalidArgument(
                f"Artifact {self.qualified_name!r} holds {len(entries)} files, not one. Call "
                ".download() for all of them, or .get_entry(name).download()."
            )
        return entries[0].download(root)

    def verify(self, root: AnyPath | None = None) -> None:
        """Check that a directory holds the artifact's files and no other; references aside.

        Parameters
        ----------
        root : path, optional
            The directory; that of `download` if omitted.

        Raises
        ------
        ArtifactMismatch
            If a file is missing, has another digest, or does not belong there.
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
                    "Call .download() to bring it back."
                )
            if not is_intact(path, entry):
                raise ArtifactMismatch(
                    f"Digest mismatch: {name!r} in {str(directory)!r} is not the file of artifact "
                    f"{self.qualified_name!r}. Call .download() to bring it back."
                )
        n_references = sum(entry.ref is not None for entry in entries.values())
        if n_references:
            warn(f"{n_references} references of {self.qualified_name!r} were not verified.")

    def logged_by(self) -> Run | None:
        """Return the run that logged the artifact, None if no run did or it is gone."""
        data = query(self._client, documents.ARTIFACT_CREATED_BY, {"id": self.id})
        with answer_to(self._client, "ArtifactCreatedBy", f"'{self.qualified_name}'"):
            creator = (data.get("artifact") or {}).get("createdBy") or {}
            return self._run(creator) if creator.get("__typename") == "Run" else None

    def used_by(self) -> list[Run]:
        """Return the runs that used the artifact, in the order of it."""
        data = query(self._client, documents.ARTIFACT_USED_BY, {"id": self.id})
        with answer_to(self._client, "ArtifactUsedBy", f"'{self.qualified_name}'"):
            edges = ((data.get("artifact") or {}).get("usedBy") or {}).get("edges") or []
            nodes = {edge["node"]["id"]: edge["node"] for edge in edges if edge.get("node")}
            runs = map(self._run, nodes.values())
            return [run for run in runs if run is not None]

    @property
    def source_artifact(self) -> Artifact:
        """The version in the collection that it was logged to; one request for a link.

        Raises
        ------
        ArtifactNotFoundError
            If this API key may not read it.
        """
        if not self.is_link:
            return self
        return fetch_artifact(self._client, self._source)

    def default_root(self, *, include_version: bool = True) -> str:
        """Return the directory that `download` goes to if it is given none."""
        name = self.source_name if include_version else self.source_name.partition(":")[0]
        root = self._client.settings.artifact_dir.absolute() / self._checked_root(name)
        if os.name == "nt":
            root = root.with_name(root.name.replace(":", "-"))
        return str(root)

    def _checked_root(self, name: str) -> str:
        if leads_out(name.partition(":")[0]) or leads_out(name.replace(":", "-")):
            raise ProtocolError(
                f"The name of artifact {name!r} leads out of the directory for artifacts. "
                "Pass root."
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
            self._contents = fetch_manifest(self._client, self.id, name)
        return self._contents

    def _run(self, node: dict[str, Any]) -> Run | None:
        project = node.get("project")
        if not project:
            return None
        return run_at(self._client, project["entity"]["name"], project["name"], node["name"])

    def __repr__(self) -> str:
        return line_for_screen(f"<Artifact {self.qualified_name} ({self.type})>")


def _files_below(directory: str) -> Iterator[tuple[Path, str]]:
    """Iterate the files below a directory and their names in it; no link to another is followed."""
    # The standard library's walk calls itself, once per level.
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
    """Return the version of an artifact that a path names; one request.

    Parameters
    ----------
    client : Client
        The backend.
    path : ArtifactPath
        Without an alias it means the latest version.

    Returns
    -------
    Artifact
        Under the name that it was asked for by.

    Raises
    ------
    ArtifactNotFoundError
        If there is no such project, collection or version.
    """
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


def from_membership(client: Client, membership: dict[str, Any], path: ArtifactPath) -> Artifact:
    """Return an artifact as a member of the collection that a path names."""
    with answer_to(client, "ArtifactMembershipByName", f"'{path}'"):
        # The names of the answer: the backend may have redirected those that were asked for.
        project = membership["artifactCollection"]["project"]
        names = (project["entity"]["name"], project["name"])
        aliases = [alias["alias"] for alias in membership.get("aliases") or []]
        index = membership.get("versionIndex")
        number = next(filter(VERSION.fullmatch, aliases), None if index is None else f"v{index}")
    found = ArtifactPath(*names, path.collection, path.alias)
    artifact = Artifact.from_attrs(client, membership["artifact"], found, aliases, version=number)
    return artifact.as_linked_at(membership.get("createdAt")) if artifact.is_link else artifact
