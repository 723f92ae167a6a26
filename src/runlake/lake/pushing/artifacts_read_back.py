"""Compare a run's artifacts at a backend with the artifacts in the lake that were sent there."""

from __future__ import annotations

from collections.abc import Iterator

from runlake.backend.http.client import Client
from runlake.cache.artifacts.held import LATEST, LOGGED, USED, HeldVersion
from runlake.cache.artifacts.manifest import fetch_manifest
from runlake.cache.artifacts.references import parse_artifact_reference
from runlake.lake.pulling.artifacts import list_artifacts
from runlake.lake.pushing.artifacts import RunArtifacts, metadata_of, tags_of
from runlake.values import RunPath
from runlake.values.same_json import is_same


def artifact_differences(client: Client, artifacts: RunArtifacts, there: RunPath) -> Iterator[str]:
    """Yield the differences between a run's artifacts at a backend and in the lake.

    A push cannot choose the number of a version. So another number is not yielded as a difference,
    but added to ``artifacts.lost``.

    Parameters
    ----------
    client : Client
        The backend.
    artifacts : RunArtifacts
        The artifacts that were sent.
    there : RunPath
        Path of the run at the backend.
    """
    for mode, versions in ((LOGGED, artifacts.logged), (USED, artifacts.used)):
        sent = [held for held in versions if held.id in artifacts.ids]
        if not sent:
            continue
        nodes, _ = list_artifacts(client, there, mode)
        by_id = {str(node["id"]): HeldVersion(node) for node in nodes}
        for held in sent:
            name = f"{held.path.collection}:{held.path.alias}"
            found = by_id.get(artifacts.ids[held.id])
            if found is None:
                yield f"artifact {name!r} is not among those it {mode}"
            elif mode == LOGGED:
                yield from (f"artifact {name!r} has {one}" for one in _differing(held, found))
                yield from _differing_files(client, artifacts, held, found)
                if found.path.alias != held.path.alias:
                    artifacts.lost.append(
                        f"the number of artifact {name!r}, which is {found.path.alias} there"
                    )


def _differing(held: HeldVersion, found: HeldVersion) -> Iterator[str]:
    here, there = held.node, found.node
    if here["digest"] != there["digest"]:
        yield "another digest"
    if here["artifactType"]["name"] != there["artifactType"]["name"]:
        yield f"the type {there['artifactType']['name']!r}"
    if (here["description"] or None) != (there["description"] or None):
        yield f"the description {there['description']!r}"
    if not is_same(metadata_of(here), metadata_of(there)):
        yield "other metadata"
    if sorted(tags_of(here)) != sorted(tags_of(there)):
        yield f"the tags {tags_of(there)!r}"
    # A backend gives "latest" to the last version that it gets, whatever is requested.
    expected, aliases = set(held.aliases), set(found.aliases)
    if expected - aliases or aliases - expected - {LATEST}:
        yield f"the aliases {sorted(aliases)!r}, not {sorted(expected)!r}"


def _differing_files(
    client: Client, artifacts: RunArtifacts, held: HeldVersion, found: HeldVersion
) -> Iterator[str]:
    name = f"{held.path.collection}:{held.path.alias}"
    here = artifacts.manifest(held).entries
    there = fetch_manifest(client, found.id, f"'{found.path}'").entries
    if here.keys() != there.keys():
        yield f"artifact {name!r} has other files"
        return
    for path, entry in here.items():
        other = there[path]
        # A reference to an artifact names the artifact's id, which differs at the backend.
        is_same_target = entry.ref == other.ref or (
            parse_artifact_reference(entry.ref) is not None
            and parse_artifact_reference(other.ref) is not None
        )
        if (
            entry.digest != other.digest
            or (entry.size or 0) != (other.size or 0)
            or dict(entry.extra) != dict(other.extra)
            or not is_same_target
        ):
            yield f"the file {path!r} of artifact {name!r} differs"
            return
