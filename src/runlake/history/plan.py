"""What to read for one question: a value that can be printed and tested without I/O."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from runlake.cache.pulled import PullResult
from runlake.cache.store import StoredExport
from runlake.exports.facts import ExportFacts, groups_in
from runlake.values import STEP, Projection, RunPath, StepRange

LIVE_PAGE_ROWS = 2000


@dataclass(frozen=True, slots=True)
class ExportRead:
    """One export and what of it to read.

    Parameters
    ----------
    file : Path
        The file in the cache.
    facts : ExportFacts
        What the file holds.
    columns : tuple of str
        Columns to read besides ``_step``, in the order of the answer.
    row_groups : tuple of int
        Row groups whose steps touch the range.
    """

    file: Path
    facts: ExportFacts
    columns: tuple[str, ...]
    row_groups: tuple[int, ...]

    @property
    def first_step(self) -> int:
        """Lowest step of the row groups to read."""
        return min(self._bounds()[0])

    @property
    def last_step(self) -> int:
        """Highest step of the row groups to read."""
        return max(self._bounds()[1])

    @property
    def n_rows(self) -> int:
        """Rows of the row groups to read, before the step range cuts."""
        return sum(self.facts.row_groups[index].n_rows for index in self.row_groups)

    def _bounds(self) -> tuple[list[int], list[int]]:
        groups = [self.facts.row_groups[index] for index in self.row_groups]
        firsts = [group.first_step for group in groups if group.first_step is not None]
        return firsts, [group.last_step for group in groups if group.last_step is not None]


@dataclass(frozen=True, slots=True)
class LivePage:
    """Live steps to ask for in one request.

    Parameters
    ----------
    steps : tuple of int
        Ascending, never empty.
    """

    steps: tuple[int, ...]

    @property
    def start(self) -> int:
        """First step, inclusive."""
        return self.steps[0]

    @property
    def stop(self) -> int:
        """Step to stop before."""
        return self.steps[-1] + 1


@dataclass(frozen=True, slots=True)
class Plan:
    """All that one read touches.

    Parameters
    ----------
    run : RunPath
        The run.
    projection : Projection
        Keys to read and what a row must have of them.
    steps : StepRange
        The range, cut to the run's last step.
    exports : tuple of ExportRead
        Later sources win key by key, hence the order.
    live_pages : tuple of LivePage
        Ascending.
    is_walk : bool
        The backend does not list live steps: the whole range is read from it, page after page.
    needs_merge : bool
        Sources overlap or are out of order, so that rows must be merged by step. Otherwise the
        exports in order of their first step, then the live rows, are the answer.
    """

    run: RunPath
    projection: Projection
    steps: StepRange
    exports: tuple[ExportRead, ...]
    live_pages: tuple[LivePage, ...]
    is_walk: bool
    needs_merge: bool

    @property
    def in_step_order(self) -> tuple[ExportRead, ...]:
        """The exports by their first step."""
        return tuple(sorted(self.exports, key=lambda export: export.first_step))

    @property
    def n_live_steps(self) -> int:
        """Live rows to ask for."""
        return sum(len(page.steps) for page in self.live_pages)

    def __str__(self) -> str:
        keys = self.projection.keys
        wanted = "every key" if keys is None else f"{self.projection.how} of {', '.join(keys)}"
        lines = [f"Read {wanted} of '{self.run}', steps {self.steps}:"]
        for export in self.in_step_order:
            n_groups = len(export.facts.row_groups)
            lines.append(
                f"  export {export.file.name}: {len(export.row_groups)} of {n_groups} row groups, "
                f"{export.n_rows:,} rows, steps {export.first_step:,} to {export.last_step:,}, "
                f"{len(export.columns) + 1} of {export.facts.n_columns} columns"
            )
        if self.is_walk:
            lines.append("  live: every row, because the backend offers no exports")
        elif self.live_pages:
            first, last = self.live_pages[0].start, self.live_pages[-1].stop - 1
            lines.append(
                f"  live: {self.n_live_steps:,} rows in {len(self.live_pages)} requests, "
                f"steps {first:,} to {last:,}"
            )
        if not (self.exports or self.live_pages or self.is_walk):
            lines.append("  nothing: no row can be in the range")
        if self.needs_merge:
            lines.append("  merged by step, because sources overlap")
        return "\n".join(lines)


def plan_read(pulled: PullResult, projection: Projection, steps: StepRange) -> Plan:
    """Decide what to read; pure.

    Parameters
    ----------
    pulled : PullResult
        What is on offer and on disk.
    projection : Projection
        Keys to read.
    steps : StepRange
        Steps to read.

    Returns
    -------
    Plan
        Touches no row group and no live step outside the range.
    """
    manifest = pulled.manifest
    by_age = sorted(pulled.exports, key=lambda e: (e.validator.last_modified or "", e.object))
    reads = [_plan_export(export, projection, steps) for export in by_age]
    exports = tuple(read for read in reads if read is not None)
    live_steps = tuple(step for step in manifest.live_steps or () if steps.holds(step))
    end = manifest.last_step + 1
    stop = end if steps.stop is None else min(steps.stop, end)
    is_walk = manifest.live_steps is None and stop > steps.start
    return Plan(
        run=manifest.path,
        projection=projection,
        steps=steps,
        exports=exports,
        live_pages=tuple(
            LivePage(live_steps[i : i + LIVE_PAGE_ROWS])
            for i in range(0, len(live_steps), LIVE_PAGE_ROWS)
        ),
        is_walk=is_walk,
        needs_merge=_needs_merge(exports, live_steps),
    )


def _plan_export(
    export: StoredExport, projection: Projection, steps: StepRange
) -> ExportRead | None:
    facts = export.facts
    row_groups = groups_in(facts, steps)
    if not row_groups:
        return None
    held = facts.schema.names
    if projection.keys is None:
        columns = tuple(dict.fromkeys(name for name in held if name != STEP))
    else:
        names = set(held)
        columns = tuple(key for key in projection.keys if key in names)
    return ExportRead(export.path, facts, columns, row_groups)


def _needs_merge(exports: tuple[ExportRead, ...], live_steps: tuple[int, ...]) -> bool:
    ordered = sorted(exports, key=lambda export: export.first_step)
    if not all(export.facts.is_ascending for export in ordered):
        return True
    if any(later.first_step <= earlier.last_step for earlier, later in pairwise(ordered)):
        return True
    return bool(ordered and live_steps) and live_steps[0] <= ordered[-1].last_step
