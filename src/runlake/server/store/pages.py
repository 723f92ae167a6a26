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
        The rows of the page, in order.
    cursors : list of str
        One cursor per row; a client sends it to request the page that starts after the row.
    has_next : bool
        True if more rows follow.
    """

    rows: list[T]
    cursors: list[str]
    has_next: bool


def page_size(first: int | None) -> int:
    """Return how many rows a page may have if a client requested ``first`` rows.

    None means that the client requested no particular number.
    """
    return min(max(1, DEFAULT_PER_PAGE if first is None else first), MAX_PER_PAGE)


def cut_page(rows: list[T], size: int, cursor: Callable[[T], str]) -> Page[T]:
    """Return the first ``size`` rows as a page; if more rows are given, `has_next` is true."""
    shown = rows[:size]
    return Page(shown, [cursor(row) for row in shown], len(rows) > size)
