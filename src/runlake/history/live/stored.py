"""`StoredRows`: reads the live rows that a pull into the lake has stored beside a run's exports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from runlake.cache.companions import read_rows
from runlake.cache.layout import RunDirectory
from runlake.cache.store import LIVE
from runlake.history.plan.plan import LivePage, Plan
from runlake.values import STEP, Row, StepRange


@dataclass(frozen=True)
class StoredRows:
    """Reads live rows from disk; see `runlake.history.live.source.LiveSource`.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory in the cache.
    """

    directory: RunDirectory

    @cached_property
    def _by_step(self) -> dict[int, Row]:
        return {row[STEP]: row for row in read_rows(self.directory, LIVE) or ()}

    def iter_pages(self, plan: Plan) -> Iterator[list[Row]]:
        """Yield the stored live rows of a plan in pages; the plan lists the steps of each page."""
        for page in plan.live_pages:
            yield self.read_page(plan, page)

    def read_page(self, plan: Plan, page: LivePage) -> list[Row]:  # noqa: ARG002
        """Return the rows of one page."""
        return [self._by_step[step] for step in page.steps if step in self._by_step]

    def walk(self, plan: Plan, steps: StepRange) -> Iterator[list[Row]]:  # noqa: ARG002
        """Yield nothing, because `iter_pages` yields all stored rows."""
        yield from ()
