"""`Stitched`: the rows of several runs as one history, in which each step occurs once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from itertools import chain, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING

from runlake.backend.http.client import Client
from runlake.cache.pull_result import PullResult
from runlake.history.plan.plan import Plan, plan_read
from runlake.history.reader import SYSTEM_ROWS, Reading
from runlake.history.runs.lineage import open_lineages
from runlake.history.runs.open import BackendSource, side_by_side
from runlake.history.sample.by_server import fetch_system_rows
from runlake.values import STEP, BranchPoint, Projection, Question, Row

if TYPE_CHECKING:
    import duckdb
    import polars as pl
    import pyarrow as pa

Span = tuple[int, int]
NO_STEPS: Span = (0, -1)
SHOWN_RUNS = 3


@dataclass(frozen=True, slots=True)
class Stitched:
    """The rows of several runs as one history, with the output methods of `Reading`.

    If several runs have a row at a step, only the row of the last of them counts. The rows of
    earlier runs at this step are left out, even if the row of the last run is not returned because
    it lacks requested keys.

    Parameters
    ----------
    client : Client
        The client of the backend.
    readings : tuple of Reading
        A planned read of each run, all with the same requested keys; later runs come last.
    n_last : int or None
        Number of last rows that `scan`, `frame`, `arrow` and `sql` return; None means all rows.
        `iter_rows` always yields all rows.
    """

    client: Client
    readings: tuple[Reading, ...]
    n_last: int | None = None

    @property
    def plan(self) -> Plan:
        """The plan of the last run."""
        return self.readings[-1].plan

    @property
    def pulled(self) -> PullResult:
        """The result of the pull of the last run: its manifest and cached exports."""
        return self.readings[-1].pulled

    @property
    def step_bounds(self) -> tuple[int, int]:
        """The first and the last step that the runs can return, both inclusive."""
        bounds = [reading.step_bounds for reading in self.readings]
        return min(first for first, _ in bounds), max(last for _, last in bounds)

    def last(self, n_rows: int) -> Stitched:
        """Return the same history, limited to its last ``n_rows`` rows except in `iter_rows`."""
        return replace(self, n_last=n_rows)

    def scan(self) -> pl.LazyFrame:
        """Return the rows as a lazy frame.

        The rows that are in no export yet are fetched before the call returns.
        """
        import polars as pl

        from runlake.history.runs.scan import scan_numbered

        frame, number = scan_numbered(self.client, self.readings, self._where, self.plan.projection)
        replaced = self._replaced()
        if replaced:
            places = [
                pl.repeat(place, len(steps), dtype=pl.UInt32, eager=True)
                for place, steps in replaced.items()
            ]
            rows = {number: pl.concat(places), STEP: pl.concat([*replaced.values()])}
            frame = frame.join(pl.LazyFrame(rows), on=[number, STEP], how="anti")
        if replaced or not self._is_ordered:
            frame = frame.sort(STEP)
        frame = frame.drop(number)
        return frame if self.n_last is None else frame.tail(self.n_last)

    @property
    def _where(self) -> str:
        paths = list(dict.fromkeys(str(reading.plan.run) for reading in self.readings))
        more = f" and {len(paths) - SHOWN_RUNS:,} more" if len(paths) > SHOWN_RUNS else ""
        return ", ".join(paths[:SHOWN_RUNS]) + more

    def frame(self) -> pl.DataFrame:
        """Return the rows as a frame."""
        return self.scan().collect()

    def arrow(self) -> pa.RecordBatchReader:
        """Return the rows as Arrow record batches, all of them in memory."""
        from runlake.history.decode.expressions import to_arrow

        table = to_arrow(self.frame())
        return table.to_reader()

    def sql(self, query: str) -> duckdb.DuckDBPyRelation:
        """Return a SQL query over the views ``history`` and ``system`` as a DuckDB relation."""
        from runlake.history.runs.sql import query_history

        return query_history(query, self.scan, self._system_rows)

    def _system_rows(self) -> list[Row]:
        # Runs of two backends may have the same path.
        by_run = {
            (reading.client.settings.base_url, reading.plan.run): reading
            for reading in self.readings
        }
        found = side_by_side(
            self.client,
            lambda reading: fetch_system_rows(reading.client, reading.plan.run, SYSTEM_ROWS),
            list(by_run.values()),
        )
        return list(chain.from_iterable(found))

    def iter_rows(self, page_size: int) -> Iterator[Row]:
        """Yield the rows as dicts; warn if there are no rows although the last run has rows."""
        replaced = {place: set(steps) for place, steps in self._replaced().items()}
        parts = [
            self._own_rows(reading, page_size, replaced.get(place, frozenset()))
            for place, reading in enumerate(self.readings)
        ]
        is_plain = not replaced and self._is_ordered
        rows = chain.from_iterable(parts) if is_plain else merge(*parts, key=itemgetter(STEP))
        has_rows = False
        for row in rows:
            has_rows = True
            yield row
        if not has_rows:
            self.readings[-1].warn_no_rows()

    def _own_rows(
        self, reading: Reading, page_size: int, replaced: set[int] | frozenset[int]
    ) -> Iterator[Row]:
        for batch in reading.iter_batches(page_size):
            yield from (row for row in batch if row[STEP] not in replaced)

    @property
    def _is_ordered(self) -> bool:
        """True if the steps of each run are higher than all steps of the runs before it."""
        spans = [span for span in map(_span, self.readings) if span != NO_STEPS]
        if any(span is None for span in spans):
            return False
        return all(one[1] < other[0] for one, other in pairwise(spans) if one and other)

    def _replaced(self) -> dict[int, pl.Series]:
        """Return, for each run by its index, the steps at which a later run has a row.

        These rows replace the run's own rows at the same steps.
        """
        import polars as pl

        spans = [_span(reading) for reading in self.readings]
        steps: dict[int, pl.Series] = {}
        replaced = {}
        for place, span in enumerate(spans):
            later = [
                other for other in range(place + 1, len(spans)) if _overlap(span, spans[other])
            ]
            for other in later:
                if other not in steps:
                    steps[other] = _steps(self.readings[other])
            if later:
                replaced[place] = pl.concat([steps[other] for other in later]).unique()
        return {place: found for place, found in replaced.items() if len(found)}


def stitch_readings(readings: Sequence[Reading]) -> Reading | Stitched:
    """Combine planned reads into one history.

    If several runs have a row at a step, the row of the last of these runs is used.
    """
    if len(readings) == 1:
        return readings[0]
    return Stitched(readings[0].client, tuple(readings))


def open_lineage(client: Client, reading: Reading, point: BranchPoint) -> Reading | Stitched:
    """Return a run's rows after the rows of the runs it was forked from; see `open_lineages`."""
    source = BackendSource(client)
    (found,) = open_lineages(source, [reading], [point], reading.plan.question)
    return stitch_readings(found)


def _overlap(one: Span | None, other: Span | None) -> bool:
    if NO_STEPS in {one, other}:
        return False
    return one is None or other is None or (one[0] <= other[1] and other[0] <= one[1])


def _span(reading: Reading) -> Span | None:
    """Return the lowest and highest step that a read's rows can have; None if they are unknown."""
    plan = reading.plan
    if plan.walk is not None:
        return None
    ends = [(read.first_step, read.last_step) for read in plan.exports]
    ends += [(page.steps[0], page.steps[-1]) for page in plan.live_pages]
    if not ends:
        return NO_STEPS
    first = max(plan.steps.start, min(first for first, _ in ends))
    last = max(last for _, last in ends)
    stop = plan.steps.stop
    last = last if stop is None else min(last, stop - 1)
    return (first, last) if first <= last else NO_STEPS


def _steps(reading: Reading) -> pl.Series:
    """Return the steps of all rows in the range of a planned read, whatever keys they have."""
    question = Question(Projection(()), reading.plan.steps)
    plan = plan_read(reading.pulled, question)
    return replace(reading, plan=plan, head_start=None).scan().collect()[STEP]
