"""GraphQL fields and mutations of artifact types, collections, aliases and tags."""

from __future__ import annotations

import json
import sqlite3

from runlake.server.artifacts.collections import PORTFOLIO, SEQUENCE
from runlake.server.artifacts.filters import collection_filter
from runlake.server.graphql.context import Context
from runlake.server.graphql.pages import numbered, time_in
from runlake.server.graphql.table import Fields, Given, Table, column, constant
from runlake.server.refused import Refused
from runlake.server.store.ids import make_id

TABLE = Table()
FILTERED = frozenset({"name", "description", "type"})
STATES = {"PENDING", "COMMITTED", "DELETED"}
BOTH = (SEQUENCE, PORTFOLIO)
TABLE.names_types_of("ArtifactCollection", column("kind"))
TABLE.shows(
    BOTH,
    {
        "id": lambda collection: make_id(collection["kind"], collection["id"]),
        "name": column("name"),
        "description": column("description"),
        "createdAt": time_in("created_at"),
        "updatedAt": time_in("updated_at"),
        "state": column("state"),
    },
)
TABLE.shows(SEQUENCE, {"digestAlgorithm": constant("MANIFEST_MD5")})
TABLE.shows(
    "ArtifactType",
    {
        "id": lambda artifact_type: make_id("ArtifactType", artifact_type["id"]),
        "name": column("name"),
        "description": constant(None),
        "createdAt": time_in("created_at"),
    },
)
TABLE.shows(
    "ArtifactAlias",
    {"id": lambda alias: make_id("ArtifactAlias", alias["id"]), "alias": column("alias")},
)
TABLE.shows(
    "Tag",
    {
        "id": lambda tag: make_id("Tag", tag["id"]),
        "name": column("name"),
        "tagCategoryName": constant(None),
    },
)


@TABLE.resolves("Query", "artifactCollection")
def _by_id(context: Context, _: object, given: Given) -> sqlite3.Row:
    return context.artifacts.collections.get(context.owner, given["id"])


@TABLE.resolves("Project", "artifactType")
def _type(context: Context, project: sqlite3.Row, given: Given) -> sqlite3.Row | None:
    return context.artifacts.collections.type(project["id"], given["name"])


@TABLE.resolves("Project", "artifactTypes")
def _types(context: Context, project: sqlite3.Row, given: Given) -> Fields:
    return numbered(context.artifacts.collections.types(project["id"]), given)


@TABLE.resolves("Project", "artifactCollection")
def _by_name(context: Context, project: sqlite3.Row, given: Given) -> sqlite3.Row | None:
    return context.artifacts.collections.find(project["id"], given["name"])


@TABLE.resolves("Project", "artifactCollections")
def _in_project(context: Context, project: sqlite3.Row, given: Given) -> Fields:
    return _page(context, project["id"], None, given)


@TABLE.resolves("ArtifactType", "artifactCollection")
def _of_type_by_name(
    context: Context, artifact_type: sqlite3.Row, given: Given
) -> sqlite3.Row | None:
    found = context.artifacts.collections.find(artifact_type["project_id"], given["name"])
    return found if found is not None and found["type_id"] == artifact_type["id"] else None


@TABLE.resolves("ArtifactType", "artifactSequence")
def _sequence_of_type_by_name(
    context: Context, artifact_type: sqlite3.Row, given: Given
) -> sqlite3.Row | None:
    found = _of_type_by_name(context, artifact_type, given)
    return found if found is not None and found["kind"] == SEQUENCE else None


@TABLE.resolves("ArtifactType", "artifact")
def _version_of_type_by_name(
    context: Context, artifact_type: sqlite3.Row, given: Given
) -> sqlite3.Row | None:
    found = context.artifacts.by_name(artifact_type["project_id"], given["name"])
    return found if found is not None and found["type"] == artifact_type["name"] else None


@TABLE.resolves("ArtifactType", "artifactCollections")
def _of_type(context: Context, artifact_type: sqlite3.Row, given: Given) -> Fields:
    return _page(context, artifact_type["project_id"], artifact_type["id"], given)


def _page(context: Context, project_id: int, type_id: int | None, given: Given) -> Fields:
    rows = context.artifacts.collections.in_project(project_id, type_id, given.get("order"))
    is_wanted = collection_filter(given.get("filters"), FILTERED)
    rows = [row for row in rows if is_wanted({name: row[name] for name in FILTERED})]
    return numbered(rows, given)


@TABLE.resolves(BOTH, "project")
def _project(context: Context, collection: sqlite3.Row, _: Given) -> sqlite3.Row | None:
    return context.runs.project(collection["entity"], collection["project"])


@TABLE.resolves(BOTH, "defaultArtifactType")
def _default_type(context: Context, collection: sqlite3.Row, _: Given) -> sqlite3.Row | None:
    return context.artifacts.collections.type(collection["project_id"], collection["type"])


@TABLE.resolves(BOTH, "tags")
def _tags(context: Context, collection: sqlite3.Row, _: Given) -> Fields:
    tags = context.artifacts.collections.tags("collection_id", collection["id"])
    return {"edges": [{"node": tag} for tag in tags]}


@TABLE.resolves(BOTH, "aliases")
def _aliases(context: Context, collection: sqlite3.Row, given: Given) -> Fields:
    return numbered(context.artifacts.collections.aliases(collection["id"]), given)


@TABLE.resolves("ArtifactAlias", "artifactCollection")
def _collection_of_alias(context: Context, alias: sqlite3.Row, _: Given) -> sqlite3.Row | None:
    return context.artifacts.collections.by_id(alias["collection_id"])


@TABLE.resolves(BOTH, "artifactMembership")
def _membership(context: Context, collection: sqlite3.Row, given: Given) -> sqlite3.Row | None:
    return context.artifacts.by_alias(collection, given["aliasName"])


@TABLE.resolves(BOTH, "artifacts")
def _artifacts(context: Context, collection: sqlite3.Row, given: Given) -> Fields:
    state = _wanted_state(given.get("filters"))
    return numbered(context.artifacts.in_collection(collection, state, given.get("order")), given)


@TABLE.resolves(SEQUENCE, "latestArtifact")
def _latest(context: Context, collection: sqlite3.Row, _: Given) -> sqlite3.Row | None:
    return context.artifacts.latest(collection["id"])


def _wanted_state(filters: str | None) -> str:
    try:
        wanted = json.loads(filters or "{}") or {}
    except (ValueError, RecursionError):
        wanted = None
    if not isinstance(wanted, dict):
        raise Refused(f"the filters are no JSON object: {filters!r:.100}")
    for field, value in wanted.items():
        if field != "state" or not isinstance(value, str):
            raise Refused(f"artifacts cannot be filtered by {field!r}: {value!r:.100}")
    state: str = wanted.get("state", "COMMITTED")
    if state not in STATES:
        raise Refused(f"artifacts have no state {state!r}")
    return state


@TABLE.mutation("updateArtifactPortfolio", "updateArtifactSequence")
def _update(context: Context, given: Given) -> Fields:
    renamed = context.artifacts.collections.rename(
        _own(context, given), given.get("name"), given.get("description")
    )
    return {"artifactCollection": renamed}


@TABLE.mutation("moveArtifactSequence")
def _move(context: Context, given: Given) -> Fields:
    moved = context.artifacts.collections.change_type(
        _own(context, given), given["destinationArtifactTypeName"]
    )
    return {"artifactCollection": moved}


@TABLE.mutation("deleteArtifactPortfolio", "deleteArtifactSequence")
def _delete(context: Context, given: Given) -> Fields:
    collection = _own(context, given)
    context.artifacts.delete_collection(collection)
    return {"artifactCollection": {**dict(collection), "state": "DELETED"}}


def _own(context: Context, given: Given) -> sqlite3.Row:
    collection_id = given.get("artifactSequenceID") or given.get("artifactPortfolioID")
    return context.artifacts.collections.get(context.owner, str(collection_id))


@TABLE.mutation("createArtifactCollectionTagAssignments")
def _add_tags(context: Context, given: Given) -> Fields:
    collections, collection = context.artifacts.collections, _named(context, given)
    names = [tag["tagName"] for tag in given["tags"]]
    collections.add_tags("collection_id", collection["id"], names)
    tags = collections.tags("collection_id", collection["id"])
    return {"tags": [tag for tag in tags if tag["name"] in names]}


@TABLE.mutation("deleteArtifactCollectionTagAssignments")
def _delete_tags(context: Context, given: Given) -> Fields:
    names = [tag["tagName"] for tag in given["tags"]]
    collection = _named(context, given)
    context.artifacts.collections.delete_tags("collection_id", collection["id"], names)
    return {"success": True}


def _named(context: Context, given: Given) -> sqlite3.Row:
    entity, name = context.entity(given["entityName"]), given["artifactCollectionName"]
    project = context.runs.project(entity, given["projectName"])
    collection = context.artifacts.collections.find(project["id"], name) if project else None
    if collection is None:
        raise Refused(f"artifact collection {name!r} not found")
    return collection
