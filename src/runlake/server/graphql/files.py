"""GraphQL fields and mutations of run files. A file is a dict, like a file of an artifact."""

from __future__ import annotations

import base64
import mimetypes
import sqlite3

from runlake.server.graphql.context import Context
from runlake.server.graphql.pages import connection, position_in, timestamp
from runlake.server.graphql.table import Fields, Given, Table
from runlake.server.refused import Refused
from runlake.server.runs.files import file_object
from runlake.server.store.ids import make_id, parse_id
from runlake.server.store.pages import DEFAULT_PER_PAGE

TABLE = Table()
UNKNOWN_TYPE = "application/octet-stream"


@TABLE.resolves("Run", "fileCount")
def _count(context: Context, run: sqlite3.Row, _: Given) -> int:
    return context.run_files.count(run["id"])


@TABLE.resolves("Run", "files")
def _files(context: Context, run: sqlite3.Row, given: Given) -> Fields:
    page = context.run_files.page(
        run["id"],
        names=[name for name in given.get("names") or [] if name],
        pattern=given.get("pattern"),
        after=position_in(given.get("after")) or 0,
        limit=max(1, given.get("first") or DEFAULT_PER_PAGE),
    )
    return connection(page, lambda file: _file_fields(context, run["id"], file))


@TABLE.resolves("File", "url")
def _url(_: Context, file: Fields, given: Given) -> str | None:
    is_for_upload = given.get("upload") and "uploadUrl" in file
    url: str | None = file["uploadUrl"] if is_for_upload else file.get("url")
    return url


def _file_fields(context: Context, run_id: int, file: sqlite3.Row) -> Fields:
    url = context.storage.sign("GET", file_object(run_id, file["name"]))
    return {
        **_announced_fields(context, run_id, file["name"], file["name"]),
        "id": make_id("File", file["id"]),
        "url": url,
        "directUrl": url,
        "sizeBytes": file["n_bytes"],
        "mimetype": mimetypes.guess_type(file["name"])[0] or UNKNOWN_TYPE,
        "updatedAt": timestamp(file["modified_at"]),
        "md5": base64.b64encode(bytes.fromhex(file["md5"])).decode(),
    }


def _announced_fields(context: Context, run_id: int, name: str, stored_as: str) -> Fields:
    return {
        "id": make_id("File", 0),
        "name": name,
        "uploadUrl": context.storage.sign("PUT", file_object(run_id, stored_as)),
        "uploadHeaders": [],
        "sizeBytes": 0,
    }


@TABLE.mutation("createRunFiles")
def _create(context: Context, given: Given) -> Fields:
    run = context.run(given["entityName"], given["projectName"], given["runName"])
    plain = context.run_files.announce(run["id"], given["files"])
    # Return the name that was requested, because the SDK finds its file by this name.
    files = [
        _announced_fields(context, run["id"], name, stored_as)
        for name, stored_as in zip(given["files"], plain, strict=True)
    ]
    return {"runID": make_id("Run", run["id"]), "uploadHeaders": [], "files": files}


@TABLE.mutation("markRunFilesUploaded")
def _mark(context: Context, given: Given) -> Fields:
    # Nothing to record: the server itself has received the uploads.
    context.run(given["entityName"], given["projectName"], given["runName"])
    return {"success": True}


@TABLE.mutation("deleteFiles")
def _delete(context: Context, given: Given) -> Fields:
    context.run_files.delete([_own_file(context, file_id) for file_id in given["files"]])
    return {"success": True}


def _own_file(context: Context, file_id: str) -> int:
    number = parse_id(file_id, "File") or 0
    run_id = context.run_files.run_of(number)
    run = None if run_id is None else context.runs.get(run_id)
    if run is None or run["entity"] != context.owner:
        raise Refused(f"file {file_id!r} not found")
    return number
