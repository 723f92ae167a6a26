"""Pull files of runs into the lake: those that the user names, and ``wandb-metadata.json``."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future
from typing import Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query_project
from runlake.backend.graphql.run_files import fetch_run_files, promised_md5
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.backend.http.stop import Stop
from runlake.backend.http.transfer import download_file
from runlake.cache.companions import content_path
from runlake.cache.disk.links import is_regular
from runlake.cache.layout import RunDirectory
from runlake.errors import BackendError, FileTransferError, RunlakeError
from runlake.lake.pulling.request import METADATA_FILE, matches
from runlake.values import RunPath

FileNode = dict[str, Any]
FILES_PER_PAGE = 500
# The fields that are stored; the URL is signed, and expires.
STORED = ("name", "id", "sizeBytes", "md5", "mimetype", "updatedAt")


class MetadataFiles:
    """Finds the files ``wandb-metadata.json`` of a page of runs, with one request at the first use.

    Parameters
    ----------
    client : Client
        The backend.
    runs : sequence of RunPath
        Runs of one project.
    executor : Executor
        Sends the request.
    """

    def __init__(self, client: Client, runs: Sequence[RunPath], executor: Executor) -> None:
        self._client = client
        self._runs = runs
        self._executor = executor
        self._answer: Future[dict[str, FileNode | None]] | None = None
        self._guard = threading.Lock()

    def find(self, run: RunPath) -> list[FileNode] | None:
        """Return a list with the metadata file of a run; an empty list if the run has no such file.

        Return None if the backend did not answer about the run. The caller then has to list the
        files of this run.
        """
        with self._guard:
            if self._answer is None:
                self._answer = self._executor.submit(self._ask)
            answer = self._answer
        found = answer.result()
        if run.run_id not in found:
            return None
        node = found[run.run_id]
        return [] if node is None else [node]

    def _ask(self) -> dict[str, FileNode | None]:
        page = self._runs
        variables = {
            "entity": page[0].entity,
            "project": page[0].project,
            "filters": json.dumps({"name": {"$in": [run.run_id for run in page]}}),
            "perPage": len(page),
            "cursor": None,
            "order": None,
            "isFirst": False,
            "fileNames": [METADATA_FILE],
        }
        try:
            project = query_project(self._client, documents.runs_files(), variables)
            with answer_to(self._client, "Runs", "the metadata of runs"):
                nodes = [edge["node"] for edge in (project.get("runs") or {})["edges"]]
                return {node["name"]: _first(node) for node in nodes}
        except BackendError:
            # An older backend may refuse this query. Then the files of each run are listed.
            return {}


def _first(node: dict[str, Any]) -> FileNode | None:
    edges = (node.get("files") or {})["edges"]
    return next((edge["node"] for edge in edges if edge["node"]["name"] == METADATA_FILE), None)


def pull_files(
    client: Client,
    directory: RunDirectory,
    asked: Sequence[str],
    known: list[FileNode] | None,
    stop: Stop,
) -> tuple[list[FileNode], int, str | None]:
    """Download the requested files of a run that are missing on disk.

    Parameters
    ----------
    client : Client
        The backend.
    directory : RunDirectory
        The run's directory.
    asked : sequence of str
        Names and patterns of the files to download.
    known : list of dict or None
        The files as the backend lists them; None requests the list now.
    stop : Stop
        When set, no further file is downloaded.

    Returns
    -------
    tuple of list of dict, int, and str or None
        First, a dict for each requested file that is now on disk: the backend's fields of the file,
        and ``content``, its path relative to the run's directory. Second, the number of bytes that
        were downloaded. Third, the reason if a file is missing, otherwise None.
    """
    stored, problems = [], []
    n_bytes = 0
    try:
        for node in known if known is not None else list_files(client, directory.run, asked):
            stop.check()
            kept = {name: node.get(name) for name in STORED}
            path = content_path(directory, str(node["name"]), _version(node))
            try:
                if not is_held(directory, node):
                    n_bytes += _download(client, directory.run, node, path)
            except (RunlakeError, OSError) as error:
                # Any other error, such as a full disk, concerns the other files too.
                if not isinstance(error, (BackendError, FileTransferError)):
                    raise
                problems.append(str(error))
                continue
            stored.append({**kept, "content": path.relative_to(directory.path).as_posix()})
    except BackendError as error:
        problems.append(f"its files could not be listed ({error})")
    if not problems:
        return stored, n_bytes, None
    more = f" and {len(problems) - 1:,} more" if len(problems) > 1 else ""
    return stored, n_bytes, f"files could not be downloaded: {problems[0]}{more}"


def is_intact(directory: RunDirectory, stored: FileNode) -> bool:
    """Return whether a stored file has the recorded length and, if known, the recorded MD5."""
    path = directory.path / str(stored["content"])
    try:
        if not is_regular(path) or path.stat().st_size != int(stored["sizeBytes"] or 0):
            return False
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "md5").digest()
    except OSError:
        return False
    return promised_md5(stored) in {None, base64.b64encode(digest).decode()}


def is_held(directory: RunDirectory, node: FileNode) -> bool:
    """Return whether the listed version of a file is on disk, with the right length."""
    path = content_path(directory, str(node["name"]), _version(node))
    try:
        return path.stat().st_size == int(node.get("sizeBytes") or 0)
    except OSError:
        return False


def list_files(client: Client, run: RunPath, asked: Sequence[str]) -> Iterator[FileNode]:
    """Yield the backend's fields of each file of a run whose name matches an item of ``asked``."""
    # The backend selects files by exact names; patterns are matched here.
    names = list(asked) if not any(set(one) & set("%*?[") for one in asked) else []
    cursor, seen = None, set[str]()
    while True:
        found = fetch_run_files(client, run, names, cursor=cursor, limit=FILES_PER_PAGE)
        with answer_to(client, "RunFiles", f"the files of '{run}'"):
            files = found.get("files") or {"edges": []}
            nodes = [edge["node"] for edge in files["edges"]]
            page = files.get("pageInfo") or {}
            cursor, has_next = page.get("endCursor"), bool(page.get("hasNextPage"))
            new = [node for node in nodes if node["name"] not in seen]
        seen.update(node["name"] for node in new)
        yield from (node for node in new if matches(str(node["name"]), asked))
        # A backend that repeats a page would otherwise be asked for ever.
        if not has_next or not new:
            return


def _version(node: FileNode) -> str:
    return f"{node.get('md5')}\0{node.get('sizeBytes')}\0{node.get('updatedAt')}"


def _download(client: Client, run: RunPath, node: FileNode, path: Any) -> int:
    size = int(node.get("sizeBytes") or 0)
    md5 = promised_md5(node)
    what = f"{str(node['name'])!r} of '{run}'"
    limit = size or None if md5 else None
    download_file(client, str(node.get("url")), path, what=what, md5=md5, max_bytes=limit)
    return int(path.stat().st_size)
