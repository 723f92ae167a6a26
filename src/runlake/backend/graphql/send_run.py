"""Requests that create a run and send its rows, as the SDK does while a script logs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import mutate
from runlake.backend.http.client import Client
from runlake.backend.http.retry import retry
from runlake.errors import ProtocolError
from runlake.values import RunPath

HISTORY, EVENTS, SUMMARY = "wandb-history.jsonl", "wandb-events.jsonl", "wandb-summary.json"


def create_run(
    client: Client, run: RunPath, fields: Mapping[str, Any]
) -> tuple[str, RunPath, bool]:
    """Create a run; return its id for mutations, its path, and whether the run is new.

    Parameters
    ----------
    client : Client
        Client of the backend.
    run : RunPath
        Path of the run.
    fields : mapping
        Fields of the run, named like the variables of the GraphQL document.

    Returns
    -------
    tuple of str, RunPath and bool
        The run's id for mutations, its path at the backend, and True if the run is new. If the run
        existed before, the backend has changed its fields.

    Raises
    ------
    BackendError
        If the backend refuses.
    """
    variables = {"name": run.run_id, "project": run.project, "entity": run.entity, **fields}
    # Do not retry: the response to a second request would say that the run existed before.
    answer = mutate(client, documents.SEND_RUN, variables, is_idempotent=False)
    payload = answer.get("upsertBucket") or {}
    try:
        bucket = payload["bucket"]
        home = bucket["project"]
        path = RunPath(home["entity"]["name"], home["name"], bucket["name"])
        return bucket["id"], path, bool(payload.get("inserted", True))
    except (KeyError, TypeError) as error:
        raise ProtocolError(
            f"{client.origin} did not send the path of the created run.",
            operation="UpsertBucket",
            origin=client.origin,
        ) from error


def send_lines(
    client: Client,
    run: RunPath,
    files: Mapping[str, tuple[int, Sequence[str]]],
    *,
    exit_code: int | None = None,
) -> None:
    """Send lines of a run's files to W&B's file stream; a line that is sent twice is stored once.

    Parameters
    ----------
    client : Client
        Client of the backend.
    run : RunPath
        Path of the run.
    files : mapping of str to tuple of int and sequence of str
        For each file name, the 0-based index in the file at which the first line is stored, and the
        lines, each a JSON text.
    exit_code : int, optional
        Ends the run: 0 for a run that finished, another number for one that failed.

    Raises
    ------
    BackendError
        If the backend refuses, or cannot be reached.
    """
    parts = {name: {"offset": at, "content": list(lines)} for name, (at, lines) in files.items()}
    body: dict[str, Any] = {"files": parts}
    if exit_code is not None:
        body |= {"complete": True, "exitcode": exit_code}
    path = f"/files/{'/'.join(run.quoted)}/file_stream"
    what = f"FileStream of '{run}'"
    retry(lambda: client.post(path, body, operation="FileStream", what=what), client.settings)


def remove_run(client: Client, run_id: str) -> None:
    """Delete a run that was just created.

    ``run_id`` is the run's id for mutations, not the id in the run's path.
    """
    variables = {"id": run_id, "deleteArtifacts": False}
    mutate(client, documents.DELETE_RUN, variables, is_idempotent=True)
