"""Run what blocks off the event loop."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

# Reads wait for a disk, a backend or an engine that has threads of its own.
N_THREADS = 16


async def in_thread(call: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """Call a function that blocks, off the event loop; its error is raised here."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads(), functools.partial(call, *args, **named))


@functools.cache
def _threads() -> ThreadPoolExecutor:
    """Return the threads of pages: others than those in which an embedded backend answers."""
    return ThreadPoolExecutor(N_THREADS, "runlake-pages")
