"""Functions that return an object of another public class, whose module they import late.

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
    """Return a run, as `Api.run` does."""
    from runlake.public.run.run import Run

    return Run(client, entity, project, run_id)


def runs_of(
    client: Client, entity: str, project: str, filters: Mapping[str, Any], **options: Any
) -> Runs:
    """Return the runs of a project that match a filter; the other arguments are those of `Runs`."""
    from runlake.public.runs.runs import Runs

    return Runs(client, entity, project, filters, **options)


def collection_at(client: Client, path: ArtifactPath, type_name: str) -> ArtifactCollection:
    """Return the collection in the path of an artifact; one request."""
    from runlake.public.artifacts.collection import ArtifactCollection

    return ArtifactCollection(client, path.entity, path.project, path.collection, type_name)


def artifact_at(client: Client, path: ArtifactPath) -> Artifact:
    """Return the version of an artifact at a path; one request."""
    from runlake.public.artifacts.artifacts import fetch_artifact

    return fetch_artifact(client, path)


def member_at(client: Client, membership: dict[str, Any], path: ArtifactPath) -> Artifact:
    """Return an artifact as a member of the collection in a path."""
    from runlake.public.artifacts.artifacts import from_membership

    return from_membership(client, membership, path)


def files_of(
    artifact: Artifact, names: list[str] | None, per_page: int, **options: Any
) -> ArtifactFiles:
    """Return the files of an artifact; the other arguments are those of `ArtifactFiles`."""
    from runlake.public.artifacts.lists import ArtifactFiles

    return ArtifactFiles(artifact.client, artifact, names, per_page, **options)


def object_in(artifact: Artifact, contents: Manifest, name: str) -> ArtifactTable | None:
    """Return the object that was added to an artifact under a name; None if there is none."""
    from runlake.public.artifacts.tables import open_object

    return open_object(artifact, contents, name)
