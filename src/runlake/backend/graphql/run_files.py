"""Requests that list, upload and delete the files of a run."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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

MD5 = re.compile(r"[A-Za-z0-9+/]{22}==")


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
        Client of the backend.
    run : RunPath
        Path of the run.
    names : sequence of str
        Exact names of files; an empty list means all files.
    pattern : str, optional
        Pattern of SQL's LIKE: ``%`` matches any characters, ``_`` one character.
    cursor : str, optional
        Cursor at the end of the previous page; the first page is requested if omitted.
    limit : int
        Maximum number of files on the page.
    upload : bool
        Request upload URLs instead of download URLs.

    Returns
    -------
    dict
        ``fileCount``, the number of all files of the run, and the GraphQL connection ``files``.

    Raises
    ------
    RunNotFoundError
        If the run does not exist.
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


def promised_md5(node: Mapping[str, Any]) -> str | None:
    """Return a file's MD5 digest in base64, as the backend states it; None if absent or malformed.

    Parameters
    ----------
    node : mapping
        The backend's description of the file.

    Examples
    --------
    >>> promised_md5({"md5": "1B2M2Y8AsgTpgAmy7PhCfg=="})
    '1B2M2Y8AsgTpgAmy7PhCfg=='
    >>> promised_md5({"md5": "d41d8cd98f00b204e9800998ecf8427e"}) is None
    True
    """
    md5 = node.get("md5")
    return md5 if isinstance(md5, str) and MD5.fullmatch(md5) else None


def send_run_file(client: Client, run: RunPath, source: Path, name: str) -> None:
    """Upload a file and add it to the files of a run; the state of the run does not change.

    Parameters
    ----------
    client : Client
        Client of the backend.
    run : RunPath
        Path of the run.
    source : Path
        File to upload.
    name : str
        Name of the file in the run, with forward slashes.

    Raises
    ------
    BackendError
        If the backend refuses.
    FileTransferError
        If the storage host refuses.
    """
    names = {"entity": run.entity, "project": run.project, "run": run.run_id, "files": [name]}
    answer = mutate(client, documents.CREATE_RUN_FILES, names, is_idempotent=True)
    offer = answer.get("createRunFiles") or {}
    if not offer.get("runID"):
        raise BackendError(
            f"{client.origin} accepts no files for '{run}'. Check that the run exists, and that "
            "this API key may change it.",
            operation="CreateRunFiles",
            origin=client.origin,
        )
    url = urljoin(client.settings.base_url + "/", _upload_url(client, offer))
    upload_file(client, url, source, _upload_headers(client, offer), what=f"{name!r} of '{run}'")
    # Storage hosts of self-managed backends do not notify the backend of uploads. Backends without
    # this feature learn of a file only through the file stream, which would set a finished run back
    # to "running".
    if "MARK_RUN_FILES_UPLOADED" in fetch_features(client):
        mutate(client, documents.MARK_RUN_FILES_UPLOADED, names, is_idempotent=True)


def delete_run_file(client: Client, file_id: str, project_id: int | None) -> None:
    """Delete a file of a run by the file's id; raise `BackendError` if the backend refuses."""
    variables = {"files": [file_id], "projectId": project_id}
    mutate(client, documents.DELETE_FILES, variables, is_idempotent=False)


def _upload_url(client: Client, offer: dict[str, Any]) -> str:
    files = offer.get("files") or []
    if len(files) != 1 or not files[0].get("uploadUrl"):
        raise _nonsense(client, "sent no URL to upload the file to")
    return str(files[0]["uploadUrl"])


def _upload_headers(client: Client, offer: dict[str, Any]) -> dict[str, str]:
    lines = offer.get("uploadHeaders") or []
    if any(":" not in line for line in lines):
        raise _nonsense(client, "requires an upload header that is malformed")
    return {name.strip(): value.strip() for name, value in (line.split(":", 1) for line in lines)}


def _nonsense(client: Client, doing: str) -> ProtocolError:
    return ProtocolError(
        f"{client.origin} {doing}.", operation="CreateRunFiles", origin=client.origin
    )
