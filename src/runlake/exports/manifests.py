"""Fetch the manifests of many runs, with one request per page of runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import groupby
from typing import Any
from weakref import WeakSet

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query_project
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.errors import BackendError, ProtocolError, Unreachable
from runlake.exports.manifest import Manifest, fetch_manifest, parse_answer
from runlake.values import STEP, RunPath

RUNS_PER_PAGE = 50
# How many pages of manifests are requested before their runs are read: enough to keep all downloads
# busy, and few enough that the signed URLs in them do not expire.
PAGES_AHEAD = 2

# Clients whose backend does not answer about many runs at once.
_refusing: WeakSet[Client] = WeakSet()

_Answers = dict[RunPath, dict[str, Any]]


class Manifests:
    """Fetches the manifests of runs before they are needed, with one request per page of runs.

    Parameters
    ----------
    client : Client
        Client of the backend.
    runs : sequence of RunPath
        The runs, in the order in which the caller reads them.
    executor : Executor
        Its threads send the requests.
    """

    def __init__(
        self, client: Client, runs: Sequence[RunPath], executor: ThreadPoolExecutor
    ) -> None:
        self._client = client
        self._executor = executor
        self._pages = list(_pages(runs))
        self._page_of = {run: at for at, page in enumerate(self._pages) for run in page}
        self._answers: list[Future[_Answers]] = []
        self._guard = threading.Lock()

    def fetch(self, client: Client, run: RunPath) -> Manifest:
        """Return the manifest of a run; the backend may have sent it some seconds ago."""
        page = self._page_of[run]
        answer = None
        if client not in _refusing:
            with self._guard:
                for at in range(len(self._answers), min(page + PAGES_AHEAD, len(self._pages))):
                    self._answers.append(self._executor.submit(self._ask, self._pages[at]))
                asked = self._answers[page]
            answer = asked.result().pop(run, None)
        if answer is None:
            return fetch_manifest(client, run)
        return parse_answer(client, run, answer)

    def _ask(self, page: Sequence[RunPath]) -> _Answers:
        if len(page) == 1 or self._client in _refusing:
            return {}
        try:
            return _request(self._client, page)
        except Unreachable:
            raise
        except ProtocolError:
            # The manifest of one run may be malformed: request the manifest of each run alone.
            return {}
        except BackendError:
            # W&B answers this request about many runs, but not every backend does: from now on each
            # run is asked for alone.
            _refusing.add(self._client)
            return {}


@contextmanager
def manifests_of(client: Client, runs: Sequence[RunPath]) -> Iterator[Manifests]:
    """Yield an object that fetches the manifests of runs, with one request per page of runs.

    Parameters
    ----------
    client : Client
        Client of the backend.
    runs : sequence of RunPath
        The runs, in the order in which the caller reads them.

    Yields
    ------
    Manifests
        Fetches the manifests. If a backend refuses requests about many runs, each run is requested
        alone.
    """
    executor = ThreadPoolExecutor(PAGES_AHEAD, thread_name_prefix="runlake-manifests")
    try:
        yield Manifests(client, runs, executor)
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def _pages(runs: Sequence[RunPath]) -> Iterator[Sequence[RunPath]]:
    """Yield pages of runs; all runs of a page are in the same project."""
    for _, alike in groupby(dict.fromkeys(runs), lambda run: (run.entity, run.project)):
        members = list(alike)
        for start in range(0, len(members), RUNS_PER_PAGE):
            yield members[start : start + RUNS_PER_PAGE]


def _request(client: Client, page: Sequence[RunPath]) -> _Answers:
    paths = {run.run_id: run for run in page}
    variables = {
        "entity": page[0].entity,
        "project": page[0].project,
        "filters": json.dumps({"name": {"$in": list(paths)}}),
        "perPage": len(page),
        "cursor": None,
        "order": None,
        "isFirst": False,
        "liveKeys": [STEP],
    }
    project = query_project(client, documents.runs_history_manifests(), variables)
    with answer_to(client, "Runs", f"the runs of '{page[0].entity}/{page[0].project}'"):
        nodes = [edge["node"] for edge in (project.get("runs") or {})["edges"] if edge]
        return {paths[node["name"]]: node for node in nodes if node and node["name"] in paths}
