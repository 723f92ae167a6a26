"""Artifacts: versioned sets of files, as they were logged."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.backend import artifact_documents as documents
from runlake.backend.client import Client
from runlake.backend.graphql import query
from runlake.cache.artifact_files import Fetcher
from runlake.cache.artifact_manifest import Manifest, fetch_manifest, leads_out
from runlake.cache.contents import file_md5
from runlake.errors import (
    ArtifactEntryNotFound,
    ArtifactMismatch,
    ArtifactNotFoundError,
    InvalidArgument,
    ProtocolError,
)
from runlake.errors.screen import for_screen
from runlake.public.artifact_entries import ArtifactManifest, ArtifactManifestEntry
from runlake.public.artifact_fields import ArtifactFields, source_path
from runlake.values import ArtifactPath

if TYPE_CHECKING:
    from runlake.public.artifact_collections import ArtifactCollection
    from runlake.public.artifact_lists import ArtifactFiles
    from runlake.public.run import Run

AnyPath = str | os.PathLike[str]


class Artifact(ArtifactFields):
    """One version of an artifact; made by `Api.artifact`, and by lists of artifacts.

    Its properties are what the backend said when it was fetched. Runlake reads artifacts and does
    not make them: log one with ``wandb.Artifact`` and ``run.log_artifact``.
    """

    _contents: Manifest | None = None

    @property
    def collection(self) -> ArtifactCollection:
        """The collection that the artifact was found in; one request."""
        return self._open_collection(self._path)

    @property
    def source_collection(self) -> ArtifactCollection:
        """The collection that the version was logged to; one request."""
        return self._open_collection(source_path(self._attrs))

    @property
    def manifest(self) -> ArtifactManifest:
        """What the artifact holds; two requests at the first access."""
        return ArtifactManifest(self, self._fetch_contents())

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
        ArtifactEntryNotFound
            If there is no such file.
        """
        entries = self._fetch_contents().entries
        wanted = Path(name).as_posix()
        if wanted in entries:
            return ArtifactManifestEntry(self, entries[wanted])
        objects = [e for e in entries if re.fullmatch(re.escape(wanted) + r"\.[\w-]+\.json", e)]
        if len(objects) == 1:
            return ArtifactManifestEntry(self, entries[objects[0]])
        some = ", ".join(sorted(entries)[:5])
        raise ArtifactEntryNotFound(
            f"Path not contained in artifact {self.qualified_name!r}: {wanted!r}. It holds {some}"
            f"{', ...' if len(entries) > 5 else ''}."  # noqa: PLR2004
        )

    def get_path(self, name: AnyPath) -> ArtifactManifestEntry:
        """Return one file of the artifact; the older word for `get_entry`."""
        return self.get_entry(name)

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
        from runlake.public.artifact_lists import ArtifactFiles

        return ArtifactFiles(self._client, self, names, per_page, start=start)

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
            Warn of references that cannot be had, and go on.
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
            If a file cannot be had, has not its digest, or cannot be written.

        Notes
        -----
        Every file is checked against the MD5 of the manifest, also one that comes from the cache:
        one that is damaged there is fetched again. References to artifacts, local files and http(s)
        are followed.
        """
        del multipart
        directory = self.default_root() if root is None else Path(root)
        prefix = "" if path_prefix is None else str(path_prefix)
        manifest = self._fetch_contents()
        fetcher = Fetcher(self._client, self.place, skip_cache=bool(skip_cache))
        fetcher.place_all(
            (entry for name, entry in manifest.entries.items() if name.startswith(prefix)),
            directory,
            allow_missing_references=allow_missing_references,
        )
        return str(directory)

    def file(self, root: AnyPath | None = None) -> str:
        """Download the one file of an artifact that has just one.

        Parameters
        ----------
        root : path, optional
            The directory; that of `download` if omitted.

        Returns
        -------
        str
            Where the file is.

        Raises
        ------
        InvalidArgument
            If the artifact holds another number of files.
        """
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
        directory = self.default_root() if root is None else Path(root)
        entries = self.manifest.entries
        for found in sorted(directory.rglob("*")):
            name = found.relative_to(directory).as_posix()
            if found.is_file() and name not in entries:
                raise ArtifactMismatch(
                    f"Found file {str(found)!r}, which is not in artifact {self.qualified_name!r}."
                )
        for name, entry in entries.items():
            if entry.ref is None and file_md5(directory / name) != entry.digest:
                raise ArtifactMismatch(
                    f"{name!r} in {str(directory)!r} is missing, or is not the file of artifact "
                    f"{self.qualified_name!r}. Call .download() to bring it back."
                )

    def logged_by(self) -> Run | None:
        """Return the run that logged the artifact, None if no run did or it is gone."""
        data = query(self._client, documents.ARTIFACT_CREATED_BY, {"id": self.id})
        creator = (data.get("artifact") or {}).get("createdBy") or {}
        return self._run(creator) if creator.get("__typename") == "Run" else None

    def used_by(self) -> list[Run]:
        """Return the runs that used the artifact, in the order of it."""
        data = query(self._client, documents.ARTIFACT_USED_BY, {"id": self.id})
        edges = ((data.get("artifact") or {}).get("usedBy") or {}).get("edges") or []
        runs = (self._run(edge["node"]) for edge in edges if edge.get("node"))
        return [run for run in runs if run is not None]

    def default_root(self) -> Path:
        """Return the directory that `download` goes to if it is given none."""
        name = self.source_name
        if leads_out(name.partition(":")[0]):
            raise ProtocolError(
                f"The name of artifact {name!r} leads out of the directory for artifacts. "
                "Pass root."
            )
        if os.name == "nt":
            name = name.replace(":", "-")
        return self._client.settings.artifact_dir.absolute() / name

    def _fetch_contents(self) -> Manifest:
        if self._contents is None:
            name = f"'{self.qualified_name}'"
            self._contents = fetch_manifest(self._client, self.id, name)
        return self._contents

    def _run(self, node: dict[str, Any]) -> Run | None:
        from runlake.public.run import Run

        project = node.get("project")
        if not project:
            return None
        return Run(self._client, project["entity"]["name"], project["name"], node["name"])

    def _open_collection(self, path: ArtifactPath) -> ArtifactCollection:
        from runlake.public.artifact_collections import ArtifactCollection

        names = (path.entity, path.project, path.collection)
        return ArtifactCollection(self._client, *names, self.type)

    def __repr__(self) -> str:
        return for_screen(f"<Artifact {self.qualified_name} ({self.type})>")


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
    membership = (data.get("project") or {}).get("artifactCollectionMembership") or {}
    collection = membership.get("artifactCollection") or {}
    project = collection.get("project")
    if not membership.get("artifact") or not project:
        what = "artifact" if data.get("project") else "project of artifact"
        raise ArtifactNotFoundError(
            f"Could not find {what} '{path}' at {client.origin}. Check the spelling and the alias, "
            "and that this API key may read the project.",
            operation="ArtifactMembershipByName",
            origin=client.origin,
        )
    # The names of the answer: the backend may have redirected those that were asked for.
    found = ArtifactPath(project["entity"]["name"], project["name"], path.collection, path.alias)
    aliases = [alias["alias"] for alias in membership.get("aliases") or []]
    return Artifact.from_attrs(client, membership["artifact"], found, aliases)
