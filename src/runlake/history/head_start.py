"""The first rows decoded while the backend is asked, on the chance that the run did not move."""

from __future__ import annotations

import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from runlake.backend.http.client import Client
from runlake.cache.pull import expect_unchanged
from runlake.history.decode.decode import first_query
from runlake.history.decode.queries import SliceQuery
from runlake.history.plan.plan import plan_read
from runlake.values import Question, RunPath

if TYPE_CHECKING:
    import polars as pl

Begun = tuple[SliceQuery, "pl.DataFrame"]


class HeadStart:
    """Decodes the first slice of a read in a thread, from what is on disk.

    Parameters
    ----------
    client : Client
        Its settings name the cache.
    run : RunPath
        The run.
    question : Question
        What to read.
    """

    def __init__(self, client: Client, run: RunPath, question: Question) -> None:
        self._client = client
        self._run = run
        self._question = question
        self._begun: Future[Begun | None] | None = None
        # The thread does not live on in a fork.
        self._pid = os.getpid()
        executor = ThreadPoolExecutor(1, thread_name_prefix="runlake-head-start")
        # No thread can be had at the end of the process, or beyond a limit.
        # Nor may a fork meet an import under way: its lock would never be given back.
        if "runlake.history.decode.expressions" in sys.modules:
            with suppress(RuntimeError):
                self._begun = executor.submit(self._begin)
        executor.shutdown(wait=False)

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()

    def take(self, query: SliceQuery) -> pl.DataFrame | None:
        """Return the rows of a query if it is the one that was begun: once, to who asks first."""
        future, self._begun = self._begun, None
        begun = None if future is None or self._pid != os.getpid() else future.result()
        return begun[1] if begun is not None and begun[0] == query else None

    def _begin(self) -> Begun | None:
        try:
            expected = expect_unchanged(self._client, self._run, self._question)
            if expected is None:
                return None
            query = first_query(plan_read(expected, self._question))
            return None if query is None else (query, query.collect())
        except Exception:  # noqa: BLE001 - whatever it is, the read itself meets it and says so
            return None
