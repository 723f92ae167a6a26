"""The methods of `Api` that return artifacts, collections and types."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from runlake.errors import ArtifactNotFoundError, InvalidArgument
from runlake.errors.user_line import warn
from runlake.public.default_entity import UNNAMED, UNNAMED_PROJECT, DefaultEntity
from runlake.values import ArtifactPath, check_text

if TYPE_CHECKING:
    from runlake.public.artifacts.artifacts import Artifact
    from runlake.public.artifacts.collection import ArtifactCollection
    from runlake.public.artifacts.collections import (
        ArtifactCollections,
        ArtifactType,
        ArtifactTypes,
    )
    from runlake.public.artifacts.lists import Artifacts


class ApiArtifacts(DefaultEntity):
    """Methods of `Api` that find artifacts by name."""

    def artifact(self, name: str, type: str | None = None) -> Artifact:  # noqa: A002 - W&B's name
        """Fetch a version of an artifact with one request.

        Parameters
        ----------
        name : str
            ``entity/project/collection:alias``. The alias is a version such as ``v3`` or a name
            such as ``latest``, which is the default. An omitted entity or project is taken from
            the settings.
        type : str, optional
            The type that the artifact must have; any type if omitted.

        Returns
        -------
        Artifact
            The version; its files have not been downloaded yet.

        Raises
        ------
        InvalidArgument
            If the name is malformed, or the artifact is of another type.
        ArtifactNotFoundError
            If there is no such artifact.
        """
        if name is None:
            raise InvalidArgument("You must specify name= to fetch an artifact.")
        from runlake.public.artifacts.artifacts import fetch_artifact

        artifact = fetch_artifact(self._client, self._artifact_path(name))
        if type is not None and artifact.type != type:
            raise InvalidArgument(
                f"Type {type!r} specified, but artifact {artifact.qualified_name!r} is of type "
                f"{artifact.type!r}."
            )
        return artifact

    def artifact_exists(self, name: str, type: str | None = None) -> bool:  # noqa: A002
        """Return whether a version of an artifact exists; this makes one request.

        Parameters
        ----------
        name, type
            As for `artifact`.

        Raises
        ------
        BackendError
            If the request fails.
        """
        try:
            self.artifact(name, type)
        except (ArtifactNotFoundError, InvalidArgument):
            # As in the SDK, also for an artifact of another type; a failed request is an error.
            return False
        return True

    def artifacts(
        self,
        type_name: str,
        name: str,
        order: str | None = None,
        per_page: int = 50,
        tags: list[str] | None = None,
        start: str | None = None,
    ) -> Artifacts:
        """List the versions in a collection, by default newest first.

        Parameters
        ----------
        type_name : str
            The type of the collection.
        name : str
            ``entity/project/collection`` or one of its short forms.
        order : str, optional
            Field to order by, with ``-`` for descending: ``-createdAt``.
        per_page : int
            Versions per request.
        tags : list of str, optional
            List only versions with all of these tags.
        start : str, optional
            The ``cursor`` of an earlier list, at which this list continues.

        Returns
        -------
        Artifacts
            A list, fetched page by page as it is accessed.
        """
        from runlake.public.artifacts.lists import Artifacts

        path = self._artifact_path(name)
        return Artifacts(
            self._client,
            path.entity,
            path.project,
            path.name,
            type_name,
            order=order,
            per_page=per_page,
            tags=tags,
            start=start,
        )

    def artifact_versions(self, type_name: str, name: str, per_page: int = 50) -> Artifacts:
        """List the versions in a collection. This is a deprecated alias of `artifacts`."""
        warn(
            "Api.artifact_versions(type_name, name) is deprecated, use "
            "Api.artifacts(type_name, name) instead.",
            DeprecationWarning,
        )
        return self.artifacts(type_name, name, per_page=per_page)

    def artifact_types(self, project: str | None = None, start: str | None = None) -> ArtifactTypes:
        """List the artifact types of a project.

        Parameters
        ----------
        project : str, optional
            ``entity/project`` or ``project``.
        start : str, optional
            The ``cursor`` of an earlier list, at which this list continues.

        Returns
        -------
        ArtifactTypes
            A list, fetched page by page as it is accessed.
        """
        from runlake.public.artifacts.collections import ArtifactTypes

        return ArtifactTypes(self._client, *self._project_path(project), start=start)

    def artifact_type(self, type_name: str, project: str | None = None) -> ArtifactType:
        """Fetch an artifact type of a project with one request.

        Parameters
        ----------
        type_name : str
            Name of the type.
        project : str, optional
            ``entity/project`` or ``project``.

        Raises
        ------
        ArtifactNotFoundError
            If the project has no such type.
        """
        from runlake.public.artifacts.collections import ArtifactType

        return ArtifactType(self._client, *self._project_path(project), type_name)

    def artifact_collections(
        self,
        project_name: str,
        type_name: str,
        order: str | None = None,
        per_page: int = 50,
        start: str | None = None,
    ) -> ArtifactCollections:
        """List a project's artifact collections of one type.

        Parameters
        ----------
        project_name : str
            ``entity/project`` or ``project``.
        type_name : str
            The artifact type of the collections.
        order : str, optional
            Field to order by, with ``-`` for descending: ``-createdAt``.
        per_page : int
            Collections per request.
        start : str, optional
            The ``cursor`` of an earlier list, at which this list continues.

        Returns
        -------
        ArtifactCollections
            A list, fetched page by page as it is accessed.
        """
        from runlake.public.artifacts.collections import ArtifactCollections

        names = (*self._project_path(project_name), type_name)
        return ArtifactCollections(
            self._client, *names, order=order, per_page=per_page, start=start
        )

    def artifact_collection(self, type_name: str, name: str) -> ArtifactCollection:
        """Fetch an artifact collection with one request.

        Parameters
        ----------
        type_name : str
            The type of the collection.
        name : str
            ``entity/project/collection`` or one of its short forms.

        Raises
        ------
        ArtifactNotFoundError
            If there is no such collection of this type.
        """
        from runlake.public.artifacts.collection import ArtifactCollection

        path = self._artifact_path(name)
        names = (path.entity, path.project, path.name, type_name)
        return ArtifactCollection(self._client, *names)

    def artifact_collection_exists(self, name: str, type: str) -> bool:  # noqa: A002
        """Return whether an artifact collection exists; this makes one request.

        Parameters
        ----------
        name : str
            ``entity/project/collection`` or one of its short forms.
        type : str
            The type of the collection.
        """
        try:
            self.artifact_collection(type, name)
        except (ArtifactNotFoundError, InvalidArgument):
            return False
        return True

    def _artifact_path(self, name: str) -> ArtifactPath:
        project = self._client.settings.project or UNNAMED_PROJECT
        # The default entity costs a request, so it is looked up only if the name has no entity.
        path = ArtifactPath.parse(name, entity=UNNAMED, project=project)
        return replace(path, entity=self._entity(path.entity))

    def _project_path(self, path: str | None) -> tuple[str, str]:
        if path is not None and not isinstance(path, str):
            raise InvalidArgument(f"A project path must be a string, not {path!r}.")
        check_text(path or "", "Invalid path:")
        parts = (path or self._client.settings.project or UNNAMED_PROJECT).strip("/").split("/")
        if len(parts) > 2 or not all(parts):  # noqa: PLR2004 - entity, project
            raise InvalidArgument(f"Invalid path: {path!r}. Write 'entity/project'.")
        return self._entity(parts[0] if len(parts) > 1 else None), parts[-1]
