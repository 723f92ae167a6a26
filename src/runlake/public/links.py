"""Functions that return objects of other public classes; each imports its class when called.

A run returns its sweep, and a sweep returns its runs; an artifact returns its files, and a file
returns its artifact. Imports at the top of the modules would be circular. So the functions of this
module import other modules when they are called; only this module is exempt from import-linter's
check for circular imports.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runlake.backend.http.client import Client
from runlake.values import ArtifactPath

if TYPE_CHECKING:
    from runlake.cache.artifacts.manifest import Manifest
    from runlake.public.artifacts.artifacts import Artifact
    from runlake.public.artifacts.collection import ArtifactCollection
    from runlake.public.artifacts.lists import ArtifactFiles
    from runlake.public.artifacts.tables import ArtifactTable
    from runlake.public.run.run import Run
    from runlake.public.runs.runs import Runs


def run_at(client: Client, entity: str, project: str, run_id: str) -> Run:
    """Fetch a run with one request; config and summary are loaded at their first access."""
    from runlake.public.run.run import Run

    return Run(client, entity, project, run_id)


def runs_of(
    client: Client, entity: str, project: str, filters: Mapping[str, Any], **options: Any
) -> Runs:
    """List a project's runs that match a filter; ``options`` are further arguments of `Runs`."""
    from runlake.public.runs.runs import Runs

    return Runs(client, entity, project, filters, **options)


def collection_at(client: Client, path: ArtifactPath, type_name: str) -> ArtifactCollection:
    """Fetch the collection that the path of an artifact names, with one request."""
    from runlake.public.artifacts.collection import ArtifactCollection

    return ArtifactCollection(client, path.entity, path.project, path.collection, type_name)


def artifact_at(client: Client, path: ArtifactPath) -> Artifact:
    """Fetch the version of an artifact that a path names, with one request."""
    from runlake.public.artifacts.artifacts import fetch_artifact

    return fetch_artifact(client, path)


def member_at(client: Client, membership: dict[str, Any], path: ArtifactPath) -> Artifact:
    """Build an artifact from a GraphQL membership, which puts a version into a collection.

    ``path`` names this collection.
    """
    from runlake.public.artifacts.artifacts import from_membership

    return from_membership(client, membership, path)


def files_of(
    artifact: Artifact, names: list[str] | None, per_page: int, **options: Any
) -> ArtifactFiles:
    """List the files of an artifact; ``options`` are further arguments of `ArtifactFiles`."""
    from runlake.public.artifacts.lists import ArtifactFiles

    return ArtifactFiles(artifact.client, artifact, names, per_page, **options)


def object_in(artifact: Artifact, contents: Manifest, name: str) -> ArtifactTable | None:
    """Return the object that was added to an artifact under a name; None for an unknown name."""
    from runlake.public.artifacts.tables import open_object

    return open_object(artifact, contents, name)
