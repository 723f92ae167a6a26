"""GraphQL fields of the logged-in user, of entities, and of the server's features."""

from __future__ import annotations

from typing import Any

from runlake.server.graphql.context import Context
from runlake.server.graphql.table import Fields, Given, Table
from runlake.server.store.accounts import User
from runlake.server.store.ids import make_id

TABLE = Table()
# Older SDKs ask which is the newest SDK that the server supports, and log images and files of
# artifacts in an older form, or refuse to list them, if it is older than themselves or unknown.
NEWEST_SDK = "1.0.0"
FEATURES = (
    "MARK_RUN_FILES_UPLOADED",
    "CLIENT_IDS",
    "ARTIFACT_TAGS",
    "LARGE_FILENAMES",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "ARTIFACT_COLLECTIONS_FILTERING_SORTING",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
)


def user_fields(user: User) -> Fields:
    """Return the fields of ``User``."""
    team = {"id": make_id("Entity", user.id), "name": user.name}
    return {
        "id": make_id("User", user.id),
        "name": user.name,
        "username": user.name,
        "email": f"{user.name}@localhost",
        "admin": False,
        "flags": "{}",
        "entity": user.name,
        "apiKeys": {"edges": []},
        "teams": {"edges": [{"node": team}]},
    }


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
    return {"id": make_id("Entity", 0), "name": name, "organization": None}


@TABLE.mutation("notifyScriptableRunAlert")
def _alert(context: Context, given: Given) -> Fields:
    context.run(given["entityName"], given["projectName"], given["runName"])
    return {"success": True}
