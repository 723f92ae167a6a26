"""Lazy lists: objects that are fetched from the backend page by page."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, overload

from runlake.backend.graphql.shapes import answer_to
from runlake.backend.graphql.walk import Walk
from runlake.backend.http.client import Client
from runlake.values import check_count

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of objects, from the response to a paged query.

    Parameters
    ----------
    objects : sequence
        The objects of the page, in the order of the backend.
    cursor : str or None
        The backend's cursor of the next page.
    has_next : bool
        True if there is a next page.
    total : int or None
        Number of objects on all pages; None if the backend does not give it.
    n_hidden : int
        Number of objects that the backend sent with the page, but that the list leaves out.
    """

    objects: Sequence[T]
    cursor: str | None
    has_next: bool
    total: int | None = None
    n_hidden: int = 0

    def opened(self, open_: Callable[[T], S | None]) -> Page[S]:
        """Apply ``open_`` to each object, and return a page of the results that are not None."""
        made = [one for one in map(open_, self.objects) if one is not None]
        n_hidden = len(self.objects) - len(made)
        return Page(made, self.cursor, self.has_next, self.total, n_hidden)


class Pages(ABC, Generic[T]):
    """A list that is fetched page by page as it is accessed; each page is one request.

    Several loops may run over the list at the same time, also in threads. The loops share the
    fetched pages. If objects are added between two page requests, the backend may send an object
    twice; the list has it once.

    Parameters
    ----------
    client : Client
        Client of the backend.
    per_page : int
        Objects per request.
    start : str, optional
        The ``cursor`` of an earlier list, at which this list continues.

    Raises
    ------
    InvalidArgument
        If ``per_page`` is not an integer of at least 1.
    """

    def __init__(self, client: Client, per_page: int = 50, start: str | None = None) -> None:
        self._client = client
        self.per_page = check_count(per_page, "per_page")
        self._start = start
        self.objects: list[T] = []
        self.index = -1
        self._last: Page[T] | None = None
        self._walk: Walk | None = None
        self._keys: set[Hashable] = set()
        self._n_repeated = 0
        # Reentrant, because subclasses hold the lock while they call `_reach`.
        self._guard = threading.RLock()

    # Name of the GraphQL operation, for errors about its answer.
    _operation: str

    @abstractmethod
    def _fetch(self, cursor: str | None) -> Page[T]:
        """Request the page that starts at a cursor; None means the first page."""

    @abstractmethod
    def _open(self, edge: dict[str, Any]) -> T | None:
        """Build the object of an edge (a mapping with ``node``); return None to omit the edge."""

    @abstractmethod
    def _key(self, one: T) -> Hashable:
        """Return a value that no other object in the list has, such as the object's id."""

    @property
    @abstractmethod
    def _what(self) -> str:
        """A phrase for messages that says what is listed, such as "the runs of 'team/proj'"."""

    @property
    def more(self) -> bool:
        """True if there are pages that have not been fetched."""
        return self._last is None or self._last.has_next

    @property
    def cursor(self) -> str | None:
        """The cursor of the next page; pass it as ``start`` to a new list that continues there."""
        return self._start if self._last is None else self._last.cursor

    def __iter__(self) -> Iterator[T]:
        # By index, because another loop may append objects to the list meanwhile.
        index = 0
        while self._reach(index):
            yield self.objects[index]
            index += 1

    def __next__(self) -> T:
        if not self._reach(self.index + 1):
            raise StopIteration
        self.index += 1
        return self.objects[self.index]

    def next(self) -> T:
        """Return the next object."""
        return self.__next__()

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        last = index.stop if isinstance(index, slice) else index
        first = index.start or 0 if isinstance(index, slice) else index
        needs_all = last is None or last < 0 or first < 0
        self._reach(None if needs_all else last)
        return self.objects[index]

    def _reach(self, index: int | None) -> bool:
        """Fetch pages until the list has an object at ``index``, or all pages if that is None.

        Return whether the list now has an object at ``index``; False if ``index`` is None.
        """
        with self._guard:
            while (index is None or len(self.objects) <= index) and self.more:
                self._turn()
        return index is not None and len(self.objects) > index

    def _page(self, connection: Mapping[str, Any] | None, total: int | None = None) -> Page[T]:
        """Return the page in a GraphQL connection; raise `ProtocolError` if its shape is wrong."""
        with answer_to(self._client, self._operation, self._what):
            return page_of(connection, total).opened(self._open)

    def _turn(self) -> None:
        """Fetch the next page, and append its new objects to the list."""
        if self._walk is None:
            self._walk = Walk(self._client, self._what, self._start)
        self._walk.check()
        page = self._fetch(self.cursor)
        n_known = len(self.objects)
        for one in page.objects:
            key = self._key(one)
            if key in self._keys:
                self._n_repeated += 1
            else:
                self._keys.add(key)
                self.objects.append(one)
        n_new = len(self.objects) - n_known + page.n_hidden
        self._walk.note(page.cursor, n_new, has_next=page.has_next)
        self._last = page

    def _take(self, objects: Sequence[T]) -> None:
        """Set the objects of the list, which then fetches no more pages."""
        self.objects = list(objects)
        self._last = Page(self.objects, None, has_next=False, total=len(self.objects))

    def __getstate__(self) -> dict[str, Any]:
        # Locks cannot be pickled.
        return {name: value for name, value in self.__dict__.items() if name != "_guard"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._guard = threading.RLock()


class SizedPages(Pages[T]):
    """A lazy list with a length, which the backend sends with the first page."""

    def __len__(self) -> int:
        with self._guard:
            if self._last is None:
                self._reach(0)
        total = None if self._last is None else self._last.total
        # If an object is on two pages, the backend's total counts it twice.
        is_overcounted = self._n_repeated > 0 and not self.more
        return len(self.objects) if total is None or is_overcounted else total


def page_of(connection: Mapping[str, Any] | None, total: int | None = None) -> Page[Any]:
    """Return the edges of a GraphQL connection as a page, without edges that have no node.

    Parameters
    ----------
    connection : mapping or None
        A mapping with ``edges`` and ``pageInfo``. For None or an empty mapping, the result is an
        empty last page.
    total : int, optional
        Number of objects on all pages.

    Returns
    -------
    Page of dict
        The page. Its cursor is taken from the last edge, or from ``pageInfo`` if the edge has no
        cursor.
    """
    found = connection or {}
    total = total if isinstance(total, int) and total >= 0 else None
    edges = [edge for edge in found.get("edges") or [] if edge and edge.get("node") is not None]
    info = found.get("pageInfo") or {}
    cursor = (edges[-1].get("cursor") if edges else None) or info.get("endCursor")
    cursor = None if cursor is None else str(cursor)
    return Page(edges, cursor, bool(info.get("hasNextPage")), total)
