"""The requests by which files come to a run and leave it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from runlake.backend.graphql import documents
from runlake.backend.graphql.features import fetch_features
from runlake.backend.graphql.query import mutate, query_run
from runlake.backend.http.client import Client
from runlake.backend.http.transfer import upload_file
from runlake.errors import BackendError, ProtocolError
from runlake.values import RunPath


def fetch_run_files(
    client: Client,
    run: RunPath,
    names: Sequence[str] = (),
    *,
    pattern: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
    upload: bool = False,
) -> dict[str, Any]:
    """Return a page of a run's files.

    Parameters
    ----------
    client : Client
        The backend.
    run : RunPath
        The run.
    names : sequence of str
        Exact names; none means all files.
    pattern : str, optional
        SQL's LIKE: ``%`` stands for any characters, ``_`` for one.
    cursor : str, optional
        Where the page starts.
    limit : int
        Files on the page at most.
    upload : bool
        Ask for URLs to upload to.

    Returns
    -------
    dict
        ``fileCount`` of the whole run, and the connection ``files``.

    Raises
    ------
    RunNotFoundError
        If there is no such run.
    """
    return query_run(
        client,
        documents.RUN_FILES,
        run,
        fileNames=list(names),
        pattern=pattern,
        fileCursor=cursor,
        fileLimit=limit,
        upload=upload,
    )


def send_run_file(client: Client, run: RunPath, source: Path, name: str) -> None:
    """Upload a file and make it known as a file of the run.

    Parameters
    ----------
    client : Client
        The backend.
    run : RunPath
        The run; its state does not change.
    source : Path
        The file.
    name : str
        What the run calls it, with forward slashes.

    Raises
    ------
    BackendError
        If the backend refuses.
    FileTransferError
        If the storage host does.
    """
    names = {"entity": run.entity, "project": run.project, "run": run.run_id, "files": [name]}
    answer = mutate(client, documents.CREATE_RUN_FILES, names, is_idempotent=True)
    offer = answer.get("createRunFiles") or {}
    if not offer.get("runID"):
        raise BackendError(
            f"{client.origin} takes no files for '{run}'. Check that the run exists, and that this "
            "API key may change it.",
            operation="CreateRunFiles",
            origin=client.origin,
        )
    url = urljoin(client.settings.base_url + "/", _upload_url(client, offer))
    upload_file(client, url, source, _upload_headers(client, offer), what=f"{name!r} of '{run}'")
    # Storage hosts of self-managed backends report no upload. Backends without the feature
    # know the file by the file stream only, which would make an ended run a running one.
    if "MARK_RUN_FILES_UPLOADED" in fetch_features(client):
        mutate(client, documents.MARK_RUN_FILES_UPLOADED, names, is_idempotent=True)


def delete_run_file(client: Client, file_id: str, project_id: int | None) -> None:
    """Delete a file by the backend's id of it; `BackendError` if the backend refuses."""
    variables = {"files": [file_id], "projectId": project_id}
    mutate(client, documents.DELETE_FILES, variables, is_idempotent=False)


def _upload_url(client: Client, offer: dict[str, Any]) -> str:
    files = offer.get("files") or []
    if len(files) != 1 or not files[0].get("uploadUrl"):
        raise _nonsense(client, "does not say where to upload the one file that was announced")
    return str(files[0]["uploadUrl"])


def _upload_headers(client: Client, offer: dict[str, Any]) -> dict[str, str]:
    lines = offer.get("uploadHeaders") or []
    if any(":" not in line for line in lines):
        raise _nonsense(client, "asks for an upload header that is no header")
    return {name.strip(): value.strip() for name, value in (line.split(":", 1) for line in lines)}


def _nonsense(client: Client, doing: str) -> ProtocolError:
    return ProtocolError(
        f"{client.origin} {doing}.", operation="CreateRunFiles", origin=client.origin
    )
