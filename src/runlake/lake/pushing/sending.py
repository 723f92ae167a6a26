"""Send one run of the lake to a backend."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from runlake.backend.graphql.run_files import send_run_file
from runlake.backend.graphql.send_run import (
    EVENTS,
    HISTORY,
    SUMMARY,
    create_run,
    remove_run,
    send_lines,
)
from runlake.backend.http.client import Client
from runlake.cache.companions import FILES, read_rows, read_system_rows
from runlake.cache.layout import RunDirectory
from runlake.cache.store import StoredManifest, read_manifest
from runlake.errors import BackendError, CacheCorrupt, RunlakeError
from runlake.lake.pulling.files import is_intact
from runlake.lake.pushing.stored_config import config_to_send, summary_of
from runlake.values import Row, RunPath

# W&B accepts about 10 MiB a request.
MAX_BYTES = 4 << 20
MAX_LINES = 10_000
UNDER_WAY = {"running", "pending", "preempting"}
FINISHED = "finished"


@dataclass(slots=True)
class Sent:
    """A run at the backend, and how much of it was sent.

    Parameters
    ----------
    path : RunPath
        Path of the run at the backend.
    id : str
        The id that GraphQL mutations use for the run.
    n_rows, n_files, n_bytes : int
        Number of history rows, number of files, and size of the files in bytes.
    """

    path: RunPath
    id: str
    n_rows: int = 0
    n_files: int = 0
    n_bytes: int = 0


def send(
    client: Client, directory: RunDirectory, there: RunPath, rows: Iterable[Row] | None
) -> Sent:
    """Create a run at a backend, and send its data, except artifacts and what `losses` lists.

    Parameters
    ----------
    client : Client
        The backend.
    directory : RunDirectory
        The run's directory in the lake.
    there : RunPath
        Path of the run at the backend, which must not have this run yet.
    rows : iterable of dict or None
        The history of the run; None if `send_rows` is called later. It then also sends the summary
        and how the run ended.

    Raises
    ------
    BackendError, FileTransferError
        If the backend refuses, or has the run already. A run that this call created is deleted
        again, after any error.
    CacheCorrupt
        If a file that the run saved is damaged or gone; nothing was sent then. Rows are read only
        while they are sent, so a damaged file of rows is found after the run was created.
    """
    stored = read_manifest(directory)
    # A list, so that every file is checked before the run is created.
    files = list(_files(directory))
    run_id, path, is_new = create_run(client, there, _fields(stored))
    if not is_new:
        raise BackendError(
            f"{client.origin} has a run '{path}' already, which another program has just made.",
            operation="UpsertBucket",
            origin=client.origin,
        )
    sent = Sent(path, run_id)
    try:
        for name in files:
            source = directory.path / str(name["content"])
            send_run_file(client, path, source, str(name["name"]))
            sent.n_files += 1
            sent.n_bytes += source.stat().st_size
    except BaseException:
        remove(client, sent)
        raise
    if rows is not None:
        send_rows(client, directory, sent, rows)
    return sent


def remove(client: Client, sent: Sent) -> None:
    """Delete a partly sent run at the backend; ignore errors.

    Otherwise the part would look like the whole run, and a later push would refuse the run.
    """
    with suppress(RunlakeError):
        remove_run(client, sent.id)


def send_rows(client: Client, directory: RunDirectory, sent: Sent, rows: Iterable[Row]) -> None:
    """Send the history of a run, its system metrics and summary, and how it ended.

    Parameters
    ----------
    client : Client
        The backend.
    directory : RunDirectory
        The run's directory in the lake.
    sent : Sent
        The result of `send`. Its ``n_rows`` is set to the number of rows that were sent.
    rows : iterable of dict
        The history.

    Raises
    ------
    BackendError
        If the backend refuses. After any error, the run is deleted at the backend, if possible.
    """
    try:
        _send_lines(client, directory, sent, rows)
    except BaseException:
        remove(client, sent)
        raise


def _send_lines(client: Client, directory: RunDirectory, sent: Sent, rows: Iterable[Row]) -> None:
    stored, path = read_manifest(directory), sent.path
    for at, lines in _batches(map(line_of, rows)):
        send_lines(client, path, {HISTORY: (at, lines)})
        sent.n_rows = at + len(lines)
    for at, lines in _batches(map(line_of, read_system_rows(directory) or ())):
        send_lines(client, path, {EVENTS: (at, lines)})
    state = stored.offer.state if stored.offer else None
    # Without an exit code, the backend does not end a run that is still under way.
    exit_code = None if state in UNDER_WAY else int(state != FINISHED)
    summary = json.dumps(summary_of(stored.attrs or {}))
    # The exit code ends the run, so it is in the last request.
    send_lines(client, path, {SUMMARY: (0, [summary])}, exit_code=exit_code)


def line_of(row: Row) -> str:
    """Return a row as a line of JSON; values whose type JSON lacks, such as bytes, become strings.

    NaN and infinities are written as Python writes them, such as ``NaN``.
    """
    return json.dumps(row, default=_text)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _batches(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Split lines into requests; yield the index of each request's first line, and its lines."""
    at, batch, n_bytes = 0, list[str](), 0
    for line in lines:
        # `json.dumps` writes ASCII, so a character is a byte.
        if batch and (n_bytes + len(line) > MAX_BYTES or len(batch) >= MAX_LINES):
            yield at, batch
            at, batch, n_bytes = at + len(batch), [], 0
        batch.append(line)
        n_bytes += len(line)
    if batch:
        yield at, batch


def _files(directory: RunDirectory) -> Iterator[dict[str, Any]]:
    for file in read_rows(directory, FILES) or ():
        if not is_intact(directory, file):
            raise CacheCorrupt(
                f"The file {file['name']!r} of '{directory.run}' is damaged or gone. Pull the run "
                "again.",
                path=str(directory.path / str(file["content"])),
            )
        yield file


def _fields(stored: StoredManifest) -> dict[str, Any]:
    attrs = stored.attrs or {}
    return {
        "displayName": attrs.get("displayName"),
        "notes": attrs.get("notes"),
        "tags": list(attrs.get("tags") or []),
        "groupName": attrs.get("group"),
        "jobType": attrs.get("jobType"),
        "host": attrs.get("host"),
        "commit": attrs.get("commit"),
        "config": config_to_send(attrs),
    }
