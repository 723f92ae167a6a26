"""The next piece is decoded while the consumer works on this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
_END = object()


def run_ahead(
    pieces: Iterator[Callable[[], T]], divide: Callable[[T], tuple[T, T]] | None = None
) -> Iterator[T]:
    """Do pieces of work one after the other, the next one in a thread.

    Parameters
    ----------
    pieces : iterator of callable
        Each is made in the thread that does it, when the one before was taken.
    divide : callable, optional
        Divides what the first piece returned in two; both are yielded, be the second empty or not.

    Yields
    ------
    T
        What the pieces returned, in their order. No other than the first is begun before more than
        it, or the first part of it, is asked for, because who wants a single row has to wait for
        nothing else. Leaving early does not wait for the piece under way.
    """
    piece = next(pieces, None)
    if piece is None:
        return
    # Given away as it is yielded: a name would keep the first piece in memory until the end.
    left = deque([piece()])
    if divide is not None:
        left.extend(divide(left.popleft()))
    yield left.popleft()
    executor = ThreadPoolExecutor(1, thread_name_prefix="runlake-ahead")
    try:
        coming = _start(executor, pieces)
        while left:
            yield left.popleft()
        while (done := coming.result()) is not _END:
            coming = _start(executor, pieces)
            yield done
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def collect_side_by_side(parts: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    """Collect columns of the same rows, each part in a thread."""
    if len(parts) == 1:
        return parts[0].collect()
    import polars as pl

    try:
        with ThreadPoolExecutor(len(parts) - 1, thread_name_prefix="runlake-columns") as executor:
            others = [executor.submit(part.collect) for part in parts[1:]]
            frames = [parts[0].collect(), *(other.result() for other in others)]
    except RuntimeError:
        # No thread can be had.
        frames = [part.collect() for part in parts]
    return pl.concat(frames, how="horizontal")


def _start(executor: ThreadPoolExecutor, pieces: Iterator[Callable[[], T]]) -> Future[T]:
    # Were the thread not waited for here, it would get the interpreter's lock only when the caller
    # gives it up after 5 ms, and the decoding, which needs no lock, would begin that much later.
    is_under_way = Event()
    try:
        future = executor.submit(_do_next, pieces, is_under_way)
    except RuntimeError:
        # No thread can be had: beyond a limit, or while the process ends.
        future = Future()
        future.set_result(_do_next(pieces, is_under_way))
    is_under_way.wait()
    return future


def _do_next(pieces: Iterator[Callable[[], T]], is_under_way: Event) -> T:
    is_under_way.set()
    piece = next(pieces, None)
    return _END if piece is None else piece()  # type: ignore[return-value]
