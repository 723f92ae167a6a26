"""The list of a project's runs, filtered and ordered by the backend, page by page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

from runlake.backend.graphql import documents
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.graphql.walk import Walk
from runlake.backend.http.client import Client
from runlake.cache.pull import expect_unchanged
from runlake.errors import (
    AccessDenied,
    AuthenticationError,
    BackendError,
    InvalidArgument,
    OfflineError,
    ProjectNotFoundError,
    StaleWarning,
    Unreachable,
)
from runlake.errors.screen import line_for_screen
from runlake.errors.user_line import for_thread, warn
from runlake.exports.manifest import freshness_of
from runlake.history.runs.open import BackendSource, ListedRun, RunSource
from runlake.public.lists.filters import checked_filters
from runlake.public.lists.in_project import PagesInProject
from runlake.public.lists.pages import Page, SizedPages, page_of
from runlake.public.run.page_fields import (
    MAX_PER_PAGE,
    MAX_TOGETHER,
    PageFields,
    count_fitting,
)
from runlake.public.run.run import ENDED, Run
from runlake.public.runs.run_set import RunSet
from runlake.public.sweeps import Sweep
from runlake.values import DEFAULT_ORDER, Question, RunPath
from runlake.values.counted import counted

# If the backend refuses a page, the page size is divided by this number.
SHRINK = 5

T = TypeVar("T")


class RunList(PagesInProject[Run], SizedPages[Run], RunSet):
    """The runs of a project that match a filter.

    Parameters
    ----------
    client : Client
        Client of the backend.
    entity, project : str
        The project of the runs.
    filters : mapping, optional
        In the protocol's MongoDB-like language: ``{"config.lr": {"$gt": 0.01}}``.
    order : str
        ``+`` (ascending) or ``-`` (descending) and a field.
    per_page : int
        Runs per request.
    include_sweeps : bool
        Fetch the sweeps of the runs together with the list; each sweep costs one request.
    lazy : bool
        List the runs without config and summary. The first access to either of them loads both, for
        up to 100 runs of the same page in one request.

    Raises
    ------
    InvalidArgument
        If an argument is wrong; this is checked before any request.
    """

    _operation = "Runs"

    def __init__(
        self,
        client: Client,
        entity: str,
        project: str,
        filters: Mapping[str, Any] | None = None,
        order: str = DEFAULT_ORDER,
        per_page: int = 50,
        include_sweeps: bool = False,
        lazy: bool = True,
    ) -> None:
        super().__init__(client, entity, project, per_page)
        self.filters = checked_filters(filters)
        self.order = _checked_order(order)
        self._include_sweeps = include_sweeps
        self._lazy = lazy
        self._sweeps: dict[str, Sweep] = {}
        self._together: PageFields | None = None
        self._is_large = False
        self._reads_all = False
        self._n_fitting = 0
        # A thread that requests the next page, and its requests by cursor; used only while all
        # pages are read.
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: dict[str, Future[dict[str, Any]]] = {}

    def _key(self, one: Run) -> str:
        return one.id

    @property
    def _what(self) -> str:
        return f"the runs of '{self._place}'"

    def _fetch(self, cursor: str | None) -> Page[Run]:
        if not self._lazy:
            edges = self._full_edges(cursor)
            return edges.opened(self._open)
        edges, large = self._lazy_edges(cursor)
        page = edges.opened(self._open)
        self._together = PageFields(
            self.entity, self.project, [run.id for run in page.objects], large
        )
        for run in page.objects:
            run._load_with(self._together)  # noqa: SLF001 - the list fills its own runs
        return page

    def _full_edges(self, cursor: str | None) -> Page[dict[str, Any]]:
        """Return a page of runs with their large fields, such as the config.

        If all pages will be read, the next page is requested now, so that the backend prepares it
        while the runs of this page are opened.
        """
        document = documents.runs(is_light=False)
        asked = self._ahead.pop(cursor, None) if cursor is not None else None
        if asked is None:
            n_runs = max(self.per_page, self._n_fitting if self._reads_all else 0)
            edges = self._edges(document, cursor, n_runs)
        else:
            edges = self._edges_of(asked.result())
        self._n_fitting = count_fitting([edge["node"] for edge in edges.objects])
        # Asked before the runs of this page are opened: the backend works meanwhile.
        if self._thread is not None and edges.has_next and edges.cursor is not None:
            n_runs = max(self.per_page, self._n_fitting)
            ask = for_thread(self._ask_page)
            self._ahead[edges.cursor] = self._thread.submit(ask, document, edges.cursor, n_runs)
        return edges

    def _lazy_edges(
        self, cursor: str | None
    ) -> tuple[Page[dict[str, Any]], dict[str, dict[str, Any]]]:
        """Return a page of runs without their large fields, and the large fields by run id.

        Large fields are requested only if most runs of the previous page used their large fields.
        """
        is_read = self._together is not None and self._together.is_read
        if is_read and not self._is_large and self.per_page <= MAX_TOGETHER:
            try:
                edges = self._edges(documents.runs(is_light=False), cursor, self.per_page)
            except Unreachable:
                raise
            except BackendError:
                # The page may be too large for the backend.
                self._is_large = True
            else:
                large = {edge["node"]["name"]: edge["node"] for edge in edges.objects}
                return edges.opened(_without_large), large
        # Pages without large fields are small, so they can have more runs.
        n_runs = MAX_PER_PAGE if self._reads_all else self.per_page
        return self._edges(documents.runs(is_light=True), cursor, n_runs), {}

    def _open(self, edge: dict[str, Any]) -> Run:
        node = edge["node"]
        run = Run(self._client, self.entity, self.project, node["name"], node, lazy=self._lazy)
        if self._include_sweeps and run.sweep_name:
            run.sweep = self._sweep(run.sweep_name)
        return run

    def _edges(self, document: str, cursor: str | None, per_page: int) -> Page[dict[str, Any]]:
        return self._edges_of(self._ask_page(document, cursor, per_page))

    def _ask_page(self, document: str, cursor: str | None, per_page: int) -> dict[str, Any]:
        self._refuse_offline()
        return self._ask(
            document,
            cursor,
            filters=json.dumps(self.filters),
            order=self.order,
            perPage=per_page,
            # The count of all runs is requested with the first page only.
            isFirst=cursor is None,
        )

    def _edges_of(self, project: dict[str, Any]) -> Page[dict[str, Any]]:
        with answer_to(self._client, self._operation, self._what):
            total = project.get("runCount")
            # Only the first page asks for the number of runs.
            if total is None and self._last is not None:
                total = self._last.total
            page = page_of(project.get("runs"), total)
            if not all(isinstance(edge["node"]["name"], str) for edge in page.objects):
                raise TypeError("a run without a name")
        return page

    def _iter_nodes(self, most: int = MAX_PER_PAGE) -> Iterator[list[dict[str, Any]]]:
        """Request all runs with all of their fields, page by page; this list stays unchanged.

        If the backend refuses a page, for example because it is too large, smaller pages are
        requested.

        Parameters
        ----------
        most : int
            Maximum number of runs per page. The first page has ``per_page`` runs; later pages have
            more runs, up to ``most``, if the fields of the runs are short.

        Yields
        ------
        list of dict
            The fields of the runs of one page, as the backend sends them; each run once.
        """
        walk = Walk(self._client, self._what)
        cursor, has_next, per_page = None, True, self.per_page
        seen: set[str] = set()
        while has_next:
            walk.check()
            try:
                page = self._edges(documents.runs(is_light=False), cursor, per_page)
            except (Unreachable, AuthenticationError, AccessDenied, ProjectNotFoundError):
                raise
            except BackendError:
                if per_page == 1:
                    raise
                # The page stays small: the next one is likely to be refused too.
                per_page = most = max(1, per_page // SHRINK)
                continue
            nodes = [edge["node"] for edge in page.objects]
            new = [node for node in nodes if node["name"] not in seen]
            seen.update(node["name"] for node in new)
            yield new
            cursor, has_next = page.cursor, page.has_next
            walk.note(cursor, len(new), has_next=has_next)
            # Runs with short fields fit into larger pages, which cost fewer requests.
            per_page = min(most, max(self.per_page, count_fitting(nodes)))

    def _pages(self, document: str, per_page: int) -> Iterator[dict[str, Any]]:
        """Request the runs again, page by page, and yield their fields; the list stays unchanged.

        After the first page, pages have as many runs as fit into one answer.
        """
        walk = Walk(self._client, self._what)
        cursor, has_next = None, True
        seen: set[str] = set()
        while has_next:
            walk.check()
            page = self._edges(document, cursor, per_page)
            n_known = len(seen)
            nodes = [edge["node"] for edge in page.objects]
            per_page = max(per_page, count_fitting(nodes))
            seen.update(node["name"] for node in nodes)
            yield from nodes
            cursor, has_next = page.cursor, page.has_next
            walk.note(cursor, len(seen) - n_known, has_next=has_next)

    def _refuse_offline(self) -> None:
        if self._client.settings.offline:
            origin = self._client.origin
            raise OfflineError(
                f"{self._what[:1].upper()}{self._what[1:]} are listed by {origin}, and offline "
                "mode is on. Lake() lists and reads the runs in the cache; Runs.pull() stores runs "
                "there while the backend can be reached.",
                operation=self._operation,
                origin=origin,
            )

    def _sweep(self, name: str) -> Sweep:
        if name not in self._sweeps:
            self._sweeps[name] = Sweep(self._client, self.entity, self.project, name)
        return self._sweeps[name]

    def upgrade_to_full(self) -> None:
        """Load config and summary of all fetched runs of a lazy list, in pages of up to 1,000."""
        # Without the lock, another thread could request a page without large fields now, and open
        # it as if it had them.
        with self._guard:
            if self._lazy:
                self._load_large_fields()
                self._lazy = False

    def _load_large_fields(self) -> None:
        lazy = {run.id: run for run in self.objects if run.is_lazy}
        if lazy:
            for node in self._pages(documents.runs(is_light=False), self.per_page):
                found = lazy.pop(node["name"], None)
                if found is not None:
                    found._take_full_data(node)  # noqa: SLF001 - the list fills its own runs
                if not lazy:
                    break
        for run in lazy.values():
            # The run no longer matches the filter, so the pages do not have it any more.
            run.load_full_data()

    @property
    def _source(self) -> RunSource:
        return BackendSource(self._client)

    def _ids(self) -> list[str]:
        return [run.id for run in self]

    def _runs(self) -> list[Run]:
        return list(self)

    def _full_runs(self) -> list[Run]:
        self.upgrade_to_full()
        return list(self)

    def _light_fields(self) -> list[dict[str, Any]]:
        self._reach_all()
        return [self._with_place(run) for run in self.objects]

    def _all_fields(self) -> list[dict[str, Any]]:
        self.upgrade_to_full()
        self._reach_all()
        return [{**self._with_place(run), "config": run.config} for run in self.objects]

    def _reach_all(self) -> None:
        """Fetch all pages, with more runs per page than when pages are fetched one by one."""
        with self._guard:
            self._reads_all = True
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="runlake-list")
            try:
                self._reach(None)
            finally:
                # Do not wait for the thread, so that an interrupted call ends at once.
                self._thread.shutdown(wait=False, cancel_futures=True)
                self._thread = None
                self._ahead.clear()
                self._reads_all = False

    def _with_place(self, run: Run) -> dict[str, Any]:
        return {**run.load(), "url": run.url, "entity": run.entity, "project": run.project}

    def _listed(self, *, is_full: bool = False) -> list[ListedRun]:
        if self._last is None:
            if is_full:
                self.upgrade_to_full()
            self._reach_all()
            return [_listed_run(run, run.load()) for run in self.objects]
        self._reach_all()
        facts = self._present_facts()
        return [_listed_run(run, facts.get(run.id)) for run in self.objects]

    def _listed_and_read(
        self,
        question: Question | None,
        read: Callable[[Sequence[ListedRun]], T],
        *,
        is_full: bool = False,
    ) -> tuple[Sequence[ListedRun], T]:
        """Return the runs and the result of ``read``, as `RunSet._listed_and_read` describes.

        If all runs had ended at their last pull and the needed files are on disk, the runs are read
        while the backend is asked whether a run has changed since. If one has, all runs are read
        again.
        """
        if question is None or self._last is None:
            return super()._listed_and_read(question, read, is_full=is_full)
        self._reach_all()
        early: tuple[Sequence[ListedRun], T] | None = None
        with ThreadPoolExecutor(1, thread_name_prefix="runlake-list") as thread:
            asked = thread.submit(for_thread(self._present_facts))
            expected = self._expected(question)
            known = [run for run in expected if run is not None]
            if len(known) == len(expected):
                # Every run had ended, so a read of the cache is right unless the answer says
                # otherwise.
                early = known, read(known)
            facts = asked.result()
        listed = [
            _listed_run(run, facts.get(run.id), one)
            for run, one in zip(self.objects, expected, strict=False)
        ]
        # A resumed run makes the early result wrong: everything is read again.
        return early if early is not None and early[0] == listed else (listed, read(listed))

    def _expected(self, question: Question) -> list[ListedRun | None]:
        """Return each run as its last pull stored it, with the state that it had then.

        None for a run that had not ended then, that had rows in no export, or whose needed files
        are not all on disk.
        """
        paths = [RunPath(run.entity, run.project, run.id) for run in self.objects]
        found = [expect_unchanged(self._client, path, question) for path in paths]
        return [
            None if pulled is None else ListedRun(path, pulled.manifest.freshness, pulled=pulled)
            for path, pulled in zip(paths, found, strict=True)
        ]

    def _present_facts(self) -> dict[str, dict[str, Any]]:
        """Request state, heartbeat and line count of all runs again; return them by run id."""
        try:
            # One request per 1,000 runs, although the list was fetched in smaller pages.
            nodes = list(self._pages(documents.runs_freshness(), MAX_PER_PAGE))
        except Unreachable:
            known = {run.id: run.load() for run in self.objects}
            # A run that had not ended may have logged rows meanwhile.
            if not all(one.get("state") in ENDED for one in known.values()):
                raise
            warn(
                f"The backend does not answer: {self._what} are as they were when they were "
                "listed.",
                StaleWarning,
            )
            return known
        return {node["name"]: node for node in nodes}

    def _listed_with_fields(self) -> list[ListedRun]:
        """Request all fields of the runs again, and return the runs with these fields.

        The `Run` objects of the list do not change.
        """
        self._reach_all()
        nodes = self._pages(documents.runs(is_light=False), self.per_page)
        sent = {
            node["name"]: {name: node[name] for name in node if name in documents.RUN_FIELD_NAMES}
            for node in nodes
        }
        return [
            replace(_listed_run(run, sent.get(run.id)), fields=sent.get(run.id)) for run in self
        ]

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_together": None}

    def __repr__(self) -> str:
        return line_for_screen(f"<Runs {self._place}{self._counts()}>")

    def _counts(self) -> str:
        """Return text such as ``: 12 runs, 3 running``; empty before the first request."""
        if self._last is None:
            return ""
        n_runs = len(self)
        said = f": {counted(n_runs, 'run')}"
        if self.more:
            return said
        n_running = sum(run._shown_state == "running" for run in self.objects)  # noqa: SLF001
        return f"{said}, {n_running:,} running" if n_running else said


def _listed_run(
    run: Run, facts: Mapping[str, Any] | None, expected: ListedRun | None = None
) -> ListedRun:
    """Return a run with the state, heartbeat and row count in ``facts``.

    If ``facts`` is None, these values are unknown. If ``expected`` has the same values, return
    ``expected``.
    """
    freshness = None
    if facts is not None:
        names = ("state", "heartbeatAt", "historyLineCount")
        freshness = freshness_of(*map(facts.get, names))
        if expected is not None and expected.freshness == freshness:
            return expected
    return ListedRun(RunPath(run.entity, run.project, run.id), freshness)


def _without_large(edge: dict[str, Any]) -> dict[str, Any]:
    node = edge["node"]
    kept = {name: node[name] for name in node if name not in documents.RUN_LARGE_FIELDS}
    return {**edge, "node": kept}


def _checked_order(order: object) -> str:
    if order is not None and not isinstance(order, str):
        raise InvalidArgument(f"order must be a string such as '-created_at', not {order!r}.")
    return order or DEFAULT_ORDER
