"""Decode a run's first rows during the request that checks whether the run has changed.

The rows are used if the run has not changed.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from runlake.backend.http.client import Client
from runlake.cache.pull import expect_unchanged
from runlake.history.decode.decode import first_query
from runlake.history.decode.first_slices import collect_first
from runlake.history.decode.queries import SliceQuery
from runlake.history.plan.plan import plan_read
from runlake.values import Question, RunPath

if TYPE_CHECKING:
    import polars as pl

Begun = tuple[SliceQuery, "pl.DataFrame"]


class HeadStart:
    """Decodes a run's first rows from the cache, in a background thread.

    Parameters
    ----------
    client : Client
        The backend; its settings name the cache.
    run : RunPath
        Path of the run.
    question : Question
        Keys and steps to read.
    """

    def __init__(self, client: Client, run: RunPath, question: Question) -> None:
        self._client = client
        self._run = run
        self._question = question
        self._begun: Future[Begun | None] | None = None
        # Threads do not survive a fork: a child process must not wait for this one.
        self._pid = os.getpid()
        executor = ThreadPoolExecutor(1, thread_name_prefix="runlake-head-start")
        # Start only if the module is already imported: if the process forks while a thread imports
        # it, the lock of the import stays locked in the child. RuntimeError: no thread can start at
        # process exit or at a limit.
        if "runlake.history.decode.expressions" in sys.modules:
            with suppress(RuntimeError):
                self._begun = executor.submit(self._begin)
        executor.shutdown(wait=False)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        # A thread cannot be pickled. The unpickled reading decodes its first rows itself.
        return type(None), ()

    def take(self, query: SliceQuery) -> pl.DataFrame | None:
        """Return the rows of ``query`` if they were decoded, else None.

        The rows are not kept: every later call returns None.
        """
        future, self._begun = self._begun, None
        begun = None if future is None or self._pid != os.getpid() else future.result()
        return begun[1] if begun is not None and begun[0] == query else None

    def _begin(self) -> Begun | None:
        try:
            expected = expect_unchanged(self._client, self._run, self._question)
            if expected is None:
                return None
            query = first_query(plan_read(expected, self._question))
            return None if query is None else (query, collect_first(query))
        except Exception:  # noqa: BLE001 - the read itself raises the same error
            return None
