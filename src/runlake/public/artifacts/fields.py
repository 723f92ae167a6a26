"""The fields of an artifact, as the backend sent them."""

from __future__ import annotations

import re
from typing import Any, NoReturn, Self
from urllib.parse import quote

from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.errors import InvalidArgument
from runlake.public.missing import say_missing
from runlake.values import ArtifactPath

VERSION = re.compile(r"v\d+")


class ArtifactFields:
    """The fields of one version of an artifact."""

    _client: Client
    _attrs: dict[str, Any]
    _path: ArtifactPath
    _version: str
    _linked_at: str | None

    def __init__(self, *_: object, **__: object) -> None:
        raise InvalidArgument(
            "runlake reads artifacts and does not create them. Fetch one with "
            "runlake.Api().artifact('entity/project/name:alias'), or log a new one with the wandb "
            "SDK: wandb.Artifact(name, type) and run.log_artifact(artifact)."
        )

    def __getattr__(self, name: str) -> NoReturn:
        text = f"'Artifact' object has no attribute {name!r}"
        raise AttributeError(say_missing("Artifact", name, text), name=name)

    @classmethod
    def from_attrs(
        cls,
        client: Client,
        attrs: dict[str, Any],
        path: ArtifactPath | None = None,
        aliases: list[str] | None = None,
        *,
        version: str | None = None,
    ) -> Self:
        """Build an artifact from fields that the backend sent; no request is made.

        Parameters
        ----------
        client : Client
            Client of the backend.
        attrs : dict
            The fields of the version, as GraphQL names them.
        path : ArtifactPath, optional
            The requested path. If omitted, the path of the collection and version to which the
            artifact was logged.
        aliases : list of str, optional
            The artifact's aliases in the collection of ``path``; taken from the fields if omitted.
        version : str, optional
            The artifact's version in the collection of ``path``. If omitted, its version in the
            collection to which it was logged.
        """
        artifact = cls.__new__(cls)
        with answer_to(client, "ArtifactFragment", f"'{path}'" if path else "an artifact"):
            known = path or source_path(attrs)
            vars(artifact).update(_client=client, _path=known, _linked_at=None)
            cls._receive(artifact, attrs, aliases, version)
        return artifact

    def as_linked_at(self, time: str | None) -> Self:
        """Set the time when the artifact was linked to its collection, and return the artifact."""
        self._linked_at = time
        return self

    def _receive(
        self, attrs: dict[str, Any], aliases: list[str] | None = None, version: str | None = None
    ) -> None:
        """Set the fields from an answer of the backend."""
        del aliases
        self._attrs = attrs
        self._version = version or f"v{attrs['versionIndex']}"
        # Access each field once, so that a wrong shape is an error here, not at a later access.
        _ = (self.id, self.type, self.size, self.file_count, self.state, self.history_step)

    @property
    def client(self) -> Client:
        """The client of the backend, for internal use."""
        return self._client

    @property
    def id(self) -> str:
        """The backend's own id of the version."""
        return str(self._attrs["id"])

    @property
    def entity(self) -> str:
        """The user or team that owns the collection."""
        return self._path.entity

    @property
    def project(self) -> str:
        """The project of the collection."""
        return self._path.project

    @property
    def name(self) -> str:
        """Collection and requested alias, as ``data:latest``; without an alias, as ``data:v3``."""
        return self._path.name if self._path.alias else f"{self._path.collection}:{self.version}"

    @property
    def qualified_name(self) -> str:
        """Entity, project and `name`: ``entity/project/data:latest``."""
        return f"{self.entity}/{self.project}/{self.name}"

    @property
    def version(self) -> str:
        """The version in the collection: ``v0``, ``v1``, ..."""
        return self._version

    @property
    def place(self) -> ArtifactPath:
        """The path of the artifact with its version, even if an alias was requested."""
        return ArtifactPath(self.entity, self.project, self._path.collection, self.version)

    @property
    def source_entity(self) -> str:
        """The owner of the collection to which the version was logged."""
        return self._source.entity

    @property
    def source_project(self) -> str:
        """The project of the collection to which the version was logged."""
        return self._source.project

    @property
    def source_name(self) -> str:
        """The collection and version under which the artifact was logged: ``data:v3``."""
        return self._source.name

    @property
    def source_version(self) -> str:
        """The artifact's version in the collection to which it was logged: ``v3``."""
        return self._source.alias

    @property
    def source_qualified_name(self) -> str:
        """The path under which the artifact was logged: ``entity/project/collection:version``."""
        return str(self._source)

    @property
    def linked_at(self) -> str | None:
        """Time when the artifact was linked to its collection; None if it is no link.

        Also None for a link from the list `Artifacts`, because the list does not request the time.
        """
        return self._linked_at

    @property
    def is_link(self) -> bool:
        """True if the version was logged to another collection and is only a link in this one."""
        source = self._source
        ours = (self._path.entity, self._path.project, self._path.collection)
        return ours != (source.entity, source.project, source.collection)

    @property
    def type(self) -> str:
        """The artifact type: ``dataset``, ``model``, ..."""
        return str(self._attrs["artifactType"]["name"])

    @property
    def digest(self) -> str:
        """One hex digest over the names and digests of all files, as the backend sent it."""
        return self._sent_text("digest")

    @property
    def size(self) -> int:
        """Total size of all files in bytes, including references."""
        return int(self._attrs.get("size") or 0)

    @property
    def file_count(self) -> int:
        """Number of files, including references."""
        return int(self._attrs.get("fileCount") or 0)

    @property
    def state(self) -> str:
        """The state of the version: ``COMMITTED``, ``PENDING`` or ``DELETED``."""
        return str(self._attrs["state"])

    @property
    def commit_hash(self) -> str | None:
        """The hash that the backend assigned when the version was committed; None if not sent."""
        return self._attrs.get("commitHash")

    @property
    def created_at(self) -> str:
        """Time when the version was logged, as ISO 8601 in UTC."""
        return self._sent_text("createdAt")

    @property
    def updated_at(self) -> str:
        """Time of the last change, as ISO 8601 in UTC."""
        return str(self._attrs.get("updatedAt") or self.created_at)

    @property
    def history_step(self) -> int | None:
        """The last history step before the artifact was logged; None if it is unknown."""
        step = self._attrs.get("historyStep")
        # Subtracted as in the SDK, whose users pass the result to a scan as `min_step`.
        return None if step is None else max(0, int(step) - 1)

    @property
    def url(self) -> str:
        """The URL of the version's page."""
        named = "/".join((quote(self.type), quote(self._path.collection), self.version))
        place = f"{self.entity}/{self.project}/artifacts/{named}"
        return f"{self._client.settings.app_url}/{place}"

    @property
    def _source(self) -> ArtifactPath:
        with answer_to(self._client, "ArtifactFragment", f"'{self.qualified_name}'"):
            return source_path(self._attrs)

    def _sent_text(self, name: str) -> str:
        with answer_to(self._client, "ArtifactFragment", f"'{self.qualified_name}'"):
            return str(self._attrs[name])

    def is_draft(self) -> bool:
        """Return whether the version is not committed yet."""
        return self.state == "PENDING"

    def wait(self, timeout: int | None = None) -> Self:
        """Return the artifact at once, because a fetched artifact has been logged already."""
        del timeout
        return self


def source_path(attrs: dict[str, Any]) -> ArtifactPath:
    """Return the path of the collection and version to which an artifact was logged."""
    collection = attrs["artifactSequence"]
    # The backend leaves out the project of collections that this API key must not read.
    project = collection.get("project") or {}
    entity = (project.get("entity") or {}).get("name", "")
    version = f"v{attrs['versionIndex']}"
    return ArtifactPath(entity, project.get("name", ""), collection["name"], version)
