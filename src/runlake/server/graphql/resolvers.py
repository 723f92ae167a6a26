"""GraphQL: execute a document for a user; queries and mutations by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from cachetools import LRUCache, cached
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    execute_sync,
    parse,
    validate,
)

from runlake.server.graphql.fields import (
    Context,
    Fields,
    project_connection,
    project_fields,
    run_fields,
    upload_fields,
    user_fields,
)
from runlake.server.runs.files import WrongName
from runlake.server.runs.projects import upsert_project
from runlake.server.runs.runs import Refused, make_id, parse_id

FEATURES = (
    "MARK_RUN_FILES_UPLOADED",
    "CLIENT_IDS",
    "ARTIFACT_TAGS",
    "LARGE_FILENAMES",
    "TOTAL_COUNT_IN_FILE_CONNECTION",
    "ARTIFACT_COLLECTIONS_FILTERING_SORTING",
    "ARTIFACT_MEMBERSHIP_IN_LINK_ARTIFACT_RESPONSE",
)
# Of GraphQL texts; what is read of them takes some 60 times as many bytes.
CHARACTERS_IN_MEMORY = 1 << 18
Mutation = Callable[[Context, Mapping[str, Any]], Fields]


def execute(schema: GraphQLSchema, body: Mapping[str, Any], context: Context) -> Fields:
    """Answer one GraphQL request.

    Parameters
    ----------
    schema : GraphQLSchema
        What may be asked.
    body : mapping
        ``query``, ``variables`` and ``operationName``; variables that the document does not
        declare are ignored, as the SDK needs it.
    context : Context
        Who asks.

    Returns
    -------
    dict
        ``data``, and ``errors`` where something was wrong.
    """
    text = str(body.get("query") or "")
    try:
        _, document = _read_document(text)
    except GraphQLError as error:
        return {"data": None, "errors": [{"message": error.message}]}
    _, problems = _find_problems(schema, text)
    if problems:
        return {"data": None, "errors": [{"message": problem.message} for problem in problems]}
    result = execute_sync(
        schema,
        document,
        root_value=_root(context),
        variable_values=body.get("variables") or {},
        operation_name=body.get("operationName") or None,
        context_value=context,
    )
    answer: Fields = {"data": result.data}
    if result.errors:
        for problem in result.errors:
            if not isinstance(problem.original_error, Refused | GraphQLError | None):
                raise problem.original_error
        answer["errors"] = [
            {"message": error.message, "path": error.path} for error in result.errors
        ]
    return answer


def operation_name(body: Mapping[str, Any]) -> str | None:
    """Return the name in the envelope, or else the one in the document."""
    if body.get("operationName"):
        return str(body["operationName"])
    try:
        _, document = _read_document(str(body.get("query") or ""))
    except GraphQLError:
        return None
    named = [d for d in document.definitions if isinstance(d, OperationDefinitionNode)]
    return named[0].name.value if named and named[0].name else None


# Clients send the same few texts again and again.
@cached(LRUCache(CHARACTERS_IN_MEMORY, getsizeof=lambda read: len(read[0])), lock=Lock())
def _read_document(text: str) -> tuple[str, DocumentNode]:
    return text, parse(text, no_location=True)


@cached(LRUCache(CHARACTERS_IN_MEMORY, getsizeof=lambda found: len(found[0])), lock=Lock())
def _find_problems(schema: GraphQLSchema, text: str) -> tuple[str, list[GraphQLError]]:
    return text, validate(schema, _read_document(text)[1])


def _root(context: Context) -> Fields:
    def project(_: Any, **arguments: Any) -> Fields | None:
        entity = arguments.get("entityName") or context.owner
        name = arguments.get("name") or "uncategorized"
        found = context.runs.project(entity, name) if entity == context.owner else None
        return project_fields(context, found) if found else None

    def projects(_: Any, **arguments: Any) -> Fields:
        return project_connection(context, arguments)

    def entity(_: Any, **arguments: Any) -> Fields | None:
        name = context.entity(arguments.get("name"))
        return {"id": make_id("Entity", 0), "name": name, "organization": None}

    features = [{"name": name, "isEnabled": True} for name in FEATURES]
    return {
        "viewer": user_fields(context.user) if context.user else None,
        "serverInfo": {"features": features},
        "entity": entity,
        "project": project,
        "model": project,
        "models": projects,
        **{name: _mutation(context, action) for name, action in MUTATIONS.items()},
    }


def _mutation(context: Context, action: Mutation) -> Callable[..., Fields]:
    def run(_: Any, **arguments: Any) -> Fields:
        # The protocol sends null for what is not given.
        given = {key: value for key, value in arguments["input"].items() if value is not None}
        return action(context, given)

    return run


def _upsert_bucket(context: Context, given: Mapping[str, Any]) -> Fields:
    row, is_new = context.runs.upsert(context.entity(given.get("entityName")), given)
    return {"bucket": run_fields(context, row), "inserted": is_new}


def _upsert_model(context: Context, given: Mapping[str, Any]) -> Fields:
    entity = context.entity(given.get("entityName"))
    row, is_new = upsert_project(context.runs.database, entity, given)
    project = project_fields(context, row)
    return {"project": project, "model": project, "inserted": is_new}


def _run_number(context: Context, storage_id: str) -> int:
    number = parse_id(storage_id, "Run")
    run = context.runs.get(number) if number is not None else None
    if run is None or run["entity"] != context.owner:
        raise Refused(f"run {storage_id!r} not found")
    return int(run["id"])


def _update_run_state(context: Context, given: Mapping[str, Any]) -> Fields:
    context.runs.set_state(_run_number(context, given["id"]), given["state"])
    return {"success": True}


def _delete_run(context: Context, given: Mapping[str, Any]) -> Fields:
    run_id = _run_number(context, given["id"])
    context.artifacts.forget_run(run_id, delete=bool(given.get("deleteArtifacts")))
    context.run_files.delete_all(run_id)
    context.runs.delete(run_id)
    return {"clientMutationId": None}


def _stop_run(context: Context, given: Mapping[str, Any]) -> Fields:
    context.runs.stop(_run_number(context, given["id"]))
    return {"success": True}


def _rewind_run(context: Context, given: Mapping[str, Any]) -> Fields:
    if given["metricName"] != "_step":
        raise Refused("runs can be rewound by _step only")
    run = context.run(given.get("entityName"), given.get("projectName"), given["runName"])
    rewound = context.runs.rewind(run, int(given["metricValue"]))
    return {"rewoundRun": run_fields(context, rewound)}


def _create_run_files(context: Context, given: Mapping[str, Any]) -> Fields:
    run = context.run(given["entityName"], given["projectName"], given["runName"])
    try:
        context.run_files.announce(run["id"], given["files"])
    except WrongName as error:
        raise Refused(str(error)) from error
    files = [upload_fields(context, run["id"], name) for name in given["files"]]
    return {"runID": make_id("Run", run["id"]), "uploadHeaders": [], "files": files}


def _mark_files(context: Context, given: Mapping[str, Any]) -> Fields:
    context.run(given["entityName"], given["projectName"], given["runName"])
    return {"success": True}


def _delete_files(context: Context, given: Mapping[str, Any]) -> Fields:
    numbers = [_file_number(context, file_id) for file_id in given["files"]]
    context.run_files.delete(numbers)
    return {"success": True}


def _file_number(context: Context, file_id: str) -> int:
    number = parse_id(file_id, "File") or 0
    run_id = context.run_files.run_of(number)
    run = None if run_id is None else context.runs.get(run_id)
    if run is None or run["entity"] != context.owner:
        raise Refused(f"file {file_id!r} not found")
    return number


def _alert(context: Context, given: Mapping[str, Any]) -> Fields:
    context.run(given["entityName"], given["projectName"], given["runName"])
    return {"success": True}


MUTATIONS: dict[str, Mutation] = {
    "upsertBucket": _upsert_bucket,
    "upsertModel": _upsert_model,
    "updateRunState": _update_run_state,
    "deleteRun": _delete_run,
    "stopRun": _stop_run,
    "rewindRun": _rewind_run,
    "createRunFiles": _create_run_files,
    "markRunFilesUploaded": _mark_files,
    "deleteFiles": _delete_files,
    "notifyScriptableRunAlert": _alert,
}
