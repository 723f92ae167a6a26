"""Pages of lists: the connections of the protocol, and the times and cursors in them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from runlake.server.graphql.table import Fields, Given, Show
from runlake.server.runs.runs import Refused

DEFAULT_PAGE = 50


def connection(page: Iterable[tuple[Any, str]], *, has_next: bool, **more: Any) -> Fields:
    """Return a page of a list.

    Parameters
    ----------
    page : iterable of tuple
        Each value with the cursor behind which the page after it starts.
    has_next : bool
        There are more.
    **more
        Other fields of the connection.
    """
    edges = [{"node": node, "cursor": cursor} for node, cursor in page]
    end = edges[-1]["cursor"] if edges else None
    return {"edges": edges, "pageInfo": {"endCursor": end, "hasNextPage": has_next}, **more}


def numbered(rows: list[sqlite3.Row], given: Given) -> Fields:
    """Return the page of rows that ``after`` and ``first`` ask for; a cursor is a position."""
    start, limit = window(given)
    return numbered_page(rows[start : start + limit], start, len(rows))


def numbered_page(page: Iterable[Any], start: int, total: int) -> Fields:
    """Return a page that starts at a position of a list with so many values."""
    cursors = [(row, str(at)) for at, row in enumerate(page, start=start + 1)]
    has_next = start + len(cursors) < total
    return connection(cursors, has_next=has_next, totalCount=total)


def window(given: Given) -> tuple[int, int]:
    """Return where a numbered page starts, and how many values it has at most."""
    after = given.get("after") or "0"
    if not after.isdecimal():
        raise Refused(f"{after!r} is no cursor of this backend")
    return int(after), max(0, given.get("first", DEFAULT_PAGE))


def timestamp(seconds: float) -> str:
    """Return a time as the protocol writes it: ISO 8601, UTC, without a zone."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def time_in(column: str) -> Show:
    """Show the time in a column, null where there is none."""

    def show(row: Any) -> str | None:
        seconds = row[column]
        return None if seconds is None else timestamp(seconds)

    return show
