"""The editable fields of a logged artifact: aliases, tags, description, metadata and TTL."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runlake.backend.graphql import artifact_mutations as mutations
from runlake.backend.graphql.query import mutate, query
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.json_text import parse_json
from runlake.errors import InvalidArgument, InvalidType, ProtocolError
from runlake.errors.user_line import warn
from runlake.public.artifacts.fields import VERSION, ArtifactFields
from runlake.public.artifacts.values import (
    ArtifactTTL,
    check_aliases,
    check_metadata,
    check_tags,
)
from runlake.public.links import collection_at
from runlake.values import ArtifactPath

if TYPE_CHECKING:
    from runlake.public.artifacts.collection import ArtifactCollection

# Special values of a TTL's seconds in the protocol.
INHERITED_SECONDS = -1
DISABLED_SECONDS = -2
HISTORY_TYPE = "wandb-history"


class ArtifactEdits(ArtifactFields):
    """The editable fields of an artifact: assign or change their values, then call `save`."""

    _aliases: list[str]
    _saved_aliases: list[str]
    _tags: list[str]
    _saved_tags: list[str]
    _description: str | None
    # None until the first access, which parses the JSON text.
    _metadata: dict[str, Any] | None
    _sent_ttl: int
    _new_ttl: timedelta | ArtifactTTL | None
    _is_ttl_changed: bool

    def _receive(
        self, attrs: dict[str, Any], aliases: list[str] | None = None, version: str | None = None
    ) -> None:
        super()._receive(attrs, aliases, version)
        known = aliases_in(attrs, self._path) if aliases is None else aliases
        # As in the SDK: the backend lists the version as an alias too, which no user has set.
        self._aliases = [alias for alias in known if not VERSION.fullmatch(alias)]
        self._saved_aliases = list(self._aliases)
        self._tags = [tag["name"] for tag in attrs.get("tags") or []]
        self._saved_tags = list(self._tags)
        self._description = attrs.get("description")
        self._sent_ttl = int(attrs.get("ttlDurationSeconds") or 0)
        self._metadata = None
        self._new_ttl = None
        self._is_ttl_changed = False

    @property
    def aliases(self) -> list[str]:
        """The version's aliases. To change them, change the list and call `save`.

        Only the aliases in the collection in which the version was found are listed.
        """
        return self._aliases

    @aliases.setter
    def aliases(self, aliases: Iterable[str]) -> None:
        self._aliases = check_aliases(aliases)

    @property
    def tags(self) -> list[str]:
        """The tags of the version. To change them, change the list and call `save`."""
        return self._tags

    @tags.setter
    def tags(self, tags: Iterable[str]) -> None:
        self._warn_of_source("tags")
        self._tags = check_tags(tags)

    @property
    def description(self) -> str | None:
        """The description of the version. To change it, assign a value and call `save`."""
        return self._description

    @description.setter
    def description(self, description: str | None) -> None:
        if description is not None and not isinstance(description, str):
            raise InvalidType(f"The description must be a string, not {description!r}.")
        self._warn_of_source("description")
        self._description = description

    @property
    def metadata(self) -> dict[str, Any]:
        """The version's metadata as a dict. To change it, edit the dict and call `save`."""
        if self._metadata is None:
            self._metadata = self._sent_metadata()
        return self._metadata

    @metadata.setter
    def metadata(self, metadata: dict[str, Any] | str | None) -> None:
        self._warn_of_source("metadata")
        self._metadata = check_metadata(metadata)

    @property
    def ttl(self) -> timedelta | None:
        """Time to live: the backend deletes the version after this time; None means no limit.

        To change it, assign a value and call `save`.
        """
        if isinstance(self._new_ttl, ArtifactTTL):
            raise InvalidArgument(
                f"The TTL that artifact {self.qualified_name!r} inherits is unknown until it is "
                "saved. Call .save() first."
            )
        if self._is_ttl_changed:
            return self._new_ttl
        return timedelta(seconds=self._sent_ttl) if self._sent_ttl > 0 else None

    @ttl.setter
    def ttl(self, ttl: timedelta | ArtifactTTL | None) -> None:
        if self.type == HISTORY_TYPE:
            raise InvalidArgument(f"The TTL of artifacts of type {HISTORY_TYPE!r} cannot be set.")
        if self.is_link:
            raise InvalidArgument(
                f"Artifact {self.qualified_name!r} is a link and has no TTL of its own. Set the "
                f"TTL of its source {self.source_qualified_name!r}."
            )
        if ttl is not None and not isinstance(ttl, (timedelta, ArtifactTTL)):
            raise InvalidType(
                f"A TTL must be a datetime.timedelta, ArtifactTTL.INHERIT or None, not {ttl!r}."
            )
        if isinstance(ttl, timedelta):
            if ttl.total_seconds() <= 0:
                raise InvalidArgument(f"A TTL must be positive, not {ttl}.")
            # The protocol has whole seconds.
            ttl = timedelta(seconds=int(ttl.total_seconds()))
        self._new_ttl = ttl
        self._is_ttl_changed = True

    def save(self, project: str | None = None, settings: object = None) -> None:
        """Send the edits of this object to the backend, with one to four requests.

        Parameters
        ----------
        project, settings
            Accepted for compatibility and ignored, because a logged artifact already has a project.

        Raises
        ------
        InvalidArgument
            If an alias, a tag or the metadata is not allowed; this is checked before any request.
        BackendError
            If the backend refuses. Aliases are sent first. So if another field is refused, the
            aliases may have been changed already.

        Notes
        -----
        Only the added and removed aliases and tags are sent, so that aliases and tags which other
        users added meanwhile are not removed. If another version had an added alias, that version
        loses the alias. Description and metadata are sent whole, but a description of None is not
        sent. After the call this object has the values that the backend returned, as in the SDK. Of
        a link whose source the API key may not edit, only aliases are saved, with a warning.
        """
        del project, settings
        aliases, tags = check_aliases(self._aliases), check_tags(self._tags)
        known = {
            "artifactID": self.id,
            "description": self._description,
            "metadata": self._metadata_text(),
            "ttlDurationSeconds": self._ttl_seconds(),
            "tagsToAdd": _tag_inputs(set(tags) - set(self._saved_tags)),
            "tagsToDelete": _tag_inputs(set(self._saved_tags) - set(tags)),
        }
        # Leave out unchanged fields: an older backend may not know tags or TTLs.
        changes = {name: value for name, value in known.items() if value not in (None, [])}
        self._send_aliases(mutations.ADD_ALIASES, set(aliases) - set(self._saved_aliases))
        self._send_aliases(mutations.DELETE_ALIASES, set(self._saved_aliases) - set(aliases))
        self._saved_aliases = list(aliases)
        # Description, metadata and tags belong to the source; aliases belong to the collection.
        if self.is_link and not self._may_edit_source():
            warn(
                f"Only the aliases of {self.qualified_name!r} were saved: this API key must not "
                f"edit '{self.source_entity}/{self.source_project}', where it was logged."
            )
            return
        data = mutate(
            self._client, mutations.UPDATE_ARTIFACT, {"input": changes}, is_idempotent=True
        )
        with answer_to(self._client, "UpdateArtifact", f"'{self.qualified_name}'"):
            updated = dict((data.get("updateArtifact") or {}).get("artifact") or {})
        if not updated:
            raise ProtocolError(
                f"{self._client.origin} answered UpdateArtifact without artifact "
                f"{self.qualified_name!r}.",
                operation="UpdateArtifact",
                origin=self._client.origin,
            )
        with answer_to(self._client, "UpdateArtifact", f"'{self.qualified_name}'"):
            self._receive(updated, version=self._version)

    def delete(self, delete_aliases: bool = False) -> None:
        """Delete the version and its files, with one request.

        Parameters
        ----------
        delete_aliases : bool
            Delete the version even if it has aliases; the aliases are deleted too.

        Raises
        ------
        BackendError
            If the backend refuses, for example because the version has aliases.
        """
        given = {"artifactID": self.id, "deleteAliases": delete_aliases}
        # If only the response was lost, a repetition would report that there is no such version.
        mutate(self._client, mutations.DELETE_ARTIFACT, {"input": given}, is_idempotent=False)

    @property
    def use_as(self) -> None:
        """Always None, for compatibility with the SDK, which no longer uses this property."""
        return None

    @property
    def incremental(self) -> bool:
        """Always False: only the SDK's draft artifacts can be incremental."""
        return False

    @property
    def distributed_id(self) -> None:
        """Always None: only the SDK's draft artifacts have a distributed id."""
        return None

    def finalize(self) -> None:
        """Do nothing: a logged artifact is final."""

    def json_encode(self) -> dict[str, Any]:
        """Return the JSON object that represents the artifact in a run's config or summary."""
        return {
            "_type": "artifactVersion",
            "_version": "v0",
            "id": self.id,
            "version": self.source_version,
            "sequenceName": self.source_name.partition(":")[0],
            "usedAs": None,
        }

    def _open_collection(self, path: ArtifactPath) -> ArtifactCollection:
        return collection_at(self._client, path, self.type)

    def _send_aliases(self, document: str, aliases: set[str]) -> None:
        if not aliases:
            return
        place = {
            "entityName": self.entity,
            "projectName": self.project,
            "artifactCollectionName": self._path.collection,
        }
        given = [{**place, "alias": alias} for alias in sorted(aliases)]
        variables = {"input": {"artifactID": self.id, "aliases": given}}
        mutate(self._client, document, variables, is_idempotent=True)

    def _may_edit_source(self) -> bool:
        variables = {"entity": self.source_entity, "project": self.source_project}
        project = query(self._client, mutations.PROJECT_ACCESS, variables).get("project")
        return project is not None and not project.get("readOnly")

    def _sent_metadata(self) -> dict[str, Any]:
        """Decode the metadata that the backend sent; return {} if it is not a JSON object."""
        try:
            found = parse_json(self._attrs.get("metadata") or "{}")
        except (TypeError, ValueError):
            found = None
        if isinstance(found, dict):
            return found
        warn(
            f"The metadata of artifact {self.qualified_name!r} is no JSON object; it is shown as "
            "empty."
        )
        return {}

    def _metadata_text(self) -> str:
        """Return the JSON text to send as metadata: the backend's own text if nothing changed."""
        # Encoding again could change numbers, and would lose a text that is not a JSON object.
        sent = self._attrs.get("metadata") or "{}"
        if self._metadata is None or self._metadata == self._sent_metadata():
            return str(sent)
        return json.dumps(check_metadata(self._metadata))

    def _ttl_seconds(self) -> int | None:
        if not self._is_ttl_changed:
            return None
        if isinstance(self._new_ttl, ArtifactTTL):
            return INHERITED_SECONDS
        if self._new_ttl is None:
            return DISABLED_SECONDS
        # The protocol has no TTL of 0 seconds.
        return int(self._new_ttl.total_seconds()) or DISABLED_SECONDS

    def _warn_of_source(self, what: str) -> None:
        if self.is_link:
            warn(
                f"{self.qualified_name!r} is a link: editing its {what} also edits its source "
                f"{self.source_qualified_name!r} and all links to that."
            )


def aliases_in(attrs: dict[str, Any], path: ArtifactPath) -> list[str]:
    """Return the aliases that a version has in the collection of ``path``."""
    found = []
    for alias in attrs.get("aliases") or []:
        collection = alias.get("artifactCollection") or {}
        project = collection.get("project") or {}
        place = ((project.get("entity") or {}).get("name"), project.get("name"))
        if (*place, collection.get("name")) == (path.entity, path.project, path.collection):
            found.append(alias["alias"])
    return found


def _tag_inputs(tags: set[str]) -> list[dict[str, str]]:
    return [{"tagName": tag} for tag in sorted(tags)]
