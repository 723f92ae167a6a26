"""List the runs to pull, page by page, with all their fields."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from runlake.backend.graphql import documents
from runlake.backend.graphql.query import query_project
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.errors import BackendError
from runlake.exports.manifest import Freshness, freshness_of
from runlake.lake.pulling.request import PullRequest, Selection
from runlake.public.default_entity import DefaultEntity
from runlake.public.runs.runs import Runs
from runlake.values import RunPath

FIRST_PAGE = 50  # so that the first downloads begin soon
MAX_PER_PAGE = 250


@dataclass(frozen=True, slots=True)
class Listed:
    """A run from the backend's list.

    Parameters
    ----------
    path : RunPath
        The run.
    freshness : Freshness
        State, heartbeat and number of history lines, which show whether the run has changed.
    attrs : dict
        The run's fields by the backend's names.
    n_artifacts : tuple of int or None
        How many artifacts the run has logged and used; None if that was not requested, or if the
        backend did not say.
    """

    path: RunPath
    freshness: Freshness
    attrs: dict[str, Any]
    n_artifacts: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of the backend's list of runs.

    Parameters
    ----------
    runs : tuple of Listed
        The runs of the page.
    missing : tuple of RunPath
        Runs that were requested by path, and that the backend does not list.
    """

    runs: tuple[Listed, ...]
    missing: tuple[RunPath, ...] = ()


class Entities(DefaultEntity):
    """Finds the entity of a selection; the API key's default entity is requested once at most.

    Parameters
    ----------
    client : Client
        The backend.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def of(self, selection: Selection) -> str:
        """Return the entity of a selection; the default entity if the selection names none."""
        return self._entity(selection.entity)


def list_pages(client: Client, request: PullRequest) -> Iterator[ListedPage]:
    """Yield the runs of a pull page by page; each page is requested when the caller needs it."""
    entities = Entities(client)
    for selection in request.selections:
        entity = entities.of(selection)
        if not selection.run_ids:
            for page in _pages(client, entity, selection, selection.filters):
                yield _with_numbers(client, page) if request.artifacts else page
            continue
        for start in range(0, len(selection.run_ids), FIRST_PAGE):
            ids = selection.run_ids[start : start + FIRST_PAGE]
            named = {"name": {"$in": list(ids)}}
            both = {"$and": [named, selection.filters]} if selection.filters else named
            left = dict.fromkeys(ids)
            for page in _pages(client, entity, selection, both):
                for run in page.runs:
                    left.pop(run.path.run_id, None)
                yield _with_numbers(client, page) if request.artifacts else page
            # With filters, a run that is not listed may exist, and not match.
            if left and not selection.filters:
                missing = tuple(RunPath(entity, selection.project, run_id) for run_id in left)
                yield ListedPage((), missing)


def _pages(client: Client, entity: str, selection: Selection, filters: Any) -> Iterator[ListedPage]:
    listed = Runs(client, entity, selection.project, filters, selection.order, FIRST_PAGE)
    for nodes in listed._iter_nodes(MAX_PER_PAGE):  # noqa: SLF001 - lists raw fields
        yield ListedPage(tuple(_listed(entity, selection.project, node) for node in nodes))


def _with_numbers(client: Client, page: ListedPage) -> ListedPage:
    """Request how many artifacts each run of a page has, and return the page with these numbers."""
    if not page.runs:
        return page
    place, ids = page.runs[0].path, [run.path.run_id for run in page.runs]
    variables = {
        "entity": place.entity,
        "project": place.project,
        "filters": json.dumps({"name": {"$in": ids}}),
        "perPage": len(ids),
        "cursor": None,
        "order": None,
        "isFirst": False,
    }
    try:
        answer = query_project(client, documents.runs_artifacts(), variables)
    except BackendError:
        # An older backend may refuse this query. Then the artifacts of each run are listed.
        return page
    with answer_to(client, "Runs", "the artifacts of runs"):
        nodes = [edge["node"] for edge in (answer.get("runs") or {}).get("edges") or ()]
        numbers = {node["name"]: numbers_of(node) for node in nodes}
    runs = [replace(run, n_artifacts=numbers.get(run.path.run_id)) for run in page.runs]
    return replace(page, runs=tuple(runs))


def numbers_of(node: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return how many artifacts a run has logged and used; None if this is unknown."""
    found = [node.get(name) for name in ("outputArtifacts", "inputArtifacts")]
    n_logged, n_used = (None if one is None else one.get("totalCount") for one in found)
    return None if n_logged is None or n_used is None else (int(n_logged), int(n_used))


def _listed(entity: str, project: str, node: dict[str, Any]) -> Listed:
    # Fields that were not requested, as some backends send, may change with every answer.
    attrs = {name: value for name, value in node.items() if name in documents.RUN_FIELD_NAMES}
    freshness = freshness_of(
        node.get("state"), node.get("heartbeatAt"), node.get("historyLineCount")
    )
    return Listed(RunPath(entity, project, node["name"]), freshness, attrs)
