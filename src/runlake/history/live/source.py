"""`LiveSource`: the interface by which a read gets live rows, and its source `BackendRows`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Protocol

from runlake.backend.http.client import Client
from runlake.history.live.pages import fetch_page, iter_live_pages, walk_live_rows
from runlake.history.opening import open_plan
from runlake.history.plan import sizes
from runlake.history.plan.plan import LivePage, Plan
from runlake.values import STEP, Question, Row, StepRange


class LiveSource(Protocol):
    """Interface for reading the live rows of a plan: its rows that are in no export yet.

    Rows are dicts with ``_step``, dotted keys, and no nulls. Rows that lack a requested key may be
    among the returned rows.
    """

    def iter_pages(self, plan: Plan) -> Iterator[list[Row]]:
        """Yield all live rows of a plan in pages, ascending by step.

        First come the rows whose steps the backend lists (`Plan.live_pages`), then the rows that
        must be searched for in a range of steps (`Plan.walk`).
        """

    def read_page(self, plan: Plan, page: LivePage) -> list[Row]:
        """Return the live rows of one page."""

    def walk(self, plan: Plan, steps: StepRange) -> Iterator[list[Row]]:
        """Yield the live rows of a range of steps, page by page.

        This method is used if the backend does not list the steps of the live rows.
        """


@dataclass(frozen=True, slots=True)
class BackendRows:
    """Requests from a backend the rows that are in no export yet (live rows).

    If the backend has exported some of these rows since the read was planned, they are read from
    the new exports.

    Parameters
    ----------
    client : Client
        The client of the backend.
    """

    client: Client

    def iter_pages(self, plan: Plan) -> Iterator[list[Row]]:
        """Yield all live rows page by page; fetch some pages in advance."""
        return iter_live_pages(self.client, plan, partial(self._recover, plan))

    def read_page(self, plan: Plan, page: LivePage) -> list[Row]:
        """Fetch the live rows of one page."""
        return fetch_page(self.client, plan, page, partial(self._recover, plan))

    def walk(self, plan: Plan, steps: StepRange) -> Iterator[list[Row]]:
        """Fetch the live rows of a range of steps, page by page."""
        return walk_live_rows(self.client, plan, steps)

    def _recover(self, plan: Plan, steps: list[int]) -> list[Row]:
        """Return the rows at ``steps``, which were exported after the read was planned."""
        window = StepRange(min(steps), max(steps) + 1)
        # Rows with any of the keys: an older export may have the other keys of the step, so only
        # the merged row shows whether it has all of them.
        question = Question(plan.projection.of_any_key, window)
        now = open_plan(self.client, plan.run, question)
        wanted = set(steps)
        exported = [segment for segment in now.segments if segment.reads]
        from runlake.history.rows.rows import read_segments

        batches = read_segments(exported, now.projection, iter(()), sizes.MERGED_ROWS)
        return [row for row in chain.from_iterable(batches) if row[STEP] in wanted]
