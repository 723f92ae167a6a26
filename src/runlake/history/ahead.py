"""The next piece is decoded while the consumer works on this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


def collect_ahead(pieces: Iterator[Sequence[pl.LazyFrame]]) -> Iterator[pl.DataFrame]:
    """Collect pieces one after the other, the next one in the background.

    Parameters
    ----------
    pieces : iterator of sequences of polars.LazyFrame
        Each is made when it is to be started. The frames of a piece are its columns: of the same
        rows, and collected side by side.

    Yields
    ------
    polars.DataFrame
        In the order of the pieces. No other than the first is started before it is asked for,
        because who wants a single row has to wait for nothing else. Leaving early cancels what is
        under way.

    Notes
    -----
    polars runs the queries on threads of its own. A Python thread won nothing here: before each of
    its steps it waited up to 5 ms for the interpreter's lock, which the consumer held.
    """
    first = _start(pieces)
    if first is None:
        return
    yield _fetch(first)
    coming = _start(pieces)
    try:
        while coming is not None:
            frame = _fetch(coming)
            coming = _start(pieces)
            yield frame
    finally:
        if coming is not None:
            for query in coming:
                query.cancel()


def _start(pieces: Iterator[Sequence[pl.LazyFrame]]) -> list[Any] | None:
    """Start the next piece; polars warns that the interface of ``background`` may change."""
    piece = next(pieces, None)
    return None if piece is None else [frame.collect(background=True) for frame in piece]


def _fetch(piece: list[Any]) -> pl.DataFrame:
    import polars as pl

    frames: list[pl.DataFrame] = [query.fetch_blocking() for query in piece]
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="horizontal")
