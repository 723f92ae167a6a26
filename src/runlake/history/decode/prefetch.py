"""The next slice is decoded while the consumer works on this one."""

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
    tasks: Iterator[Callable[[], T]], divide: Callable[[T], tuple[T, T]] | None = None
) -> Iterator[T]:
    """Run tasks one after the other, the next one in a thread.

    Parameters
    ----------
    tasks : iterator of callable
        Each is made in the thread that does it, when the one before was taken.
    divide : callable, optional
        Divides what the first task returned in two; both are yielded, be the second empty or not.

    Yields
    ------
    T
        What the tasks returned, in their order. No other than the first is begun before more than
        it, or the first half of it, is asked for, because who wants a single row has to wait for
        nothing else. Leaving early does not wait for the task under way.
    """
    task = next(tasks, None)
    if task is None:
        return
    # Given away as it is yielded: a name would keep the first result in memory until the end.
    left = deque([task()])
    if divide is not None:
        left.extend(divide(left.popleft()))
    yield left.popleft()
    executor = ThreadPoolExecutor(1, thread_name_prefix="runlake-ahead")
    try:
        coming = _start(executor, tasks)
        while left:
            yield left.popleft()
        while (done := coming.result()) is not _END:
            coming = _start(executor, tasks)
            yield done
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def collect_side_by_side(frames: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    """Collect columns of the same rows, each frame in a thread."""
    if len(frames) == 1:
        return frames[0].collect()
    import polars as pl

    try:
        with ThreadPoolExecutor(len(frames) - 1, thread_name_prefix="runlake-columns") as executor:
            others = [executor.submit(frame.collect) for frame in frames[1:]]
            found = [frames[0].collect(), *(other.result() for other in others)]
    except RuntimeError:
        # No thread can be had.
        found = [frame.collect() for frame in frames]
    return pl.concat(found, how="horizontal")


def _start(executor: ThreadPoolExecutor, tasks: Iterator[Callable[[], T]]) -> Future[T]:
    # Were the thread not waited for here, it would get the interpreter's lock only when the caller
    # gives it up after 5 ms, and the decoding, which needs no lock, would begin that much later.
    is_under_way = Event()
    try:
        future = executor.submit(_do_next, tasks, is_under_way)
    except RuntimeError:
        # No thread can be had: beyond a limit, or while the process ends.
        future = Future()
        future.set_result(_do_next(tasks, is_under_way))
    is_under_way.wait()
    return future


def _do_next(tasks: Iterator[Callable[[], T]], is_under_way: Event) -> T:
    is_under_way.set()
    task = next(tasks, None)
    return _END if task is None else task()  # type: ignore[return-value]
