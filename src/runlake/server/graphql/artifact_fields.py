"""What GraphQL shows of artifacts, their collections and types."""

from __future__ import annotations

import base64
import json
import mimetypes
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runlake.server.artifacts.filters import collection_filter
from runlake.server.graphql.fields import (
    Context,
    Fields,
    project_fields,
    run_fields,
    timestamp,
)
from runlake.server.runs.runs import Refused, make_id

DEFAULT_PAGE = 50
NEVER = -2
FILTERED = frozenset({"name", "description", "type"})
STATES = {"PENDING", "COMMITTED", "DELETED"}


def artifact_fields(context: Context, row: sqlite3.Row) -> Fields:
    """Return the fields of ``Artifact``."""
    store = context.artifacts
    version_id = row["id"]

    def aliases(_: Any) -> list[Fields]:
        return _alias_list(context, store.aliases(version_id))

    def collection(_: Any) -> Fields | None:
        return _collection_by_number(context, row["collection_id"])

    def artifact_type(_: Any) -> Fields | None:
        found = store.collections.type(row["project_id"], row["type"])
        return type_fields(context, found) if found else None

    return {
        "__typename": "Artifact",
        "id": make_id("Artifact", version_id),
        "state": row["state"],
        "digest": row["digest"],
        "digestAlgorithm": row["digest_algorithm"],
        "description": row["description"],
        "metadata": row["metadata"],
        "versionIndex": row["version"],
        "commitHash": row["commit_hash"],
        "size": row["n_bytes"],
        "fileCount": row["n_files"],
        "createdAt": timestamp(row["created_at"]),
        "updatedAt": timestamp(row["updated_at"]) if row["updated_at"] else None,
        "historyStep": row["history_step"],
        "ttlDurationSeconds": NEVER if row["ttl_seconds"] is None else row["ttl_seconds"],
        "ttlIsInherited": row["ttl_seconds"] is None,
        "tags": lambda _: tag_list(context, "version_id", version_id),
        "aliases": aliases,
        "artifactType": artifact_type,
        "artifactSequence": collection,
        "artifactMemberships": lambda _: {
            "edges": [
                {"node": membership_fields(context, member)}
                for member in store.memberships(version_id)
            ]
        },
        **_lineage_fields(context, row),
        "currentManifest": lambda _: _manifest_fields(context, row),
    }


def _lineage_fields(context: Context, row: sqlite3.Row) -> Fields:
    def created_by(_: Any) -> Fields | None:
        run = context.runs.get(row["run_id"]) if row["run_id"] is not None else None
        return {"__typename": "Run", **run_fields(context, run)} if run else None

    def used_by(_: Any) -> Fields:
        runs = [context.runs.get(run_id) for run_id in context.artifacts.users(row["id"])]
        edges = [
            {"node": run_fields(context, run), "cursor": str(at)}
            for at, run in enumerate(filter(None, runs), start=1)
        ]
        info = {"endCursor": None, "hasNextPage": False}
        return {"edges": edges, "pageInfo": info, "totalCount": len(edges)}

    return {"createdBy": created_by, "usedBy": used_by}


def _manifest_fields(context: Context, row: sqlite3.Row) -> Fields | None:
    if row["manifest_id"] is None:
        return None
    return manifest_fields(context, context.artifacts.contents.manifest(row["manifest_id"]))


def manifest_fields(context: Context, manifest: sqlite3.Row) -> Fields:
    """Return the fields of ``ArtifactManifest``."""
    url = context.storage.sign("GET", manifest["object"])
    stored = context.storage.find(manifest["object"])
    file = {
        "id": make_id("ArtifactManifestFile", manifest["id"]),
        "name": "wandb_manifest.json",
        "displayName": "wandb_manifest.json",
        "url": url,
        "directUrl": url,
        "uploadUrl": lambda _: context.artifacts.contents.manifest_upload_url(manifest),
        "uploadHeaders": [],
        "sizeBytes": stored.n_bytes if stored else 0,
        "mimetype": "application/json",
        "md5": manifest["digest"],
        "digest": manifest["digest"],
    }
    return {
        "id": make_id("ArtifactManifest", manifest["id"]),
        "digest": manifest["digest"],
        "file": file,
    }


def type_fields(context: Context, row: sqlite3.Row) -> Fields:
    """Return the fields of ``ArtifactType``."""
    collections = context.artifacts.collections

    def collection(_: Any, **arguments: Any) -> Fields | None:
        found = collections.find(row["project_id"], arguments["name"])
        is_ours = found is not None and found["type_id"] == row["id"]
        return collection_fields(context, found) if found is not None and is_ours else None

    return {
        "__typename": "ArtifactType",
        "id": make_id("ArtifactType", row["id"]),
        "name": row["name"],
        "description": None,
        "createdAt": timestamp(row["created_at"]),
        "artifactCollection": collection,
        "artifactCollections": lambda _, **arguments: collection_connection(
            context, row["project_id"], row["id"], arguments
        ),
    }


def collection_connection(
    context: Context, project_id: int, type_id: int | None, arguments: Mapping[str, Any]
) -> Fields:
    """Return a page of the collections of a project, or of one type in it."""
    rows = context.artifacts.collections.in_project(project_id, type_id, arguments.get("order"))
    is_wanted = collection_filter(arguments.get("filters"), FILTERED)
    rows = [row for row in rows if is_wanted({name: row[name] for name in FILTERED})]
    return connection(rows, arguments, lambda row: {"node": collection_fields(context, row)})


def collection_fields(context: Context, row: sqlite3.Row) -> Fields:
    """Return the fields of ``ArtifactSequence`` or ``ArtifactPortfolio``."""
    store = context.artifacts

    def project(_: Any) -> Fields | None:
        found = context.runs.project(row["entity"], row["project"])
        return project_fields(context, found) if found else None

    def default_type(_: Any) -> Fields | None:
        found = store.collections.type(row["project_id"], row["type"])
        return type_fields(context, found) if found else None

    def aliases(_: Any, **arguments: Any) -> Fields:
        found = store.collections.aliases(row["id"])
        return connection(found, arguments, lambda alias: {"node": _alias_fields(alias)})

    def membership(_: Any, **arguments: Any) -> Fields | None:
        found = store.by_alias(row, arguments["aliasName"])
        return membership_fields(context, found) if found else None

    def artifacts(_: Any, **arguments: Any) -> Fields:
        wanted = _equalities(arguments.get("filters"), {"state": str})
        state = wanted.get("state", "COMMITTED")
        if state not in STATES:
            raise Refused(f"artifacts have no state {state!r}")
        found = store.in_collection(row, state, arguments.get("order"))
        return connection(found, arguments, lambda one: _versioned_edge(context, one))

    def latest(_: Any) -> Fields | None:
        found = store.latest(row["id"])
        return artifact_fields(context, found) if found else None

    return {
        "__typename": row["kind"],
        "id": make_id(row["kind"], row["id"]),
        "name": row["name"],
        "description": row["description"],
        "createdAt": timestamp(row["created_at"]),
        "updatedAt": timestamp(row["updated_at"]) if row["updated_at"] else None,
        "state": "READY",
        "project": project,
        "defaultArtifactType": default_type,
        "tags": lambda _: {
            "edges": [{"node": tag} for tag in tag_list(context, "collection_id", row["id"])]
        },
        "aliases": aliases,
        "artifactMembership": membership,
        "artifacts": artifacts,
        "latestArtifact": latest,
        "digestAlgorithm": "MANIFEST_MD5",
    }


def membership_fields(context: Context, row: sqlite3.Row) -> Fields:
    """Return the fields of ``ArtifactCollectionMembership``: a version in a collection."""
    store = context.artifacts

    def files(_: Any, **arguments: Any) -> Fields:
        start, limit = _window(arguments)
        rows, total = store.contents.files(row["id"], arguments.get("names"), start, limit)
        return _connection_of(rows, start, total, lambda file: _file_edge(context, row, file))

    return {
        "__typename": "ArtifactCollectionMembership",
        "id": make_id("ArtifactCollectionMembership", row["id"]),
        "versionIndex": row["member_version"],
        "createdAt": timestamp(row["joined_at"]),
        "aliases": lambda _: _alias_list(context, store.aliases(row["id"], row["member_of"])),
        "artifactCollection": lambda _: _collection_by_number(context, row["member_of"]),
        "artifact": artifact_fields(context, row),
        "files": files,
    }


def _collection_by_number(context: Context, collection_id: int) -> Fields | None:
    found = context.artifacts.collections.by_id(collection_id)
    return collection_fields(context, found) if found else None


def tag_list(context: Context, column: str, owner_id: int) -> list[Fields]:
    """Return ``Tag``s of a version or a collection; the column says which."""
    tags = context.artifacts.collections.tags(column, owner_id)
    return [{"id": make_id("Tag", tag["id"]), "name": tag["name"]} for tag in tags]


def connection(
    rows: list[sqlite3.Row], arguments: Mapping[str, Any], edge: Callable[[sqlite3.Row], Fields]
) -> Fields:
    """Return the page of rows that ``after`` and ``first`` ask for."""
    start, limit = _window(arguments)
    return _connection_of(rows[start : start + limit], start, len(rows), edge)


def _connection_of(
    page: Iterable[sqlite3.Row], start: int, total: int, edge: Callable[[sqlite3.Row], Fields]
) -> Fields:
    edges = [{**edge(row), "cursor": str(at)} for at, row in enumerate(page, start=start + 1)]
    info = {
        "__typename": "PageInfo",
        "endCursor": edges[-1]["cursor"] if edges else None,
        "hasNextPage": start + len(edges) < total,
    }
    return {"edges": edges, "pageInfo": info, "totalCount": total}


def _window(arguments: Mapping[str, Any]) -> tuple[int, int]:
    after = arguments.get("after") or "0"
    if not after.isdecimal():
        raise Refused(f"{after!r} is no cursor of this backend")
    first = arguments.get("first")
    return int(after), DEFAULT_PAGE if first is None else max(0, first)


def _equalities(filters: str | None, known: Mapping[str, type]) -> dict[str, Any]:
    try:
        wanted = json.loads(filters or "{}")
    except ValueError:
        raise Refused(f"the filters are no JSON: {filters!r}") from None
    for field, value in (wanted or {}).items():
        if field not in known or not isinstance(value, known[field]):
            raise Refused(f"artifacts cannot be filtered by {field!r}: {value!r}")
    return dict(wanted or {})


def _versioned_edge(context: Context, row: sqlite3.Row) -> Fields:
    return {"version": f"v{row['member_version']}", "node": artifact_fields(context, row)}


def _alias_fields(row: sqlite3.Row) -> Fields:
    return {"id": make_id("ArtifactAlias", row["id"]), "alias": row["alias"]}


def _alias_list(context: Context, rows: list[sqlite3.Row]) -> list[Fields]:
    places = {row["collection_id"] for row in rows}
    collections = {place: _collection_by_number(context, place) for place in places}
    return [
        {**_alias_fields(row), "artifactCollection": collections[row["collection_id"]]}
        for row in rows
    ]


def _file_edge(context: Context, version: sqlite3.Row, row: sqlite3.Row) -> Fields:
    # A reference has no bytes here: its URL is what it refers to.
    url = context.storage.sign("GET", row["object"]) if row["object"] else row["ref"]
    is_stored = row["object"] is not None
    digest = base64.b64encode(bytes.fromhex(row["digest"])).decode() if is_stored else row["digest"]
    named = base64.b64encode(f"ArtifactFile:{version['id']}:{row['name']}".encode()).decode()
    node = {
        "id": named,
        "name": row["name"],
        "displayName": row["name"],
        "url": url,
        "directUrl": url,
        "sizeBytes": row["n_bytes"],
        "storagePath": row["object"],
        "mimetype": mimetypes.guess_type(row["name"])[0] or "application/octet-stream",
        "updatedAt": timestamp(version["created_at"]),
        "md5": digest if is_stored else None,
        "digest": digest,
        "uploadHeaders": [],
    }
    return {"node": node}
