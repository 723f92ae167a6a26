"""GraphQL fields of artifacts, their manifests and files, and the runs that logged or used them."""

from __future__ import annotations

import base64
import mimetypes
import sqlite3

from runlake.server.graphql.context import Context
from runlake.server.graphql.files import UNKNOWN_TYPE
from runlake.server.graphql.pages import numbered, numbered_page, time_in, timestamp, window
from runlake.server.graphql.table import Fields, Given, Table, column, identity
from runlake.server.store.ids import make_id

TABLE = Table()
# The SDK sends and reads this number for a version that never expires.
NEVER = -2
# Only runs are creators here; `createdBy` is null if there is no run, or the run was deleted.
TABLE.names_types_of("ArtifactCreator", lambda _: "Run")
TABLE.shows(
    "Artifact",
    {
        "id": lambda version: make_id("Artifact", version["id"]),
        "state": column("state"),
        "digest": column("digest"),
        "digestAlgorithm": column("digest_algorithm"),
        "description": column("description"),
        "metadata": column("metadata"),
        "versionIndex": column("version"),
        "commitHash": column("commit_hash"),
        "size": column("n_bytes"),
        "fileCount": column("n_files"),
        "createdAt": time_in("created_at"),
        "updatedAt": time_in("updated_at"),
        "historyStep": column("history_step"),
        "ttlDurationSeconds": lambda version: (
            NEVER if version["ttl_seconds"] is None else version["ttl_seconds"]
        ),
        "ttlIsInherited": lambda version: version["ttl_seconds"] is None,
    },
)
# A membership is the row of a version, with columns for a collection and the version's number in
# this collection.
TABLE.shows(
    "ArtifactCollectionMembership",
    {
        "id": lambda member: make_id("ArtifactCollectionMembership", member["id"]),
        "versionIndex": column("member_version"),
        "createdAt": time_in("joined_at"),
        "artifact": identity,
    },
)
TABLE.shows(
    "VersionedArtifactEdge",
    {
        "version": lambda edge: f"v{edge['node']['member_version']}",
        "node": column("node"),
        "cursor": column("cursor"),
    },
)


@TABLE.resolves("Query", "artifact")
def _artifact(context: Context, _: object, given: Given) -> sqlite3.Row:
    return context.artifacts.get(context.owner, given["id"])


@TABLE.resolves("Query", "clientIDMapping")
def _client_id(context: Context, _: object, given: Given) -> Fields | None:
    found = context.artifacts.by_client_id(context.owner, given["clientID"])
    return {"serverID": make_id("Artifact", found["id"])} if found else None


@TABLE.resolves("Project", "artifact", "artifactCollectionMembership")
def _by_name(context: Context, project: sqlite3.Row, given: Given) -> sqlite3.Row | None:
    return context.artifacts.by_name(project["id"], given["name"])


@TABLE.resolves("Run", "outputArtifacts")
def _logged(context: Context, run: sqlite3.Row, given: Given) -> Fields:
    return numbered(context.artifacts.of_run(run["id"], "logged"), given)


@TABLE.resolves("Run", "inputArtifacts")
def _used(context: Context, run: sqlite3.Row, given: Given) -> Fields:
    return numbered(context.artifacts.of_run(run["id"], "used"), given)


@TABLE.resolves("Artifact", "tags")
def _tags(context: Context, version: sqlite3.Row, _: Given) -> list[sqlite3.Row]:
    return context.artifacts.collections.tags("version_id", version["id"])


@TABLE.resolves("Artifact", "aliases")
def _aliases(context: Context, version: sqlite3.Row, _: Given) -> list[sqlite3.Row]:
    return context.artifacts.aliases(version["id"])


@TABLE.resolves("Artifact", "artifactType")
def _type(context: Context, version: sqlite3.Row, _: Given) -> sqlite3.Row | None:
    return context.artifacts.collections.type(version["project_id"], version["type"])


@TABLE.resolves("Artifact", "artifactSequence")
def _sequence(context: Context, version: sqlite3.Row, _: Given) -> sqlite3.Row | None:
    return context.artifacts.collections.by_id(version["collection_id"])


@TABLE.resolves("Artifact", "artifactMemberships")
def _memberships(context: Context, version: sqlite3.Row, _: Given) -> Fields:
    return {"edges": [{"node": member} for member in context.artifacts.memberships(version["id"])]}


@TABLE.resolves("Artifact", "createdBy")
def _created_by(context: Context, version: sqlite3.Row, _: Given) -> sqlite3.Row | None:
    return context.runs.get(version["run_id"]) if version["run_id"] is not None else None


@TABLE.resolves("Artifact", "usedBy")
def _used_by(context: Context, version: sqlite3.Row, _: Given) -> Fields:
    found = map(context.runs.get, context.artifacts.users(version["id"]))
    edges = [
        {"node": run, "cursor": str(at)} for at, run in enumerate(filter(None, found), start=1)
    ]
    return {"edges": edges, "pageInfo": {"hasNextPage": False}}


@TABLE.resolves("Artifact", "currentManifest")
def _manifest(context: Context, version: sqlite3.Row, _: Given) -> sqlite3.Row | None:
    if version["manifest_id"] is None:
        return None
    return context.artifacts.contents.manifest(version["manifest_id"])


TABLE.shows(
    "ArtifactManifest",
    {
        "id": lambda manifest: make_id("ArtifactManifest", manifest["id"]),
        "digest": column("digest"),
    },
)


@TABLE.resolves("ArtifactManifest", "file")
def _manifest_file(context: Context, manifest: sqlite3.Row, _: Given) -> Fields:
    url = context.storage.sign("GET", manifest["object"])
    stored = context.storage.find(manifest["object"])
    return {
        "id": make_id("ArtifactManifestFile", manifest["id"]),
        "name": "wandb_manifest.json",
        "displayName": "wandb_manifest.json",
        "url": url,
        "directUrl": url,
        "uploadUrl": context.artifacts.contents.manifest_upload_url(manifest),
        "uploadHeaders": [],
        "sizeBytes": stored.n_bytes if stored else 0,
        "mimetype": "application/json",
        "md5": manifest["digest"],
        "digest": manifest["digest"],
    }


@TABLE.resolves("ArtifactCollectionMembership", "aliases")
def _member_aliases(context: Context, member: sqlite3.Row, _: Given) -> list[sqlite3.Row]:
    return context.artifacts.aliases(member["id"], member["member_of"])


@TABLE.resolves("ArtifactCollectionMembership", "artifactCollection")
def _member_of(context: Context, member: sqlite3.Row, _: Given) -> sqlite3.Row | None:
    return context.artifacts.collections.by_id(member["member_of"])


@TABLE.resolves("Artifact", "files")
@TABLE.resolves("ArtifactCollectionMembership", "files")
def _files(context: Context, member: sqlite3.Row, given: Given) -> Fields:
    start, limit = window(given)
    contents = context.artifacts.contents
    rows, total = contents.files(member["id"], given.get("names"), start, limit)
    return numbered_page(rows, start, total, lambda row: _file_fields(context, member, row))


def artifact_file_id(version: sqlite3.Row, name: str) -> str:
    """Return the ID that the protocol uses for a file of an artifact."""
    return base64.b64encode(f"ArtifactFile:{version['id']}:{name}".encode()).decode()


def _file_fields(context: Context, version: sqlite3.Row, row: sqlite3.Row) -> Fields:
    # The content of a reference is not stored here: its URL is the referenced URL.
    url = context.storage.sign("GET", row["object"]) if row["object"] else row["ref"]
    is_stored = row["object"] is not None
    digest = base64.b64encode(bytes.fromhex(row["digest"])).decode() if is_stored else row["digest"]
    return {
        "id": artifact_file_id(version, row["name"]),
        "name": row["name"],
        "displayName": row["name"],
        "url": url,
        "directUrl": url,
        "sizeBytes": row["n_bytes"],
        "storagePath": row["object"],
        "mimetype": mimetypes.guess_type(row["name"])[0] or UNKNOWN_TYPE,
        "updatedAt": timestamp(version["created_at"]),
        "md5": digest if is_stored else None,
        "digest": digest,
        "uploadHeaders": [],
    }
