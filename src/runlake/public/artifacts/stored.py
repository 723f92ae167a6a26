"""Lists of artifact versions that pulls have stored, read from disk without requests."""

from __future__ import annotations

from collections.abc import Iterable

from runlake.backend.http.client import Client
from runlake.cache.artifacts.contents import artifact_place
from runlake.cache.artifacts.held import HeldVersion, iter_collections, iter_versions
from runlake.public.artifacts.artifacts import Artifact, stored_artifact
from runlake.values import ArtifactPath


def stored_collections(client: Client, entity: str, project: str) -> list[Artifact]:
    """Return the newest stored version of each collection of a project.

    Parameters
    ----------
    client : Client
        An offline client of the backend from which the versions were pulled.
    entity, project : str
        Path of the project.

    Returns
    -------
    list of Artifact
        One version per collection, ascending by type, then by the collection's name.
    """
    collections = iter_collections(artifact_place(client.settings), entity, project)
    newest = [stored_artifact(client, _newest_first(versions)[0]) for versions in collections]
    return sorted(newest, key=lambda one: (one.type, one.place.collection))


def stored_versions(client: Client, path: ArtifactPath) -> list[Artifact]:
    """Return the stored versions of a collection, newest first; empty if there are none.

    Parameters
    ----------
    client : Client
        An offline client of the backend from which the versions were pulled.
    path : ArtifactPath
        Path of the collection; the alias is ignored.
    """
    names = (path.entity, path.project, path.collection)
    versions = iter_versions(artifact_place(client.settings), names)
    return [stored_artifact(client, one) for one in _newest_first(versions)]


def _newest_first(versions: Iterable[HeldVersion]) -> list[HeldVersion]:
    return sorted(versions, key=lambda one: int(one.node["versionIndex"]), reverse=True)
