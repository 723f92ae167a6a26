"""Lists of artifacts, and of the files in one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.backend import artifact_documents as documents
from runlake.backend.client import Client
from runlake.backend.graphql import query, query_run
from runlake.cache.artifact_files import fetch_file_page
from runlake.cache.contents import download_checked
from runlake.errors import ArtifactNotFoundError, FileTransferError, InvalidType
from runlake.errors.screen import for_screen
from runlake.public.artifacts import Artifact
from runlake.public.attributes import Attributes
from runlake.public.destinations import destination_of, is_wanted, open_text
from runlake.public.pages import Page, Pages, SizedPages, page_of
from runlake.values import ArtifactPath, RunPath

if TYPE_CHECKING:
    from runlake.public.api import Api

COMMITTED = {"state": "COMMITTED"}


class Artifacts(SizedPages[Artifact]):
    """The versions in a collection, newest first unless ordered otherwise.

    Parameters
    ----------
    client : Client
        The backend.
    entity, project, collection_name, type : str
        The collection.
    filters : mapping, optional
        In the backend's filter language; committed versions if omitted.
    order : str, optional
        Field to order by, with ``-`` for descending: ``-createdAt``.
    per_page : int
        Versions per request.
    tags : str or list of str, optional
        Only versions with all of these tags; the length counts the others too, as in the SDK.
    start : str, optional
        The ``cursor`` of an earlier list, to go on there.
    """

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
        super().__init__(per_page, start)
        self._client = client
        self.entity = entity
        self.project = project
        self.collection_name = collection_name
        self.type = type
        self.filters = dict(COMMITTED if filters is None else filters)
        self.order = order
        self.tags = check_names(tags, "tags")

    def _fetch(self, cursor: str | None) -> Page[Artifact]:
        variables = {
            "entity": self.entity,
            "project": self.project,
            "type": self.type,
            "collection": self.collection_name,
            "cursor": cursor,
            "perPage": self.per_page,
            "order": self.order,
            "filters": json.dumps(self.filters),
        }
        data = query(self._client, documents.PROJECT_ARTIFACTS, variables)
        kind = (data.get("project") or {}).get("artifactType") or {}
        found = (kind.get("artifactCollection") or {}).get("artifacts")
        if found is None:
            raise ArtifactNotFoundError(
                f"Could not find a collection {self.collection_name!r} of type {self.type!r} in "
                f"'{self.entity}/{self.project}' at {self._client.origin}.",
                operation="ProjectArtifacts",
                origin=self._client.origin,
            )
        page = page_of(found, found.get("totalCount"))
        place = (self.entity, self.project, self.collection_name)
        artifacts = [
            Artifact.from_attrs(self._client, edge["node"], ArtifactPath(*place, edge["version"]))
            for edge in found.get("edges") or []
            if edge.get("node")
        ]
        return page.holding([one for one in artifacts if set(self.tags) <= set(one.tags)])

    def __repr__(self) -> str:
        return for_screen(
            f"<Artifacts {self.entity}/{self.project}/{self.collection_name} ({len(self)})>"
        )


class ArtifactsOfRun(SizedPages[Artifact]):
    """The artifacts that a run logged or used, in the order of it.

    Parameters
    ----------
    client : Client
        The backend.
    run : RunPath
        The run.
    mode : {"logged", "used"}
        Which of them.
    per_page : int
        Artifacts per request.
    """

    def __init__(self, client: Client, run: RunPath, mode: str, per_page: int) -> None:
        super().__init__(per_page)
        self._client = client
        self._run = run
        self.mode = mode

    def _fetch(self, cursor: str | None) -> Page[Artifact]:
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
        page = page_of(found, (found or {}).get("totalCount"))
        # Without a project it lies where this API key may not look.
        shown = [node for node in page.objects if node["artifactSequence"].get("project")]
        return page.holding([Artifact.from_attrs(self._client, node) for node in shown])

    def __repr__(self) -> str:
        return for_screen(f"<Artifacts {self.mode} by {self._run} ({len(self)})>")


class ArtifactFile(Attributes):
    """A file of an artifact, as the backend described it when it was listed.

    Besides the members here it shows the backend's fields: ``name``, ``url``, ``direct_url``,
    ``md5`` (base64), ``digest``, ``mimetype``, ``updated_at``, ``storage_path`` and ``id``.

    Parameters
    ----------
    client : Client
        The backend.
    artifact : Artifact
        The artifact.
    attrs : dict
        The fields.
    """

    def __init__(self, client: Client, artifact: Artifact, attrs: dict[str, Any]) -> None:
        super().__init__(attrs)
        self._client = client
        self._artifact = artifact

    @property
    def size(self) -> int:
        """Length in bytes."""
        return int(self._attrs.get("sizeBytes") or 0)

    def download(
        self,
        root: str = ".",
        replace: bool = False,
        exist_ok: bool = False,
        api: Api | None = None,
    ) -> TextIOWrapper:
        """Download the file below a directory; it is there complete, or not at all.

        Parameters
        ----------
        root : path
            The directory; folders in the name of the file are made in it.
        replace : bool
            Overwrite a file that is there.
        exist_ok : bool
            Leave a file that is there as it is.
        api : Api, optional
            Taken for the SDK's sake; the artifact's own is used.

        Returns
        -------
        file
            The downloaded file, open for reading as text.

        Raises
        ------
        InvalidArgument
            If a file is there and neither flag is set, or the name leads out of the directory.
        FileTransferError
            If the file cannot be had or written.
        """
        del api
        destination = destination_of(root, str(self._attrs["name"]))
        if is_wanted(destination, replace=replace, exist_ok=exist_ok):
            self._download(destination)
        return open_text(root, str(self._attrs["name"]))

    def _download(self, destination: Path) -> None:
        try:
            download_checked(
                self._client,
                self._find_url,
                destination,
                what=f"{self._attrs['name']!r} of artifact '{self._artifact.qualified_name}'",
                md5=self._attrs.get("md5"),
            )
        except OSError as error:
            raise FileTransferError(f"{str(destination)!r} cannot be written: {error}.") from error

    def _find_url(self, is_fresh: bool) -> str:
        if is_fresh:
            for file in ArtifactFiles(self._client, self._artifact, [self._attrs["name"]], 1):
                self._attrs = file._attrs  # noqa: SLF001 - another of our own
        return str(self._attrs.get("url") or self._attrs.get("directUrl"))

    def __repr__(self) -> str:
        return for_screen(f"<ArtifactFile {self._attrs.get('name')} ({self.size} bytes)>")


class ArtifactFiles(Pages[ArtifactFile]):
    """The files of an artifact by name, as the backend lists them.

    Parameters
    ----------
    client : Client
        The backend.
    artifact : Artifact
        The artifact.
    names : list of str, optional
        Exact names; all files if omitted.
    per_page : int
        Files per request.
    start : str, optional
        The ``cursor`` of an earlier list, to go on there.
    """

    def __init__(
        self,
        client: Client,
        artifact: Artifact,
        names: Sequence[str] | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> None:
        super().__init__(per_page, start)
        self._client = client
        self.artifact = artifact
        self._names = check_names(names, "names")

    @property
    def path(self) -> list[str]:
        """Entity, project and name of the artifact."""
        return [self.artifact.entity, self.artifact.project, self.artifact.name]

    def _fetch(self, cursor: str | None) -> Page[ArtifactFile]:
        page = page_of(
            fetch_file_page(
                self._client,
                self.artifact.place,
                self._names,
                cursor=cursor,
                limit=self.per_page,
            )
        )
        return page.holding(
            [ArtifactFile(self._client, self.artifact, node) for node in page.objects]
        )

    def __len__(self) -> int:
        if not self._names:
            return self.artifact.file_count
        self._reach(None)
        return len(self.objects)

    def __repr__(self) -> str:
        return for_screen(f"<ArtifactFiles {'/'.join(self.path)} ({len(self)})>")


def check_names(names: str | Iterable[str] | None, kind: str) -> list[str]:
    """Return a list of names; one string is a list of one.

    Raises
    ------
    InvalidArgument
        If they are no strings.
    """
    if names is None:
        return []
    found = [names] if isinstance(names, str) else list(names)
    if not all(isinstance(name, str) for name in found):
        raise InvalidType(f"{kind} must be a list of strings, not {names!r}.")
    return found
