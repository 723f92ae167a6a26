"""Decode the next slice in a thread while the consumer processes the previous slice."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import polars as pl

T = TypeVar("T")
_END = object()


def run_ahead(
    tasks: Iterator[Callable[[], T]], divide: Callable[[T], tuple[T, T]] | None = None
) -> Generator[T, None, None]:
    """Yield the results of tasks; while the caller uses one result, a thread runs the next task.

    Parameters
    ----------
    tasks : iterator of callable
        The tasks, in order. Each task except the first is taken from the iterator in the thread
        that runs this task.
    divide : callable, optional
        Divides the first result into two parts. Both parts are yielded, even if the second is
        empty.

    Yields
    ------
    T
        The results in the order of the tasks. The second task starts only when the caller requests
        more than the first result (or more than the first half of a divided result). So a caller
        that wants a single row does not wait for the second task. Closing the iterator early does
        not wait for the running task.
    """
    task = next(tasks, None)
    if task is None:
        return
    # Pop the result when it is yielded: a variable would keep it in memory until the end.
    left = deque([task()])
    if divide is not None:
        left.extend(divide(left.popleft()))
    yield left.popleft()
    # A thread of Python, because polars' own `collect(background=True)` aborts the process if its
    # running query is dropped (polars 2.1).
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


def collect_in_parallel(frames: Sequence[pl.LazyFrame]) -> pl.DataFrame:
    """Collect lazy frames in parallel, and return one frame with the columns of all of them.

    The frames have the same rows and different columns.
    """
    if len(frames) == 1:
        return frames[0].collect()
    import polars as pl

    try:
        with ThreadPoolExecutor(len(frames) - 1, thread_name_prefix="runlake-columns") as executor:
            others = [executor.submit(frame.collect) for frame in frames[1:]]
            found = [frames[0].collect(), *(other.result() for other in others)]
    except RuntimeError:
        # No thread can be started: at a limit of the system, or while the process exits.
        found = [frame.collect() for frame in frames]
    return pl.concat(found, how="horizontal")


def _start(executor: ThreadPoolExecutor, tasks: Iterator[Callable[[], T]]) -> Future[T]:
    # Wait until the thread runs. Otherwise it gets the GIL only after the switch interval of 5 ms,
    # and decoding, which needs no GIL, starts that much later.
    is_under_way = Event()
    try:
        future = executor.submit(_do_next, tasks, is_under_way)
    except RuntimeError:
        # No thread can be started: at a limit of the system, or while the process exits.
        future = Future()
        future.set_result(_do_next(tasks, is_under_way))
    is_under_way.wait()
    return future


def _do_next(tasks: Iterator[Callable[[], T]], is_under_way: Event) -> T:
    is_under_way.set()
    task = next(tasks, None)
    return _END if task is None else task()  # type: ignore[return-value]
