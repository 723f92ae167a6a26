"""Link versions to additional collections, such as the collections of a registry."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql import artifact_mutations as mutations
from runlake.backend.graphql.features import fetch_features
from runlake.backend.graphql.query import mutate, query
from runlake.backend.graphql.shapes import answer_to
from runlake.errors import InvalidArgument, ProtocolError
from runlake.errors.user_line import warn
from runlake.public.artifacts.edits import ArtifactEdits
from runlake.public.artifacts.values import check_aliases
from runlake.public.default_entity import UNNAMED_PROJECT
from runlake.public.links import artifact_at, member_at
from runlake.values import ArtifactPath

if TYPE_CHECKING:
    from runlake.public.artifacts.artifacts import Artifact

REGISTRY = "wandb-registry-"
LINKED = "ArtifactPortfolio"


class ArtifactLinks(ArtifactEdits):
    """Methods of an artifact that link it to other collections, unlink it, and list its links."""

    def link(self, target_path: str, aliases: Iterable[str] | None = None) -> Artifact:
        """Link the version to another collection, which is created if it does not exist.

        Parameters
        ----------
        target_path : str
            ``entity/project/collection`` or one of its short forms; if the entity is omitted, it is
            the entity of the collection to which the version was logged.
        aliases : list of str, optional
            Aliases in the other collection. The backend also adds the alias ``latest``.

        Returns
        -------
        Artifact
            The version as a member of the other collection.

        Raises
        ------
        InvalidArgument
            If the path or an alias is malformed, or the path names a registry without the entity of
            its organization; this is checked before any request.
        BackendError
            If the backend refuses the request.
        """
        target = self._link_target(target_path)
        given = {
            "artifactID": self.id,
            "artifactPortfolioName": target.collection,
            "entityName": target.entity,
            "projectName": target.project,
            "aliases": [
                {"artifactCollectionName": target.collection, "alias": alias}
                for alias in check_aliases(aliases or [])
            ],
        }
        if self.is_link:
            warn(f"{self.qualified_name!r} is a link: its source is linked instead.")
        is_new = mutations.MEMBERSHIP_IN_LINK in fetch_features(self._client)
        document = mutations.LINK_ARTIFACT_AND_READ if is_new else mutations.LINK_ARTIFACT
        data = mutate(self._client, document, {"input": given}, is_idempotent=True)
        with answer_to(self._client, "LinkArtifact", f"'{self.qualified_name}'"):
            answer = data.get("linkArtifact") or {}
            membership = answer.get("artifactMembership") or {}
            index = membership.get("versionIndex", answer.get("versionIndex"))
        if index is None:
            raise ProtocolError(
                f"{self._client.origin} answered LinkArtifact without the version of "
                f"{self.qualified_name!r} in '{target}'.",
                operation="LinkArtifact",
                origin=self._client.origin,
            )
        place = ArtifactPath(target.entity, target.project, target.collection, f"v{index}")
        # An older backend answers only with the number of the new version.
        if not (membership.get("artifact") and membership.get("artifactCollection")):
            return artifact_at(self._client, place)
        return member_at(self._client, membership, place)

    def unlink(self) -> None:
        """Remove a linked version from the collection in which it was found, with two requests.

        Raises
        ------
        InvalidArgument
            If the version was logged to this collection.
        BackendError
            If the backend refuses the request.
        """
        if not self.is_link:
            raise InvalidArgument(
                f"Artifact {self.qualified_name!r} is not a link, so it cannot be unlinked. "
                "Call .delete() to delete the version."
            )
        # The mutation needs the id of the collection, which the fields of a version do not have.
        collection = self._open_collection(self._path)
        given = {"artifactID": self.id, "artifactPortfolioID": collection.id}
        mutate(self._client, mutations.UNLINK_ARTIFACT, {"input": given}, is_idempotent=False)

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete the version and its files; if this is a link, delete only the link.

        Makes one request, or two for a link.

        Parameters
        ----------
        delete_aliases : bool
            Delete the version even if it has aliases; the aliases are deleted too. Ignored for a
            link.

        Raises
        ------
        BackendError
            If the backend refuses, for example because the version has aliases.
        """
        if self.is_link:
            warn(f"{self.qualified_name!r} is a link: it is unlinked, its source is not deleted.")
            self.unlink()
        else:
            super().delete(delete_aliases)

    @property
    def linked_artifacts(self) -> list[Artifact]:
        """The version's links to other collections; each access makes one request.

        The list is empty if this artifact is a link itself.
        """
        if self.is_link:
            return []
        data = query(self._client, documents.LINKED_ARTIFACTS, {"artifactID": self.id})
        with answer_to(self._client, "FetchLinkedArtifacts", f"'{self.qualified_name}'"):
            found = (data.get("artifact") or {}).get("artifactMemberships") or {}
            nodes = [edge.get("node") or {} for edge in found.get("edges") or []]
            # The backend leaves out the project of collections that this API key must not read.
            shown = [n for n in nodes if _is_link(n) and n["artifactCollection"]["project"]]
            members = map(self._as_member, shown)
            return list({one.qualified_name: one for one in members}.values())

    def _as_member(self, membership: dict[str, Any]) -> Artifact:
        collection, version = membership["artifactCollection"], f"v{membership['versionIndex']}"
        project = collection["project"]
        names = (project["entity"]["name"], project["name"], collection["name"], version)
        path = ArtifactPath(*names)
        return member_at(self._client, {**membership, "artifact": self._attrs}, path)

    def _link_target(self, target_path: str) -> ArtifactPath:
        project = self._client.settings.project or UNNAMED_PROJECT
        source = self._source
        target = ArtifactPath.parse(target_path, entity=source.entity, project=project)
        is_short = target_path.strip("/").count("/") < 2  # noqa: PLR2004 - entity and project
        if target.project.startswith(REGISTRY) and is_short:
            raise InvalidArgument(
                f"{target_path!r} names a registry without the entity of its organization. Write "
                f"'ORGANIZATION_ENTITY/{target.project}/{target.collection}'."
            )
        if target.alias:
            raise InvalidArgument(
                f"{target_path!r} names a version, but a link goes to a collection. Leave out "
                "':' and what follows; to set aliases, pass aliases=[...]."
            )
        return target


def _is_link(membership: dict[str, Any]) -> bool:
    return (membership.get("artifactCollection") or {}).get("__typename") == LINKED
