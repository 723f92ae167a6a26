"""Pages of lists: rows, their cursors, and whether more rows follow."""

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
        One per row; a page that starts after a row is requested with its cursor.
    has_next : bool
        True if more rows follow.
    """

    rows: list[T]
    cursors: list[str]
    has_next: bool


def page_size(first: int | None) -> int:
    """Return the maximum number of rows of a page for the requested number."""
    return min(max(1, DEFAULT_PER_PAGE if first is None else first), MAX_PER_PAGE)


def cut_page(rows: list[T], size: int, cursor: Callable[[T], str]) -> Page[T]:
    """Return the first ``size`` rows as a page; pass one row more to show that more follow."""
    shown = rows[:size]
    return Page(shown, [cursor(row) for row in shown], len(rows) > size)
