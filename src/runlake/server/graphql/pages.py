"""GraphQL connections (pages of lists), and the times and cursors in them."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from typing import Any

from runlake.server.graphql.table import Fields, Given, Show, identity
from runlake.server.refused import Refused
from runlake.server.store.ids import parse_number
from runlake.server.store.pages import DEFAULT_PER_PAGE, Page


def connection(page: Page[Any], show: Show = identity, **more: Any) -> Fields:
    """Return a page of a list as a GraphQL connection.

    Parameters
    ----------
    page : Page
        Rows and their cursors.
    show : callable
        Converts a row to a node; by default the row is the node.
    **more
        Other fields of the connection.
    """
    edges = [
        {"node": show(row), "cursor": cursor}
        for row, cursor in zip(page.rows, page.cursors, strict=True)
    ]
    end = page.cursors[-1] if page.cursors else None
    return {"edges": edges, "pageInfo": {"endCursor": end, "hasNextPage": page.has_next}, **more}


def numbered(rows: list[sqlite3.Row], given: Given) -> Fields:
    """Return the page of rows that ``after`` and ``first`` select, as a GraphQL connection.

    The cursor of a row is its position in all rows, from 1 on.
    """
    start, limit = window(given)
    return numbered_page(rows[start : start + limit], start, len(rows))


def numbered_page(rows: list[Any], start: int, total: int, show: Show = identity) -> Fields:
    """Return consecutive rows of a list as a GraphQL connection.

    The list has ``total`` rows; ``start`` is the number of rows before the given rows.
    """
    stop = start + len(rows)
    cursors = [str(position) for position in range(start + 1, stop + 1)]
    return connection(Page(rows, cursors, stop < total), show, totalCount=total)


def window(given: Given) -> tuple[int, int]:
    """Return the first position and the maximum size of the page that a client requests."""
    after = given.get("after") or "0"
    position = position_in(after)
    if position is None:
        raise Refused(f"{after!r:.60} is no cursor of this backend")
    return position, max(0, given.get("first", DEFAULT_PER_PAGE))


def position_in(cursor: str | None) -> int | None:
    """Return the list position that a cursor contains; None if the text is not a cursor."""
    try:
        return parse_number(cursor or "")
    except ValueError:
        return None


def timestamp(seconds: float) -> str:
    """Convert seconds since 1970 to a time in ISO 8601, in UTC but without a time zone."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def time_in(column: str) -> Show:
    """Return a function that takes a row and returns a column's time as text, or None."""

    def show(row: Any) -> str | None:
        seconds = row[column]
        return None if seconds is None else timestamp(seconds)

    return show
