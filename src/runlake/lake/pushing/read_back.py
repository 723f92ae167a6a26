"""Compare a run at a backend with the run in the lake that was sent there."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

from runlake.backend.graphql.query import fetch_run
from runlake.backend.http.client import Client
from runlake.cache.companions import FILES, read_rows, read_system_rows
from runlake.cache.layout import RunDirectory
from runlake.cache.store import read_manifest
from runlake.cache.stored_files import ALL_FILES
from runlake.history.reader import SYSTEM_ROWS, open_reading
from runlake.history.sample.by_server import fetch_system_rows
from runlake.lake.pulling.files import list_files
from runlake.lake.pushing.losses import KEPT_STATES
from runlake.lake.pushing.sending import line_of
from runlake.lake.pushing.stored_config import summary_of, user_config
from runlake.values import STEP, Question, Row, RunPath
from runlake.values.same_json import first_difference, is_same

FIELDS = ("displayName", "notes", "group", "jobType")
PAGE_SIZE = 1000
MAX_SYSTEM_ROWS = 10_000


@contextmanager
def reading_client(client: Client) -> Iterator[Client]:
    """Yield a client of the same backend with a temporary cache, which is deleted at the end.

    A run that is read only to be compared must not become a run of the lake.
    """
    with tempfile.TemporaryDirectory(prefix="runlake-push-") as root:
        own = Client(replace(client.settings, cache_dir=Path(root)), client.budget)
        try:
            yield own
        finally:
            client.n_requests += own.n_requests
            own.close()


def differences(
    client: Client, directory: RunDirectory, there: RunPath, rows: Iterable[Row]
) -> Iterator[str]:
    """Yield the differences between a run at a backend and in the lake.

    Parameters
    ----------
    client : Client
        A `reading_client` of the backend.
    directory : RunDirectory
        The run's directory in the lake.
    there : RunPath
        Path of the run at the backend.
    rows : iterable of dict
        The history in the lake.
    """
    stored = read_manifest(directory)
    here: Mapping[str, Any] = stored.attrs or {}
    found = fetch_run(client, there)
    for name in FIELDS:
        if (here.get(name) or None) != (found.get(name) or None):
            yield f"its {name} is {found.get(name)!r}, not {here.get(name)!r}"
    if sorted(here.get("tags") or ()) != sorted(found.get("tags") or ()):
        yield f"its tags are {found.get('tags')!r}, not {here.get('tags')!r}"
    state = stored.offer.state if stored.offer else None
    if state in KEPT_STATES and state != found.get("state"):
        yield f"its state is {found.get('state')!r}, not {state!r}"
    for what, of in (("config", user_config), ("summary", summary_of)):
        named = first_difference(of(here), of(found))
        if named is not None:
            yield f"its {what} differs: {named}"
    yield from _of_rows(client, there, rows)
    yield from _of_system_rows(client, directory, there)
    yield from _of_files(client, directory, there)


def _of_rows(client: Client, there: RunPath, rows: Iterable[Row]) -> Iterator[str]:
    reading = open_reading(client, there, Question())
    found = (row for batch in reading.iter_batches(PAGE_SIZE) for row in batch)
    for row, other in zip_longest(rows, found):
        if row is None or other is None:
            step = (row or other or {}).get(STEP)
            yield f"the row of step {step} is {'here' if other is None else 'there'} only"
            return
        # The row as it was sent: bytes and other values without a JSON form were sent as strings.
        named = first_difference(json.loads(line_of(row)), other)
        if named is not None:
            yield f"the key {named} has another value at step {row.get(STEP)}"
            return


def _of_system_rows(client: Client, directory: RunDirectory, there: RunPath) -> Iterator[str]:
    rows = read_system_rows(directory) or []
    if not rows or len(rows) > MAX_SYSTEM_ROWS:
        return
    found = fetch_system_rows(client, there, SYSTEM_ROWS)
    if not is_same(json.loads(json.dumps(rows)), found):
        yield "its system metrics differ"


def _of_files(client: Client, directory: RunDirectory, there: RunPath) -> Iterator[str]:
    files = read_rows(directory, FILES) or []
    if not files:
        return
    found = {str(node["name"]): node for node in list_files(client, there, (ALL_FILES,))}
    for file in files:
        node = found.get(str(file["name"]))
        if node is None:
            yield f"its file {file['name']!r} is not there"
        elif int(node.get("sizeBytes") or 0) != int(file["sizeBytes"] or 0):
            yield f"its file {file['name']!r} has another length there"
        elif file["md5"] and node.get("md5") not in {None, file["md5"]}:
            yield f"its file {file['name']!r} has another content there"
