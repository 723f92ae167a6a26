"""Lazy lists: objects that a backend hands out page by page."""

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
    """One answer of a paged query.

    Parameters
    ----------
    objects : sequence
        What the page brought, in the order of the backend.
    cursor : str or None
        Where the next page starts.
    has_next : bool
        There is one.
    total : int or None
        Objects on all pages, where the backend says.
    n_hidden : int
        Objects that the page brought and that are not shown.
    """

    objects: Sequence[T]
    cursor: str | None
    has_next: bool
    total: int | None = None
    n_hidden: int = 0

    def opened(self, open_: Callable[[T], S | None]) -> Page[S]:
        """Return the same page with what is made of its objects; None is not shown."""
        made = [one for one in map(open_, self.objects) if one is not None]
        n_hidden = len(self.objects) - len(made)
        return Page(made, self.cursor, self.has_next, self.total, n_hidden)


class Pages(ABC, Generic[T]):
    """A list that is fetched as far as it is looked at; each page is one request.

    Several loops may run over it at once, also in threads; pages that one of them fetched are there
    for the others. What a backend lists twice, because the list moves between two pages, is in it
    once.

    Parameters
    ----------
    client : Client
        The backend.
    per_page : int
        Objects per request.
    start : str, optional
        The ``cursor`` of an earlier list, to go on there.

    Raises
    ------
    InvalidArgument
        If ``per_page`` is no integer of at least 1.
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
        self._guard = threading.RLock()

    # What the backend calls the question, for errors about the answer.
    _operation: str

    @abstractmethod
    def _fetch(self, cursor: str | None) -> Page[T]:
        """Ask for the page that starts at a cursor; None is the first."""

    @abstractmethod
    def _open(self, edge: dict[str, Any]) -> T | None:
        """Return the object that an edge of an answer, with its ``node``, stands for.

        None is not shown.
        """

    @abstractmethod
    def _key(self, one: T) -> Hashable:
        """Return a key that no other object of the list has."""

    @property
    @abstractmethod
    def _what(self) -> str:
        """What is listed, in the words of the user."""

    @property
    def more(self) -> bool:
        """There are objects that have not been fetched."""
        return self._last is None or self._last.has_next

    @property
    def cursor(self) -> str | None:
        """Where the next page starts."""
        return self._start if self._last is None else self._last.cursor

    def __iter__(self) -> Iterator[T]:
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
        """Return the object after the last that ``next`` gave."""
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
        """Fetch until an object is there, or all are; say whether it is."""
        with self._guard:
            while (index is None or len(self.objects) <= index) and self.more:
                self._turn()
        return index is not None and len(self.objects) > index

    def _page(self, connection: Mapping[str, Any] | None, total: int | None = None) -> Page[T]:
        """Return the page that an answer is; of another shape it is a `ProtocolError`."""
        with answer_to(self._client, self._operation, self._what):
            return page_of(connection, total).opened(self._open)

    def _turn(self) -> None:
        """Fetch the next page."""
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

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_guard"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._guard = threading.RLock()


class SizedPages(Pages[T]):
    """A lazy list whose length the backend gives with the first page."""

    def __len__(self) -> int:
        with self._guard:
            if self._last is None:
                self._reach(0)
        total = None if self._last is None else self._last.total
        is_overcounted = self._n_repeated > 0 and not self.more
        return len(self.objects) if total is None or is_overcounted else total


def page_of(connection: Mapping[str, Any] | None, total: int | None = None) -> Page[Any]:
    """Return the edges of a GraphQL connection that have a node as a page.

    Parameters
    ----------
    connection : mapping or None
        With ``edges`` and ``pageInfo``; nothing is an empty last page.
    total : int, optional
        Objects on all pages.

    Returns
    -------
    Page of dict
        The cursor is that of the last edge, else that of ``pageInfo``.
    """
    found = connection or {}
    total = total if isinstance(total, int) and total >= 0 else None
    edges = [edge for edge in found.get("edges") or [] if edge and edge.get("node") is not None]
    info = found.get("pageInfo") or {}
    cursor = (edges[-1].get("cursor") if edges else None) or info.get("endCursor")
    cursor = None if cursor is None else str(cursor)
    return Page(edges, cursor, bool(info.get("hasNextPage")), total)
