"""Pages of lists: rows, where the page behind each starts, and whether there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
MAX_PER_PAGE = 1_000
DEFAULT_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A page of a list.

    Parameters
    ----------
    rows : list
        In order.
    cursors : list of str
        One per row: where the page behind it starts.
    has_next : bool
        There are more.
    """

    rows: list[T]
    cursors: list[str]
    has_next: bool


def page_size(first: int | None) -> int:
    """Return how many rows a page has at most where so many are asked for."""
    return min(max(1, DEFAULT_PER_PAGE if first is None else first), MAX_PER_PAGE)


def cut_page(rows: list[T], size: int, cursor: Callable[[T], str]) -> Page[T]:
    """Return a page of rows, of which there is one more than the page has if it has a next."""
    shown = rows[:size]
    return Page(shown, [cursor(row) for row in shown], len(rows) > size)
