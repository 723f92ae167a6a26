"""Send GraphQL queries and mutations, return their data, and raise their errors."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.lacking import fit, learn
from runlake.backend.graphql.shapes import answer_to, find_misplaced
from runlake.backend.http.client import Client
from runlake.backend.http.retry import Transient, retry
from runlake.backend.http.statuses import BAD_REQUEST, UNPROCESSABLE
from runlake.errors import BackendError, ProjectNotFoundError, ProtocolError, RunNotFoundError
from runlake.values import RunPath

# HTTP statuses with which servers refuse a document that does not match their schema.
WRONG_DOCUMENT = {BAD_REQUEST, UNPROCESSABLE}
CHECK_SPELLING = "Check the spelling, and that this API key may read the project."
# Maximum number of run ids to list in the error if several runs have the given display name.
MAX_NAMED = 3
# Names of the documents' variables for entity, project, and run or collection.
ENTITY, PROJECT = ("entity", "entityName"), ("project", "projectName")
NAME = ("run", "name", "runName", "collection")


def query(client: Client, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Send a query, with retries, and return its data.

    Parameters
    ----------
    client : Client
        Client of the backend.
    document : str
        A document of this package, such as `documents.RUN`.
    variables : mapping
        Values of the variables that the document declares.

    Returns
    -------
    dict
        The ``data`` of the response.

    Raises
    ------
    BackendError
        If the backend refuses the request, or cannot be reached.
    """
    return _exchange(client, document, variables, is_idempotent=True)


def mutate(
    client: Client, document: str, variables: Mapping[str, Any], *, is_idempotent: bool
) -> dict[str, Any]:
    """Send a mutation and return its data.

    Parameters
    ----------
    client : Client
        Client of the backend.
    document : str
        A document of this package, such as `documents.RUN`.
    variables : mapping
        Values of the variables that the document declares.
    is_idempotent : bool
        True if sending the mutation twice does no harm: then it is retried like a query. Otherwise
        the mutation is retried only if the backend cannot have processed the first request: no
        connection was made, or the response has ``Retry-After``.

    Returns
    -------
    dict
        The ``data`` of the response.

    Raises
    ------
    BackendError
        If the backend refuses the request, or cannot be reached.
    """
    return _exchange(client, document, variables, is_idempotent=is_idempotent)


def _exchange(
    client: Client, document: str, variables: Mapping[str, Any], *, is_idempotent: bool
) -> dict[str, Any]:
    name = _operation_name(document)
    what = _named(name, variables)

    def ask(text: str, known: Mapping[str, Any]) -> Any:
        payload = {"query": text, "variables": dict(known), "operationName": _operation_name(text)}
        try:
            return client.post("/graphql", payload, operation=name, what=what)
        except Transient as transient:
            # A mutation may have been carried out although no response arrived, so do not repeat
            # it.
            if is_idempotent or transient.is_refusal or transient.is_put_off:
                raise
            raise transient.error from transient

    while True:
        text, known = fit(client, document, variables)
        refusal = None
        try:
            body = retry(partial(ask, text, known), client.settings)
        except BackendError as error:
            if error.facts.get("status") not in WRONG_DOCUMENT:
                raise
            refusal, body = error, {"errors": [error.message]}
        learn(client, document, body)
        # The loop ends, because the document is smaller in each further try.
        if fit(client, document, variables)[0] == text:
            if refusal is not None:
                raise refusal
            return _data(client, name, what, body)


def _data(client: Client, name: str, what: str, body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ProtocolError(
            f"{client.origin} answered {what} with JSON that is not a GraphQL answer.",
            operation=name,
            origin=client.origin,
        )
    if body.get("errors"):
        raise BackendError(
            f"{client.origin} refused {what}: {client.quote(_messages(body['errors']))}.",
            operation=name,
            origin=client.origin,
        )
    data = body.get("data")
    misplaced = find_misplaced(data)
    if misplaced is not None:
        raise ProtocolError(
            f"{client.origin} answered {what} with JSON of a wrong shape: {misplaced}. Is "
            "WANDB_BASE_URL the address of a W&B backend?",
            operation=name,
            origin=client.origin,
        )
    found: dict[str, Any] = data or {}
    return found


def _named(operation: str, variables: Mapping[str, Any]) -> str:
    """Return a request's name for errors, such as ``Run of 'team/project/abc123'``."""
    parts = (
        next((str(variables[name]) for name in names if variables.get(name)), None)
        for names in (ENTITY, PROJECT, NAME)
    )
    about = "/".join(part for part in parts if part)
    return f"{operation} of '{about}'" if about else operation


def query_project(client: Client, document: str, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Send a query about one project and return the field ``project`` of the response.

    Parameters
    ----------
    client : Client
        Client of the backend.
    document : str
        A document that selects ``project { ... }``.
    variables : mapping
        The document's variables, including ``entity`` and ``project``.

    Returns
    -------
    dict
        The selected fields of the project.

    Raises
    ------
    ProjectNotFoundError
        If the project does not exist, or is not visible to this API key.
    """
    project: dict[str, Any] | None = query(client, document, variables).get("project")
    if project is None:
        raise ProjectNotFoundError(
            f"Could not find project {variables['project']} of {variables['entity']} at "
            f"{client.origin}. Check the spelling, and that this API key may read it.",
            operation=_operation_name(document),
            origin=client.origin,
        )
    return project


def query_run(
    client: Client, document: str, path: RunPath, *, run_variable: str = "name", **variables: Any
) -> dict[str, Any]:
    """Send a query about one run and return the field ``run`` of the response.

    Parameters
    ----------
    client : Client
        Client of the backend.
    document : str
        A document that selects ``project { run { ... } }``.
    path : RunPath
        Path of the run.
    run_variable : str
        Name of the document's variable for the run id.
    **variables
        All other variables of the document.

    Returns
    -------
    dict
        The selected fields of the run.

    Raises
    ------
    RunNotFoundError
        If the project or the run does not exist, or is not visible to this API key.
    """
    named = {"entity": path.entity, "project": path.project, run_variable: path.run_id}
    data = query(client, document, {**named, **variables})
    run = (data.get("project") or {}).get("run")
    if run is None:
        ids = [] if data.get("project") is None else _ids_of_name(client, path)
        # The first sentence begins with wandb's own text, which scripts search for.
        raise RunNotFoundError(
            f"Could not find run <Run {'/'.join(path.quoted)} (not found)> at {client.origin}. "
            + (_said_of_name(path, ids) if ids else CHECK_SPELLING),
            operation=_operation_name(document),
            origin=client.origin,
        )
    found: dict[str, Any] = run
    return found


def _ids_of_name(client: Client, path: RunPath) -> list[str]:
    """Return the ids of a few runs whose display name is the run id in ``path``."""
    variables = {
        "entity": path.entity,
        "project": path.project,
        "filters": json.dumps({"displayName": path.run_id}),
        "perPage": MAX_NAMED + 1,
    }
    # Only improves the error "not found", so a failure of this request is ignored.
    with suppress(BackendError), answer_to(client, "Runs", f"'{path}'"):
        project = query(client, documents.RUNS_OF_NAME, variables).get("project") or {}
        nodes = [edge["node"] for edge in project["runs"]["edges"]]
        return [str(n["name"]) for n in nodes if n.get("displayName") == path.run_id]
    return []


def _said_of_name(path: RunPath, ids: list[str]) -> str:
    project = f"{path.entity}/{path.project}"
    if len(ids) == 1:
        return (
            f"{path.run_id!r} is the display name of a run, whose id is {ids[0]!r}: read "
            f"'{project}/{ids[0]}'."
        )
    shown = ", ".join(map(repr, ids[:MAX_NAMED])) + (", ..." if len(ids) > MAX_NAMED else "")
    return (
        f"{path.run_id!r} is the display name of several runs; a path ends in an id, here one of "
        f"{shown}."
    )


def fetch_run(client: Client, path: RunPath, *, is_light: bool = False) -> dict[str, Any]:
    """Request a run, and return its fields; ``is_light`` omits config, metrics and history keys."""
    return query_run(client, documents.RUN_LIGHT if is_light else documents.RUN, path)


def fetch_history_keys(client: Client, path: RunPath) -> dict[str, Any]:
    """Return ``historyKeys`` of a run: types and counts of the run's keys, and its last step."""
    found = query_run(client, documents.RUN_HISTORY_KEYS, path).get("historyKeys") or {}
    with answer_to(client, "RunHistoryKeys", f"'{path}'"):
        return dict(found)


def _operation_name(document: str) -> str:
    found = re.search(r"\b(?:query|mutation)\s+(\w+)", document)
    if found is None:
        raise AssertionError("every document of runlake names its operation")
    return found[1]


def _messages(errors: object) -> str:
    if not isinstance(errors, list):
        return "no reason given"
    texts = (error.get("message") if isinstance(error, dict) else error for error in errors)
    # Several fields of a query are often refused with the same text; show it once.
    return "; ".join(dict.fromkeys(str(text).strip().rstrip(".") for text in texts))
