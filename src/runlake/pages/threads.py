"""Runs blocking calls in threads, so that they do not block the event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# More than processors: calls mostly wait for a disk, a backend or the threads of an engine.
N_THREADS = 16


async def in_thread(call: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Call a blocking function in a thread, and return its result or raise its error."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads(), functools.partial(call, *args, **named))


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """Return the thread pool of the pages; an embedded backend uses other threads."""
    return ThreadPoolExecutor(N_THREADS, "runlake-pages")
