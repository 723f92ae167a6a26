"""List the runs to pull, page by page, with all their fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runlake.backend.graphql import documents
from runlake.backend.http.client import Client
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
        State, heartbeat and number of lines.
    attrs : dict
        The run's fields by the backend's names.
    """

    path: RunPath
    freshness: Freshness
    attrs: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ListedPage:
    """A page of runs.

    Parameters
    ----------
    runs : tuple of Listed
        The runs, each once.
    missing : tuple of RunPath
        Runs that were requested by path, and that the backend does not list.
    """

    runs: tuple[Listed, ...]
    missing: tuple[RunPath, ...] = ()


class Entities(DefaultEntity):
    """Finds the entity of paths that name none; a request at the first use.

    Parameters
    ----------
    client : Client
        The backend.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def of(self, selection: Selection) -> str:
        """Return the entity of a selection."""
        return self._entity(selection.entity)


def list_pages(client: Client, request: PullRequest) -> Iterator[ListedPage]:
    """Yield the runs of a request, page by page; a page is requested when it is needed."""
    entities = Entities(client)
    for selection in request.selections:
        entity = entities.of(selection)
        if not selection.run_ids:
            yield from _pages(client, entity, selection, selection.filters)
            continue
        for start in range(0, len(selection.run_ids), FIRST_PAGE):
            ids = selection.run_ids[start : start + FIRST_PAGE]
            named = {"name": {"$in": list(ids)}}
            both = {"$and": [named, selection.filters]} if selection.filters else named
            left = dict.fromkeys(ids)
            for page in _pages(client, entity, selection, both):
                for run in page.runs:
                    left.pop(run.path.run_id, None)
                yield page
            if left and not selection.filters:
                missing = tuple(RunPath(entity, selection.project, run_id) for run_id in left)
                yield ListedPage((), missing)


def _pages(client: Client, entity: str, selection: Selection, filters: Any) -> Iterator[ListedPage]:
    listed = Runs(client, entity, selection.project, filters, selection.order, FIRST_PAGE)
    for nodes in listed._iter_nodes(MAX_PER_PAGE):  # noqa: SLF001 - lists raw fields
        yield ListedPage(tuple(_listed(entity, selection.project, node) for node in nodes))


def _listed(entity: str, project: str, node: dict[str, Any]) -> Listed:
    # Fields that were not requested, as some backends send, may change with every answer.
    attrs = {name: value for name, value in node.items() if name in documents.RUN_FIELD_NAMES}
    freshness = freshness_of(
        node.get("state"), node.get("heartbeatAt"), node.get("historyLineCount")
    )
    return Listed(RunPath(entity, project, node["name"]), freshness, attrs)
