"""Lists of artifacts, and of the files of an artifact."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql.query import query, query_run
from runlake.backend.http.client import Client
from runlake.cache.artifacts.contents import download_checked, place_copy
from runlake.cache.artifacts.files import Fetcher, fetch_file_page
from runlake.cache.artifacts.held import read_list
from runlake.cache.layout import RunDirectory
from runlake.errors import ArtifactNotFoundError, FileTransferError, InvalidArgument
from runlake.errors.screen import line_for_screen
from runlake.exports.progress import Count
from runlake.public.artifacts.artifacts import Artifact
from runlake.public.artifacts.entries import ArtifactManifestEntry
from runlake.public.artifacts.values import check_names
from runlake.public.files import File
from runlake.public.lists.filters import checked_filters
from runlake.public.lists.in_project import PagesInProject
from runlake.public.lists.pages import Page, Pages, SizedPages
from runlake.values import ArtifactPath, RunPath

COMMITTED = {"state": "COMMITTED"}


class Artifacts(PagesInProject[Artifact], SizedPages[Artifact]):
    """The versions in a collection, by default newest first, fetched page by page.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project, collection_name, type : str
        Path and type of the collection.
    filters : mapping, optional
        Filters in the backend's language. If omitted, only committed versions are listed.
    order : str, optional
        Field to order by, with ``-`` for descending: ``-createdAt``.
    per_page : int
        Versions per request.
    tags : str or list of str, optional
        List only versions with all of these tags. As in the SDK, ``len()`` also counts versions
        that do not have these tags.
    start : str, optional
        The ``cursor`` of an earlier list, at which this list continues.
    """

    _operation = "ProjectArtifacts"

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        collection_name: str,
        type: str,  # noqa: A002 - W&B's name
        filters: Mapping[str, Any] | None = None,
        order: str | None = None,
        per_page: int = 50,
        tags: str | list[str] | None = None,
        start: str | None = None,
    ) -> None:
        super().__init__(client, entity, project, per_page, start)
        self.collection_name = collection_name
        self.type = type
        self.filters = checked_filters(COMMITTED if filters is None else filters)
        self.order = order
        self.tags = check_names(tags or [], "tags")

    def _key(self, one: Artifact) -> tuple[str, str]:
        return one.id, one.version

    @property
    def _what(self) -> str:
        return f"the versions of '{self._place}/{self.collection_name}'"

    def _fetch(self, cursor: str | None) -> Page[Artifact]:
        chosen = {"order": self.order, "filters": json.dumps(self.filters)}
        place = {"type": self.type, "collection": self.collection_name}
        variables = {**self._variables(cursor), **place, **chosen}
        data = query(self._client, documents.PROJECT_ARTIFACTS, variables)
        of_type = (data.get("project") or {}).get("artifactType") or {}
        found = (of_type.get("artifactCollection") or {}).get("artifacts")
        if found is None:
            raise ArtifactNotFoundError(
                f"Could not find a collection {self.collection_name!r} of type {self.type!r} "
                f"in '{self._place}' at {self._client.origin}.",
                operation=self._operation,
                origin=self._client.origin,
            )
        return self._page(found, found.get("totalCount"))

    def _open(self, edge: dict[str, Any]) -> Artifact | None:
        version = str(edge["version"])
        path = ArtifactPath(self.entity, self.project, self.collection_name, version)
        found = Artifact.from_attrs(self._client, edge["node"], path, version=version)
        return found if set(self.tags) <= set(found.tags) else None

    def __repr__(self) -> str:
        place = f"{self._place}/{self.collection_name}"
        return line_for_screen(f"<Artifacts {place}{known_length(self)}>")


class ArtifactsOfRun(SizedPages[Artifact]):
    """The artifacts that a run logged or used, in the order of logging or use.

    Parameters
    ----------
    client : Client
        Client of the backend.
    run : RunPath
        The run that logged or used the artifacts.
    mode : {"logged", "used"}
        Whether to list logged (output) or used (input) artifacts.
    per_page : int
        Artifacts per request.
    """

    def __init__(self, client: Client, run: RunPath, mode: str, per_page: int) -> None:
        super().__init__(client, per_page)
        self._run = run
        self.mode = mode
        self._operation = "RunOutputArtifacts" if mode == "logged" else "RunInputArtifacts"

    def _key(self, one: Artifact) -> str:
        return one.id

    @property
    def _what(self) -> str:
        return f"the artifacts {self.mode} by run '{self._run}'"

    def _fetch(self, cursor: str | None) -> Page[Artifact]:
        if self._client.settings.offline:
            held = self._held()
            if held is not None:
                return Page(held, None, has_next=False, total=len(held))
        is_output = self.mode == "logged"
        document = documents.RUN_OUTPUT_ARTIFACTS if is_output else documents.RUN_INPUT_ARTIFACTS
        found = query_run(
            self._client,
            document,
            self._run,
            run_variable="run",
            cursor=cursor,
            perPage=self.per_page,
        ).get("artifacts")
        return self._page(found, (found or {}).get("totalCount"))

    def _held(self) -> list[Artifact] | None:
        """Return the artifacts that a pull has stored; None if the run's list was not pulled."""
        settings = self._client.settings
        directory = RunDirectory(settings.cache_dir, settings.base_url, self._run)
        rows = read_list(directory)
        if rows is None:
            return None
        nodes = [deepcopy(dict(row.version.node)) for row in rows if row.mode == self.mode]
        return [Artifact.from_attrs(self._client, node) for node in nodes]

    def _open(self, edge: dict[str, Any]) -> Artifact | None:
        # The backend leaves out the project of collections that this API key must not read.
        is_shown = edge["node"]["artifactSequence"].get("project")
        return Artifact.from_attrs(self._client, edge["node"]) if is_shown else None

    def __repr__(self) -> str:
        return line_for_screen(f"<Artifacts {self.mode} by {self._run}{known_length(self)}>")


class ArtifactFile(File):
    """A file of an artifact, with the fields that the backend sent when the file was listed.

    The backend's fields are attributes too: ``name``, ``url``, ``direct_url``, ``md5`` (base64),
    ``digest``, ``mimetype``, ``updated_at``, ``storage_path`` and ``id``.

    Parameters
    ----------
    client : Client
        Client of the backend.
    artifact : Artifact
        The artifact that contains the file.
    attrs : dict
        The fields, as the backend names them.
    """

    def __init__(self, client: Client, artifact: Artifact, attrs: dict[str, Any]) -> None:
        super().__init__(client, attrs)
        self._artifact = artifact

    def delete(self) -> None:
        """Raise an error: single files of a version cannot be deleted.

        Raises
        ------
        InvalidArgument
            Always.
        """
        raise InvalidArgument(
            f"{self.name!r} of artifact {self._artifact.qualified_name!r} cannot be deleted alone. "
            "Delete the whole version with artifact.delete()."
        )

    def _download(self, client: Client, destination: Path, counted: Count) -> None:
        try:
            if client.settings.offline:
                entry = self._artifact.manifest.stored_entry(self.name)
                place_copy(Fetcher(client, self._artifact.place).fetch(entry), destination)
                return
            download_checked(
                client,
                self._find_url,
                destination,
                what=f"{self.name!r} of artifact '{self._artifact.qualified_name}'",
                md5=self._md5,
                max_bytes=self._attrs.get("sizeBytes") if self._md5 else None,
                count=counted.add,
            )
        except OSError as error:
            raise FileTransferError(f"{str(destination)!r} cannot be written: {error}.") from error

    def _find_url(self, is_fresh: bool) -> str:
        if is_fresh:
            for file in ArtifactFiles(self._client, self._artifact, [self.name], 1):
                self._attrs = file._attrs  # noqa: SLF001 - an object of this class
        return str(self._attrs.get("url") or self._attrs.get("directUrl"))


class ArtifactFiles(Pages[ArtifactFile]):
    """The files of an artifact, as the backend lists them.

    Parameters
    ----------
    client : Client
        Client of the backend.
    artifact : Artifact
        The artifact whose files are listed.
    names : list of str, optional
        Exact names of the files to list; all files if omitted.
    per_page : int
        Files per request.
    start : str, optional
        The ``cursor`` of an earlier list, at which this list continues.
    """

    _operation = "ArtifactMembershipFiles"

    def __init__(
        self,
        client: Client,
        artifact: Artifact,
        names: Sequence[str] | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        super().__init__(client, per_page, start)
        self.artifact = artifact
        self._names = None if names is None else check_names(names, "names")

    def _key(self, one: ArtifactFile) -> str:
        return str(one.name)

    @property
    def _what(self) -> str:
        return f"the files of artifact '{self.artifact.place}'"

    @property
    def path(self) -> list[str]:
        """Entity, project and name of the artifact."""
        return [self.artifact.entity, self.artifact.project, self.artifact.name]

    def _fetch(self, cursor: str | None) -> Page[ArtifactFile]:
        if self._client.settings.offline:
            held = [
                ArtifactFile(self._client, self.artifact, _held_file(entry))
                for name, entry in self.artifact.manifest.entries.items()
                if self._names is None or name in self._names
            ]
            return Page(held, None, has_next=False, total=len(held))
        return self._page(
            fetch_file_page(
                self._client, self.artifact.place, self._names, cursor=cursor, limit=self.per_page
            )
        )

    def _open(self, edge: dict[str, Any]) -> ArtifactFile:
        node = edge["node"]
        if not isinstance(node["name"], str):
            raise TypeError(f"{node['name']!r} is not the name of a file")
        return ArtifactFile(self._client, self.artifact, node)

    def __len__(self) -> int:
        # The backend counts only all files; files with given names are fetched to be counted.
        if self._names is None:
            return self.artifact.file_count
        self._reach(None)
        return len(self.objects)

    def __repr__(self) -> str:
        return line_for_screen(f"<ArtifactFiles {'/'.join(self.path)} ({len(self)})>")


def _held_file(entry: ArtifactManifestEntry) -> dict[str, Any]:
    """Return a file's fields from the artifact's manifest, named as the backend names them."""
    is_md5 = entry.ref is None and entry.digest_algorithm() == "MANIFEST_MD5"
    return {
        "id": entry.path,
        "name": entry.path,
        "url": None,
        "directUrl": None,
        "sizeBytes": entry.size,
        "storagePath": None,
        "mimetype": None,
        "updatedAt": None,
        "digest": entry.digest,
        "md5": entry.digest if is_md5 else None,
    }


def known_length(pages: SizedPages[Any]) -> str:
    """Return a list's length as text such as `` (12)``; empty if no page was fetched yet."""
    return f" ({len(pages)})" if pages.objects or not pages.more else ""
