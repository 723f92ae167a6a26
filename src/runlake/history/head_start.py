"""The first rows decoded while the backend is asked, on the chance that the run did not move."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

from runlake.cache.pull_result import PullResult
from runlake.history.decode.decode import first_piece
from runlake.history.decode.queries import Piece
from runlake.history.plan.plan import plan_read
from runlake.values import Projection, StepRange

if TYPE_CHECKING:
    import polars as pl

Begun = tuple[Piece, "pl.DataFrame"]


class HeadStart:
    """Decodes the first piece of a read in a thread, from what is on disk.

    Parameters
    ----------
    expect : callable
        Returns what the pull under way is expected to bring; None if that cannot be told.
    projection : Projection
        Keys to read.
    steps : StepRange
        Steps to read.
    """

    def __init__(
        self,
        expect: Callable[[], PullResult | None],
        projection: Projection,
        steps: StepRange,
    ) -> None:
        self._expect = expect
        self._projection = projection
        self._steps = steps
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

    def take(self, piece: Piece) -> pl.DataFrame | None:
        """Return the rows of a piece if it is the one that was begun: once, to who asks first."""
        future, self._begun = self._begun, None
        begun = None if future is None or self._pid != os.getpid() else future.result()
        return begun[1] if begun is not None and begun[0] == piece else None

    def _begin(self) -> Begun | None:
        try:
            expected = self._expect()
            if expected is None:
                return None
            plan = plan_read(expected, self._projection, self._steps)
            piece = first_piece(plan.segments, self._projection)
            return None if piece is None else (piece, piece.collect())
        except Exception:  # noqa: BLE001 - whatever it is, the read itself meets it and says so
            return None
