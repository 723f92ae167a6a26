"""GraphQL: queries and mutations about artifacts, put into the schema field by field."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from graphql import GraphQLObjectType, GraphQLResolveInfo, GraphQLSchema

from runlake.server.graphql.artifact_fields import (
    artifact_fields,
    collection_connection,
    collection_fields,
    connection,
    manifest_fields,
    membership_fields,
    tag_list,
    type_fields,
)
from runlake.server.graphql.fields import Context, Fields
from runlake.server.runs.runs import Refused, make_id, parse_id

Resolve = Callable[[Context, Mapping[str, Any], Mapping[str, Any]], Any]


def add_artifacts(schema: GraphQLSchema) -> GraphQLSchema:
    """Resolve all that is about artifacts in a schema, and return it."""
    for type_name, fields in RESOLVERS.items():
        parent = schema.type_map[type_name]
        if not isinstance(parent, GraphQLObjectType):
            raise TypeError(f"{type_name} has no fields to resolve")
        for name, resolve in fields.items():
            parent.fields[name].resolve = _resolver(resolve)
    return schema


def _resolver(resolve: Resolve) -> Callable[..., Any]:
    def run(source: Any, info: GraphQLResolveInfo[Context], **arguments: Any) -> Any:
        # The protocol sends null for what is not given.
        given = arguments.get("input", arguments)
        named = {key: value for key, value in given.items() if value is not None}
        return resolve(info.context, source or {}, named)

    return run


def _project_id(project: Mapping[str, Any]) -> int:
    return int(project["internalId"])


def _by_name(context: Context, project: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    found = context.artifacts.by_name(_project_id(project), given["name"])
    return artifact_fields(context, found) if found else None


def _membership(context: Context, project: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    found = context.artifacts.by_name(_project_id(project), given["name"])
    return membership_fields(context, found) if found else None


def _type(context: Context, project: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    found = context.artifacts.collections.type(_project_id(project), given["name"])
    return type_fields(context, found) if found else None


def _types(context: Context, project: Mapping[str, Any], given: Mapping[str, Any]) -> Fields:
    rows = context.artifacts.collections.types(_project_id(project))
    return connection(rows, given, lambda row: {"node": type_fields(context, row)})


def _collection(context: Context, project: Mapping[str, Any], given: Mapping[str, Any]) -> Any:
    found = context.artifacts.collections.find(_project_id(project), given["name"])
    return collection_fields(context, found) if found else None


def _collections(context: Context, project: Mapping[str, Any], given: Mapping[str, Any]) -> Fields:
    return collection_connection(context, _project_id(project), None, given)


def _of_run(role: str) -> Resolve:
    def resolve(context: Context, run: Mapping[str, Any], given: Mapping[str, Any]) -> Fields:
        rows = context.artifacts.of_run(parse_id(run["id"], "Run") or 0, role)
        return connection(rows, given, lambda row: {"node": artifact_fields(context, row)})

    return resolve


def _artifact(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    return artifact_fields(context, context.artifacts.get(context.owner, given["id"]))


def _collection_by_id(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = context.artifacts.collections.get(context.owner, given["id"])
    return collection_fields(context, row)


def _client_id(context: Context, _: Any, given: Mapping[str, Any]) -> Fields | None:
    found = context.artifacts.by_client_id(context.owner, given["clientID"])
    return {"serverID": make_id("Artifact", found["id"])} if found else None


def _create(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    entity = context.entity(given["entityName"])
    project = context.runs.project(entity, given["projectName"])
    if project is None:
        raise Refused(f"project {entity}/{given['projectName']} not found")
    run = None
    if given.get("runName"):
        run = context.run(entity, given["projectName"], given["runName"])
    return {"artifact": artifact_fields(context, context.artifacts.create(project, run, given))}


def _create_manifest(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    version = _pending(context, given["artifactID"])
    manifest = context.artifacts.contents.add_manifest(
        version["id"], given["type"], given["digest"], _base(context, given)
    )
    return {"artifactManifest": manifest_fields(context, manifest)}


def _update_manifest(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    contents = context.artifacts.contents
    manifest_id = parse_id(given["artifactManifestID"], "ArtifactManifest")
    manifest = contents.manifest(manifest_id)
    _pending(context, make_id("Artifact", manifest["version_id"]))
    updated = contents.update_manifest(manifest["id"], given.get("digest"), _base(context, given))
    return {"artifactManifest": manifest_fields(context, updated)}


def _create_files(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    files = given["artifactFiles"]
    ids = {file["artifactID"] for file in files}
    versions = {artifact_id: _pending(context, artifact_id) for artifact_id in ids}
    expected = context.artifacts.contents.expect(
        (versions[file["artifactID"]], file["name"], file.get("md5")) for file in files
    )
    edges = []
    for file, (stored_as, url) in zip(files, expected, strict=True):
        node: Fields = {
            "storagePath": stored_as,
            "uploadUrl": url,
            "uploadHeaders": [],
            "uploadMultipartUrls": None,
            "artifact": artifact_fields(context, versions[file["artifactID"]]),
        }
        edges.append({"node": node})
    return {"files": {"edges": edges}}


def _commit(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = context.artifacts.get(context.owner, given["artifactID"])
    return {"artifact": artifact_fields(context, context.artifacts.commit(row))}


def _use(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = context.artifacts.get(context.owner, given["artifactID"])
    run = context.run(given["entityName"], given["projectName"], given["runName"])
    context.artifacts.use(row, run, given.get("usedAs"))
    return {"artifact": artifact_fields(context, row)}


def _update(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = context.artifacts.get_live(context.owner, given["artifactID"])
    return {"artifact": artifact_fields(context, context.artifacts.update(row, given))}


def _delete(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = context.artifacts.get_live(context.owner, given["artifactID"])
    deleted = context.artifacts.delete(row, delete_aliases=bool(given.get("deleteAliases")))
    return {"artifact": artifact_fields(context, deleted)}


def _link(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = _linkable(context, given)
    entity, name = context.entity(given.get("entityName")), given.get("artifactPortfolioName")
    if given.get("artifactPortfolioID"):
        portfolio = context.artifacts.collections.get(context.owner, given["artifactPortfolioID"])
        name = portfolio["name"]
    project = context.runs.project(entity, given.get("projectName") or row["project"])
    if project is None or not name:
        raise Refused(f"project {entity}/{given.get('projectName')} not found")
    aliases = [alias["alias"] for alias in given.get("aliases") or []]
    member = context.artifacts.link(row, project, name, aliases)
    return {
        "versionIndex": member["member_version"],
        "artifactMembership": membership_fields(context, member),
    }


def _linkable(context: Context, given: Mapping[str, Any]) -> sqlite3.Row:
    artifact_id = given.get("artifactID")
    if artifact_id is None:
        found = context.artifacts.by_client_id(context.owner, given.get("clientID") or "")
        artifact_id = make_id("Artifact", found["id"]) if found else ""
    row = context.artifacts.get_live(context.owner, artifact_id)
    if row["state"] != "COMMITTED":
        raise Refused(f"artifact {artifact_id!r} is not committed yet")
    return row


def _unlink(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = context.artifacts.get(context.owner, given["artifactID"])
    portfolio = context.artifacts.collections.get(context.owner, given["artifactPortfolioID"])
    context.artifacts.unlink(row, portfolio)
    return {"success": True}


def _add_aliases(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = context.artifacts.get_live(context.owner, given["artifactID"])
    context.artifacts.add_aliases(row, _aliases(context, row, given))
    return {"success": True}


def _delete_aliases(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = context.artifacts.get_live(context.owner, given["artifactID"])
    context.artifacts.delete_aliases(row, _aliases(context, row, given))
    return {"success": True}


def _aliases(context: Context, row: sqlite3.Row, given: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Return the collections and aliases that are meant, all of them with the version in it."""
    members = [member["member_of"] for member in context.artifacts.memberships(row["id"])]
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


def _update_collection(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    collections = context.artifacts.collections
    row = collections.get(context.owner, _collection_id(given))
    renamed = collections.rename(row, given.get("name"), given.get("description"))
    return {"artifactCollection": collection_fields(context, renamed)}


def _move_collection(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    collections = context.artifacts.collections
    row = collections.get(context.owner, _collection_id(given))
    moved = collections.change_type(row, given["destinationArtifactTypeName"])
    return {"artifactCollection": collection_fields(context, moved)}


def _delete_collection(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = context.artifacts.collections.get(context.owner, _collection_id(given))
    shown = {**collection_fields(context, row), "state": "DELETED"}
    context.artifacts.delete_collection(row)
    return {"artifactCollection": shown}


def _collection_id(given: Mapping[str, Any]) -> str:
    return str(given.get("artifactSequenceID") or given.get("artifactPortfolioID"))


def _tag_collection(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = _named_collection(context, given)
    names = [tag["tagName"] for tag in given["tags"]]
    context.artifacts.collections.add_tags("collection_id", row["id"], names)
    tags = tag_list(context, "collection_id", row["id"])
    return {"tags": [tag for tag in tags if tag["name"] in names]}


def _untag_collection(context: Context, _: Any, given: Mapping[str, Any]) -> Fields:
    row = _named_collection(context, given)
    names = [tag["tagName"] for tag in given["tags"]]
    context.artifacts.collections.delete_tags("collection_id", row["id"], names)
    return {"success": True}


def _named_collection(context: Context, given: Mapping[str, Any]) -> sqlite3.Row:
    entity, name = context.entity(given["entityName"]), given["artifactCollectionName"]
    project = context.runs.project(entity, given["projectName"])
    row = context.artifacts.collections.find(project["id"], name) if project else None
    if row is None:
        raise Refused(f"artifact collection {name!r} not found")
    return row


def _pending(context: Context, artifact_id: str) -> sqlite3.Row:
    row = context.artifacts.get(context.owner, artifact_id)
    if row["state"] != "PENDING":
        raise Refused(f"artifact {artifact_id!r} is {row['state'].lower()} and takes no more files")
    return row


def _base(context: Context, given: Mapping[str, Any]) -> int | None:
    if not given.get("baseArtifactID"):
        return None
    return int(context.artifacts.get(context.owner, given["baseArtifactID"])["id"])


RESOLVERS: dict[str, dict[str, Resolve]] = {
    "Query": {
        "artifact": _artifact,
        "artifactCollection": _collection_by_id,
        "clientIDMapping": _client_id,
    },
    "Project": {
        "artifact": _by_name,
        "artifactCollectionMembership": _membership,
        "artifactType": _type,
        "artifactTypes": _types,
        "artifactCollection": _collection,
        "artifactCollections": _collections,
    },
    "Run": {"outputArtifacts": _of_run("logged"), "inputArtifacts": _of_run("used")},
    "Mutation": {
        "createArtifact": _create,
        "createArtifactManifest": _create_manifest,
        "updateArtifactManifest": _update_manifest,
        "createArtifactFiles": _create_files,
        "commitArtifact": _commit,
        "useArtifact": _use,
        "updateArtifact": _update,
        "deleteArtifact": _delete,
        "addAliases": _add_aliases,
        "deleteAliases": _delete_aliases,
        "linkArtifact": _link,
        "unlinkArtifact": _unlink,
        "updateArtifactPortfolio": _update_collection,
        "deleteArtifactPortfolio": _delete_collection,
        "updateArtifactSequence": _update_collection,
        "moveArtifactSequence": _move_collection,
        "deleteArtifactSequence": _delete_collection,
        "createArtifactCollectionTagAssignments": _tag_collection,
        "deleteArtifactCollectionTagAssignments": _untag_collection,
    },
}
