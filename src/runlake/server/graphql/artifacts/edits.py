"""GraphQL mutations of artifacts: create, add files, commit, use, link, change and delete."""

from __future__ import annotations

import sqlite3

from runlake.server.graphql.artifacts.versions import artifact_file_id
from runlake.server.graphql.context import Context
from runlake.server.graphql.table import Fields, Given, Table
from runlake.server.refused import Refused
from runlake.server.store.ids import make_id, parse_id

TABLE = Table()


@TABLE.mutation("createArtifact")
def _create(context: Context, given: Given) -> Fields:
    entity = context.entity(given["entityName"])
    project = context.runs.project(entity, given["projectName"])
    if project is None:
        raise Refused(f"project {entity}/{given['projectName']} not found")
    run = None
    if given.get("runName"):
        run = context.run(entity, given["projectName"], given["runName"])
    return {"artifact": context.artifacts.create(project, run, given)}


@TABLE.mutation("createArtifactManifest")
def _create_manifest(context: Context, given: Given) -> Fields:
    version = _pending(context, given["artifactID"])
    manifest = context.artifacts.contents.add_manifest(
        version["id"], given["type"], given["digest"], _base(context, given)
    )
    return {"artifactManifest": manifest}


@TABLE.mutation("updateArtifactManifest")
def _update_manifest(context: Context, given: Given) -> Fields:
    contents = context.artifacts.contents
    manifest_id = parse_id(given["artifactManifestID"], "ArtifactManifest")
    manifest = contents.manifest(manifest_id)
    _pending(context, make_id("Artifact", manifest["version_id"]))
    updated = contents.update_manifest(manifest["id"], given.get("digest"), _base(context, given))
    return {"artifactManifest": updated}


@TABLE.mutation("createArtifactFiles")
def _create_files(context: Context, given: Given) -> Fields:
    files = given["artifactFiles"]
    ids = {file["artifactID"] for file in files}
    versions = {artifact_id: _pending(context, artifact_id) for artifact_id in ids}
    expected = context.artifacts.contents.expect(
        (versions[file["artifactID"]], file["name"], file.get("md5")) for file in files
    )
    edges = []
    for file, (stored_as, url) in zip(files, expected, strict=True):
        node: Fields = {
            "id": artifact_file_id(versions[file["artifactID"]], file["name"]),
            "name": file["name"],
            "displayName": file["name"],
            "storagePath": stored_as,
            "uploadUrl": url,
            "uploadHeaders": [],
            "artifact": versions[file["artifactID"]],
        }
        edges.append({"node": node})
    return {"files": {"edges": edges}}


@TABLE.mutation("commitArtifact")
def _commit(context: Context, given: Given) -> Fields:
    version = context.artifacts.get(context.owner, given["artifactID"])
    return {"artifact": context.artifacts.commit(version)}


@TABLE.mutation("useArtifact")
def _use(context: Context, given: Given) -> Fields:
    version = context.artifacts.get(context.owner, given["artifactID"])
    run = context.run(given["entityName"], given["projectName"], given["runName"])
    context.artifacts.use(version, run, given.get("usedAs"))
    return {"artifact": version}


@TABLE.mutation("updateArtifact")
def _update(context: Context, given: Given) -> Fields:
    version = context.artifacts.get_live(context.owner, given["artifactID"])
    return {"artifact": context.artifacts.update(version, given)}


@TABLE.mutation("deleteArtifact")
def _delete(context: Context, given: Given) -> Fields:
    version = context.artifacts.get_live(context.owner, given["artifactID"])
    delete_aliases = bool(given.get("deleteAliases"))
    return {"artifact": context.artifacts.delete(version, delete_aliases=delete_aliases)}


@TABLE.mutation("linkArtifact")
def _link(context: Context, given: Given) -> Fields:
    version = _linkable(context, given)
    entity, name = context.entity(given.get("entityName")), given.get("artifactPortfolioName")
    if given.get("artifactPortfolioID"):
        portfolio = context.artifacts.collections.get(context.owner, given["artifactPortfolioID"])
        name = portfolio["name"]
    project = context.runs.project(entity, given.get("projectName") or version["project"])
    if project is None or not name:
        raise Refused(f"project {entity}/{given.get('projectName')} not found")
    aliases = [alias["alias"] for alias in given.get("aliases") or []]
    member = context.artifacts.link(version, project, name, aliases)
    return {"versionIndex": member["member_version"], "artifactMembership": member}


def _linkable(context: Context, given: Given) -> sqlite3.Row:
    artifact_id = given.get("artifactID")
    if artifact_id is None:
        found = context.artifacts.by_client_id(context.owner, given.get("clientID") or "")
        artifact_id = make_id("Artifact", found["id"]) if found else ""
    version = context.artifacts.get_live(context.owner, artifact_id)
    if version["state"] != "COMMITTED":
        raise Refused(f"artifact {artifact_id!r} is not committed yet")
    return version


@TABLE.mutation("unlinkArtifact")
def _unlink(context: Context, given: Given) -> Fields:
    version = context.artifacts.get(context.owner, given["artifactID"])
    portfolio = context.artifacts.collections.get(context.owner, given["artifactPortfolioID"])
    context.artifacts.unlink(version, portfolio)
    return {"success": True, "artifactID": given["artifactID"]}


@TABLE.mutation("addAliases")
def _add_aliases(context: Context, given: Given) -> Fields:
    version = context.artifacts.get_live(context.owner, given["artifactID"])
    context.artifacts.add_aliases(version, _aliases(context, version, given))
    return {"success": True}


@TABLE.mutation("deleteAliases")
def _delete_aliases(context: Context, given: Given) -> Fields:
    version = context.artifacts.get_live(context.owner, given["artifactID"])
    context.artifacts.delete_aliases(version, _aliases(context, version, given))
    return {"success": True}


def _aliases(context: Context, version: sqlite3.Row, given: Given) -> list[tuple[int, str]]:
    """Return each given alias as a pair: the database id of its collection, and the alias.

    Raise `Refused` if the artifact version is not in one of these collections.
    """
    members = [member["member_of"] for member in context.artifacts.memberships(version["id"])]
    collections = filter(None, map(context.artifacts.collections.by_id, members))
    known = {
        (found["entity"], found["project"], found["name"]): found["id"] for found in collections
    }
    pairs = []
    for alias in given["aliases"]:
        place = (alias["entityName"], alias["projectName"], alias["artifactCollectionName"])
        if place not in known:
            raise Refused(f"the artifact is not in the collection {'/'.join(place)}")
        pairs.append((known[place], alias["alias"]))
    return pairs


def _pending(context: Context, artifact_id: str) -> sqlite3.Row:
    version = context.artifacts.get(context.owner, artifact_id)
    if version["state"] != "PENDING":
        raise Refused(
            f"artifact {artifact_id!r} is {version['state'].lower()} and takes no more files"
        )
    return version


def _base(context: Context, given: Given) -> int | None:
    if not given.get("baseArtifactID"):
        return None
    return int(context.artifacts.get(context.owner, given["baseArtifactID"])["id"])
