"""The next item made in a thread while the consumer works on this one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield what an iterator yields, making one item ahead.

    Parameters
    ----------
    items : iterator
        Does its work without the interpreter's lock, as decoders do; else nothing is won.

    Yields
    ------
    object
        The first one is made in the caller's thread, and no other before it is asked for: starting
        a thread delays the first rows by more than it could win. Leaving early does not wait for
        the item under way.
    """
    done = object()
    first = next(items, done)
    if first is done:
        return
    yield first  # type: ignore[misc]
    executor = ThreadPoolExecutor(1, thread_name_prefix="runlake-ahead")
    try:
        coming: Future[object] = executor.submit(next, items, done)
        while (item := coming.result()) is not done:
            coming = executor.submit(next, items, done)
            yield item  # type: ignore[misc]
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
