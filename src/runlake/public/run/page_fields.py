"""Large fields of a list's runs, such as the config, loaded for many runs by one request."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakSet

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import fetch_run, query_project
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.errors import BackendError, Unreachable
from runlake.public.lists.pages import page_of
from runlake.values import RunPath

# A run may change after its page was loaded, so fields that are older than this are loaded again.
MAX_AGE_SECONDS = 10.0
# Maximum number of runs per request: config and summary of one run may have megabytes.
MAX_TOGETHER = 100
# An answer of this length is decoded in about 100 ms. W&B sends at most this many runs per page.
PAGE_CHARACTERS = 4_000_000
MAX_PER_PAGE = 1_000
# Estimated number of characters that describe one key of a run's history.
KEY_CHARACTERS = 100

# Weak, because a page must be freed together with its list.
_pages: WeakSet[PageFields] = WeakSet()
_pages_guard = threading.Lock()


class PageFields:
    """The large fields, such as config and summary, of the runs on one page of a list.

    When a run needs its large fields, they are loaded for the other runs of its page too. Each run
    takes its fields from this object once.

    Parameters
    ----------
    entity, project : str
        The project of the runs.
    run_ids : sequence of str
        The runs of the page, in order.
    loaded : mapping, optional
        Large fields by run id, if the request for the page has returned them already.
    """

    def __init__(
        self,
        entity: str,
        project: str,
        run_ids: Sequence[str],
        loaded: Mapping[str, dict[str, Any]] | None = None,
    ) -> None:
        self._entity = entity
        self._project = project
        # Runs that have not taken their fields; a dict, because it is ordered.
        self._waiting = dict.fromkeys(run_ids)
        self._n_runs = len(self._waiting)
        self._loaded = dict(loaded or {})
        self._loaded_at = time.monotonic()
        self._n_together = MAX_TOGETHER
        self._n_taken = self._n_read = 0
        self._guard = threading.Lock()
        with _pages_guard:
            _pages.add(self)

    @property
    def is_read(self) -> bool:
        """True if most runs of the page took their large fields before these were dropped.

        Large fields are dropped `MAX_AGE_SECONDS` after they were loaded.
        """
        return 2 * self._n_read > self._n_runs

    def fetch(self, client: Client, path: RunPath) -> dict[str, Any]:
        """Return all fields of a run.

        Makes at most one request for runs of the page, and one for this run alone.

        Parameters
        ----------
        client : Client
            Client of the backend.
        path : RunPath
            The run whose fields to return.

        Returns
        -------
        dict
            The fields, under the backend's names, loaded at most `MAX_AGE_SECONDS` ago.

        Raises
        ------
        RunNotFoundError
            If the run does not exist any more.
        """
        run_id = path.run_id
        with self._guard:
            # The lock is held during the request: other threads that need fields of this page wait
            # for its answer instead of sending requests of their own.
            if time.monotonic() - self._loaded_at > MAX_AGE_SECONDS:
                self._loaded.clear()
            if run_id in self._waiting and run_id not in self._loaded:
                self._load(client, run_id)
            self._waiting.pop(run_id, None)
            found = self._loaded.pop(run_id, None)
            self._n_taken += found is not None
            self._n_read += found is not None
        return fetch_run(client, path) if found is None else found

    def forget(self, run_id: str) -> None:
        """Drop the loaded fields of a run."""
        with self._guard:
            self._loaded.pop(run_id, None)

    def is_of(self, path: RunPath) -> bool:
        """Return whether a run belongs to the page's project, and so may be on the page."""
        return (path.entity, path.project) == (self._entity, self._project)

    def _load(self, client: Client, run_id: str) -> None:
        if self._n_taken:
            # Load at most twice as many runs as took their fields after the last request.
            self._n_together = min(MAX_TOGETHER, 2 * self._n_taken)
        waiting = list(self._waiting)
        # From this run on, as loops go forward; at the end of the page, from earlier runs on.
        start = min(waiting.index(run_id), max(0, len(waiting) - self._n_together))
        asked = waiting[start : start + self._n_together]
        self._n_taken = 0
        if len(asked) == 1:
            return
        try:
            found = self._request(client, asked)
        except Unreachable:
            self._waiting.clear()
            raise
        except BackendError:
            # Each run is now requested alone: either that succeeds, or the error names the run.
            self._waiting.clear()
            return
        self._loaded_at = time.monotonic()
        self._loaded = found
        # These runs were deleted: a request for one of them alone then says so.
        for missing in set(asked) - set(found):
            del self._waiting[missing]

    def _request(self, client: Client, asked: Sequence[str]) -> dict[str, dict[str, Any]]:
        variables = {
            "entity": self._entity,
            "project": self._project,
            "filters": json.dumps({"name": {"$in": asked}}),
            "perPage": len(asked),
            "cursor": None,
            "order": None,
            "isFirst": False,
        }
        project = query_project(client, documents.runs(is_light=False), variables)
        with answer_to(client, "Runs", f"the runs of '{self._entity}/{self._project}'"):
            nodes = [edge["node"] for edge in page_of(project.get("runs")).objects]
            return {node["name"]: node for node in nodes if node["name"] in asked}


def count_fitting(nodes: Sequence[Mapping[str, Any]]) -> int:
    """Estimate from the large fields of a page's runs how many runs a later page can have.

    Examples
    --------
    >>> count_fitting([{"config": "x" * 100_000}]), count_fitting([{"config": "{}"}])
    (40, 1000)
    """
    n_characters = 0
    for node in nodes:
        values = (node.get(name) for name in documents.RUN_LARGE_FIELDS[:3])
        n_characters += sum(len(value) for value in values if isinstance(value, str))
        facts = node.get("historyKeys")
        keys = facts.get("keys") if isinstance(facts, dict) else None
        n_characters += KEY_CHARACTERS * len(keys) if isinstance(keys, dict) else 0
    return min(MAX_PER_PAGE, PAGE_CHARACTERS * len(nodes) // max(1, n_characters))


def forget_fields(path: RunPath) -> None:
    """Drop the fields of a run that were loaded with a page of a list, because the run changed."""
    with _pages_guard:
        pages = [page for page in _pages if page.is_of(path)]
    for page in pages:
        page.forget(path.run_id)
