"""The next piece is decoded while the consumer works on this one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def collect_ahead(queries: Iterator[pl.LazyFrame]) -> Iterator[pl.DataFrame]:
    """Collect queries one after the other, the next one in the background.

    Parameters
    ----------
    queries : iterator of polars.LazyFrame
        Each is made when it is to be started.

    Yields
    ------
    polars.DataFrame
        In the order of the queries. The first is collected alone, and no other before it is asked
        for, because who wants a single row has to wait for nothing else. Leaving early cancels what
        is under way.

    Notes
    -----
    polars runs the query on threads of its own. A Python thread won nothing here: before each of
    its steps it waited up to 5 ms for the interpreter's lock, which the consumer held.
    """
    first = next(queries, None)
    if first is None:
        return
    yield first.collect()
    coming = _start(queries)
    try:
        while coming is not None:
            frame: pl.DataFrame = coming.fetch_blocking()
            coming = _start(queries)
            yield frame
    finally:
        if coming is not None:
            coming.cancel()


def _start(queries: Iterator[pl.LazyFrame]) -> Any:
    """Start the next query; polars warns that the interface of ``background`` may change."""
    query = next(queries, None)
    return None if query is None else query.collect(background=True)
