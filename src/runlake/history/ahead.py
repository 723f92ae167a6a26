"""The next piece is decoded while the consumer works on this one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


def collect_ahead(pieces: Iterator[Sequence[pl.LazyFrame]]) -> Iterator[pl.DataFrame]:
    """Collect pieces one after the other, the next one in a thread.

    Parameters
    ----------
    pieces : iterator of sequences of polars.LazyFrame
        Each is made when it is to be started. The frames of a piece are its columns: of the same
        rows, and collected side by side.

    Yields
    ------
    polars.DataFrame
        In the order of the pieces. No other than the first is started before it is asked for,
        because who wants a single row has to wait for nothing else. Leaving early does not wait for
        the piece under way.
    """
    first = next(pieces, None)
    if first is None:
        return
    yield _collect_side_by_side(first)
    executor = ThreadPoolExecutor(1, thread_name_prefix="runlake-ahead")
    try:
        coming = _start_next(executor, pieces)
        while coming is not None:
            frame = coming.result()
            coming = _start_next(executor, pieces)
            yield frame
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _collect_side_by_side(piece: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    if len(piece) == 1:
        return piece[0].collect()
    import polars as pl

    with ThreadPoolExecutor(len(piece) - 1, thread_name_prefix="runlake-columns") as executor:
        others = [_start(executor, [part]) for part in piece[1:]]
        frames = [piece[0].collect(), *(other.result() for other in others)]
    return pl.concat(frames, how="horizontal")


def _start_next(
    executor: ThreadPoolExecutor, pieces: Iterator[Sequence[pl.LazyFrame]]
) -> Future[pl.DataFrame] | None:
    piece = next(pieces, None)
    return None if piece is None else _start(executor, piece)


def _start(executor: ThreadPoolExecutor, piece: Sequence[pl.LazyFrame]) -> Future[pl.DataFrame]:
    # Were the thread not waited for here, it would get the interpreter's lock only when the caller
    # gives it up after 5 ms, and the decoding, which needs no lock, would begin that much later.
    is_under_way = Event()
    future = executor.submit(_collect, piece, is_under_way)
    is_under_way.wait()
    return future


def _collect(piece: Sequence[pl.LazyFrame], is_under_way: Event) -> pl.DataFrame:
    is_under_way.set()
    return _collect_side_by_side(piece)
