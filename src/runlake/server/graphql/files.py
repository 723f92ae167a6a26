"""GraphQL: files of runs; a file is a dict, for files of artifacts have the same type."""

from __future__ import annotations

import base64
import mimetypes
import sqlite3

from runlake.server.graphql.context import Context
from runlake.server.graphql.pages import DEFAULT_PAGE, connection, timestamp
from runlake.server.graphql.table import Fields, Given, Table
from runlake.server.runs.files import WrongName, file_object
from runlake.server.runs.runs import Refused, make_id, parse_id

TABLE = Table()
UNKNOWN_TYPE = "application/octet-stream"


@TABLE.resolves("Run", "fileCount")
def _count(context: Context, run: sqlite3.Row, _: Given) -> int:
    return context.run_files.count(run["id"])


@TABLE.resolves("Run", "files")
def _files(context: Context, run: sqlite3.Row, given: Given) -> Fields:
    after = given.get("after")
    page = context.run_files.page(
        run["id"],
        names=[name for name in given.get("names") or [] if name],
        pattern=given.get("pattern"),
        after=int(after) if after and after.isdecimal() else 0,
        limit=max(1, given.get("first") or DEFAULT_PAGE),
    )
    nodes = ((_file_fields(context, run["id"], file), str(file["id"])) for file in page.rows)
    return connection(nodes, has_next=page.has_next)


@TABLE.resolves("File", "url")
def _url(_: Context, file: Fields, given: Given) -> str | None:
    is_for_upload = given.get("upload") and "uploadUrl" in file
    url: str | None = file["uploadUrl"] if is_for_upload else file.get("url")
    return url


def _file_fields(context: Context, run_id: int, file: sqlite3.Row) -> Fields:
    url = context.storage.sign("GET", file_object(run_id, file["name"]))
    return {
        **_announced_fields(context, run_id, file["name"]),
        "id": make_id("File", file["id"]),
        "url": url,
        "directUrl": url,
        "sizeBytes": file["n_bytes"],
        "mimetype": mimetypes.guess_type(file["name"])[0] or UNKNOWN_TYPE,
        "updatedAt": timestamp(file["modified_at"]),
        "md5": base64.b64encode(bytes.fromhex(file["md5"])).decode(),
    }


def _announced_fields(context: Context, run_id: int, name: str) -> Fields:
    return {
        "id": make_id("File", 0),
        "name": name,
        "uploadUrl": context.storage.sign("PUT", file_object(run_id, name)),
        "uploadHeaders": [],
        "sizeBytes": 0,
    }


@TABLE.mutation("createRunFiles")
def _create(context: Context, given: Given) -> Fields:
    run = context.run(given["entityName"], given["projectName"], given["runName"])
    try:
        context.run_files.announce(run["id"], given["files"])
    except WrongName as error:
        raise Refused(str(error)) from error
    files = [_announced_fields(context, run["id"], name) for name in given["files"]]
    return {"runID": make_id("Run", run["id"]), "uploadHeaders": [], "files": files}


@TABLE.mutation("markRunFilesUploaded")
def _mark(context: Context, given: Given) -> Fields:
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
