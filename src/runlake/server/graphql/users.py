"""GraphQL fields of the logged-in user, of entities, and of the server's features."""

from __future__ import annotations

from typing import Any

from runlake.server.graphql.context import Context
from runlake.server.graphql.table import Fields, Given, Table
from runlake.server.store.accounts import User, list_keys, stored_bytes
from runlake.server.store.ids import make_id

TABLE = Table()
# Older SDKs ask for the newest SDK that the server supports. If this version is unknown or older
# than the SDK, the SDK logs images and artifact files in an older form, or refuses to list them.
NEWEST_SDK = "1.0.0"
FEATURES = (
    "MARK_RUN_FILES_UPLOADED",
    "UPDATE_RUN_STATE",
    "FILESTREAM_GZIP",
    "CLIENT_IDS",
    "ARTIFACT_TAGS",
    "LARGE_FILENAMES",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "ARTIFACT_COLLECTIONS_FILTERING_SORTING",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
)


def user_fields(user: User) -> Fields:
    """Return the fields of the GraphQL type ``User`` for a user."""
    return {
        "id": make_id("User", user.id),
        "name": user.name,
        "username": user.name,
        "email": f"{user.name}@localhost",
        "admin": False,
        "flags": "{}",
        "entity": user.name,
        "teams": {"edges": [{"node": entity_fields(user.id, user.name)}]},
    }


def entity_fields(number: int, name: str) -> Fields:
    """Return the fields of the GraphQL type ``Entity`` for a user; there are no other entities."""
    return {
        "id": make_id("Entity", number),
        "name": name,
        "available": False,
        "readOnly": False,
        "readOnlyAdmin": False,
        "isTeam": False,
        "entityType": "USER",
        "privateOnly": False,
        "codeSavingEnabled": False,
        "defaultAccess": "PRIVATE",
        "isPaid": False,
    }


@TABLE.resolves("User", "apiKeys")
def _api_keys(context: Context, user: Fields, _: Given) -> Fields | None:
    # A user sees only their own keys.
    if context.user is None or user["id"] != make_id("User", context.user.id):
        return None
    keys = list_keys(context.runs.database, context.user.name)
    return {
        "edges": [{"node": {"id": make_id("ApiKey", key.number), "name": key.name}} for key in keys]
    }


@TABLE.resolves("Entity", "members")
def _members(context: Context, entity: Fields, _: Given) -> list[Fields]:
    if context.user is None or entity["name"] != context.user.name:
        return []
    user = user_fields(context.user)
    shown = {name: user[name] for name in ("id", "email", "username", "name")}
    return [{**shown, "admin": True, "pending": False, "accountType": "MEMBER"}]


@TABLE.resolves("Entity", "storageBytes")
def _storage_bytes(context: Context, entity: Fields, _: Given) -> int:
    return stored_bytes(context.runs.database, entity["name"])


@TABLE.resolves("Query", "viewer")
def _viewer(context: Context, _: Any, __: Given) -> Fields | None:
    return user_fields(context.user) if context.user else None


@TABLE.resolves("Query", "serverInfo")
def _server_info(_: Context, __: Any, ___: Given) -> Fields:
    return {
        "features": [{"name": name, "isEnabled": True} for name in FEATURES],
        "cliVersionInfo": {"max_cli_version": NEWEST_SDK},
    }


@TABLE.resolves("Query", "entity")
def _entity(context: Context, _: Any, given: Given) -> Fields:
    name = context.entity(given.get("name"))
    return entity_fields(context.user.id if context.user else 0, name)


@TABLE.mutation("notifyScriptableRunAlert")
def _alert(context: Context, given: Given) -> Fields:
    # Alerts are accepted but not sent, so that scripts that send alerts go on.
    context.run(given["entityName"], given["projectName"], given["runName"])
    return {"success": True}
