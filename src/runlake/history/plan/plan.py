"""`Plan`: what one read will read, as a value that can be printed and tested without I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from runlake.cache.pull_result import PullResult
from runlake.cache.stored_export import LoadedExports
from runlake.errors.screen import for_screen, one_line
from runlake.exports.footers.known_columns import Memo
from runlake.history.plan import sizes
from runlake.history.plan.key_columns import key_columns
from runlake.history.plan.segments import (
    ExportRead,
    Segment,
    Segments,
    cut_segments,
    plan_export,
)
from runlake.values import Projection, Question, RunPath, StepRange
from runlake.values.counted import counted


@dataclass(frozen=True, slots=True)
class LivePage:
    """The steps of one request for live rows: rows that are in no export yet.

    Parameters
    ----------
    steps : tuple of int
        The steps, ascending, never empty.
    is_alone : bool
        True if no export has rows in the range of these steps, so that the live rows need no merge.
    """

    steps: tuple[int, ...]
    is_alone: bool

    @property
    def start(self) -> int:
        """First step, inclusive."""
        return self.steps[0]

    @property
    def stop(self) -> int:
        """Step to stop before, exclusive."""
        return self.steps[-1] + 1


@dataclass(frozen=True)
class Plan(Memo):
    """The files, row groups, columns and live rows that one read will read.

    Parameters
    ----------
    pulled : PullResult
        The run's manifest and its cached exports.
    question : Question
        Keys and steps to read.
    exports : tuple of ExportRead
        Oldest first. If two exports have a key at one step, the value of the later export is used.
    segments : Segments
        Ranges of steps that are read one after the other, ascending. Each has its exports, and the
        steps of its rows that are in no export yet (live rows).
    walk : StepRange or None
        Steps after those of all segments. The backend may have rows at these steps although it
        lists them neither as exported nor as live, so they are read from it page by page. If the
        backend lists neither exports nor live steps, this is the whole range. None if there are no
        such steps, or if the manifest is from the cache and rows are in no export.
    notes : tuple of str
        Lines about the keys, which are printed with the plan.
    """

    pulled: PullResult = field(repr=False)
    question: Question
    exports: tuple[ExportRead, ...]
    segments: Segments
    walk: StepRange | None
    notes: tuple[str, ...] = ()

    @property
    def run(self) -> RunPath:
        """Path of the run."""
        return self.pulled.manifest.path

    @property
    def projection(self) -> Projection:
        """Keys to read, and whether a row must have all of them or at least one of them."""
        return self.question.projection

    @property
    def steps(self) -> StepRange:
        """The requested range of steps."""
        return self.question.steps

    @cached_property
    def live_pages(self) -> tuple[LivePage, ...]:
        """The requests for rows that are in no export yet, ascending by step.

        Each request is for rows of one segment (a range of steps).
        """
        return tuple(page for segment in self.segments for page in segment_pages(segment))

    @property
    def in_step_order(self) -> tuple[ExportRead, ...]:
        """The exports, sorted by their first step."""
        return tuple(sorted(self.exports, key=lambda export: export.first_step))

    @property
    def is_walk(self) -> bool:
        """True if ``walk`` is not None: some steps are read from the backend page by page."""
        return self.walk is not None

    @property
    def needs_merge(self) -> bool:
        """True if the rows of some segment (a range of steps) must be sorted, or merged by step."""
        return any(segment.needs_merge for segment in self.segments)

    @property
    def n_live_steps(self) -> int:
        """Number of live rows to fetch: one for each live step that the backend lists."""
        return sum(len(segment.live_steps) for segment in self.segments)

    def __str__(self) -> str:
        return "\n".join(for_screen(one_line(line)) for line in self._lines(has_exports=True))

    def _lines(self, *, has_exports: bool) -> list[str]:
        keys = self.projection.keys
        wanted = "every key" if keys is None else f"{self.projection.how} of {', '.join(keys)}"
        lines = [f"Read {wanted} of '{self.run}', steps {self.steps}:"]
        for export in self.in_step_order if has_exports else ():
            n_groups = len(export.facts.row_groups)
            lines.append(
                f"  export {export.file.name}: {len(export.row_groups)} of "
                f"{counted(n_groups, 'row group')}, "
                f"{counted(export.n_rows, 'row')}, steps {export.first_step:,} to "
                f"{export.last_step:,}, "
                f"{export.n_columns} of {counted(export.facts.n_columns, 'column')}"
            )
        described = [*map(self.pulled.describe, self.pulled.exports), *self.notes]
        lines += [f"  {note}" for note in described]
        if self.live_pages:
            first, last = self.live_pages[0].start, self.live_pages[-1].stop - 1
            lines.append(
                f"  live: {counted(self.n_live_steps, 'row')} in "
                f"{counted(len(self.live_pages), 'request')}, steps {first:,} to {last:,}"
            )
        if self.walk is not None:
            lines.append(
                f"  live: steps {self.walk}, page after page, because the backend lists them "
                "neither as exported nor as live"
                if self.exports
                else "  live: every row, because the backend offers no exports"
            )
        if not (self.exports or self.live_pages or self.is_walk):
            lines.append("  nothing: no row can be in the range")
        lines += [
            f"  steps {segment.steps}: {_sources(segment)} merged by step"
            for segment in self.segments
            if segment.needs_merge
        ]
        return lines

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        from runlake.notebook.plan_cards import plan_card

        header = ("export", "rows", "steps", "row groups", "columns")
        rows = [
            (
                read.file.name,
                f"{read.n_rows:,}",
                f"{read.first_step:,} to {read.last_step:,}",
                f"{len(read.row_groups):,} of {len(read.facts.row_groups):,}",
                f"{read.n_columns:,} of {read.facts.n_columns:,}",
            )
            for read in self.in_step_order
        ]
        first, *others = self._lines(has_exports=False)
        return plan_card(first, header, rows, others)


def _sources(segment: Segment) -> str:
    names = [read.file.name for read in segment.reads]
    return ", ".join([*names, "live rows"] if segment.live_steps else names)


def segment_pages(segment: Segment) -> Iterator[LivePage]:
    """Divide the steps of a segment's live rows into pages, one for each request, ascending."""
    steps = segment.live_steps
    for start in range(0, len(steps), sizes.LIVE_PAGE_ROWS):
        yield LivePage(steps[start : start + sizes.LIVE_PAGE_ROWS], is_alone=not segment.reads)


def plan_read(pulled: PullResult, question: Question) -> Plan:
    """Decide what to read, without I/O.

    Parameters
    ----------
    pulled : PullResult
        The manifest and the cached exports, pulled for these keys and steps.
    question : Question
        Keys and steps to read.

    Returns
    -------
    Plan
        The plan. Row groups and live rows outside of the requested steps are not part of it.
    """
    steps = question.steps
    live_steps = tuple(step for step in pulled.manifest.live_steps or () if steps.holds(step))
    # The next read of the run often has the same exports, keys and steps.
    exports, segments = pulled.exports.latest(_plan_exports, question, live_steps)
    return Plan(
        pulled=pulled,
        question=question,
        exports=exports,
        segments=segments,
        walk=_walk(pulled, steps),
    )


def _plan_exports(
    exports: LoadedExports, question: Question, live_steps: tuple[int, ...]
) -> tuple[tuple[ExportRead, ...], Segments]:
    # For each key the value of the later export wins. The order of the backend's list has no
    # meaning, so exports are ordered by Last-Modified, and by name if they were written within the
    # same second.
    by_age = sorted(exports, key=lambda export: (export.modified_at, export.object))
    planned = (
        plan_export(
            export.path,
            export.facts,
            key_columns(export.facts.columns, question.keys),
            question.steps,
            is_promised=export.is_promised,
        )
        for export in by_age
    )
    reads = tuple(read for read in planned if read is not None)
    return reads, cut_segments(reads, live_steps, question.steps)


def _walk(pulled: PullResult, steps: StepRange) -> StepRange | None:
    """Return the steps to read page by page; None if there are none or the read is offline."""
    first = pulled.first_unlisted
    if first is None or pulled.n_left_out != 0:
        return None
    end = pulled.manifest.last_step + 1
    walk = StepRange(max(first, steps.start), end if steps.stop is None else min(steps.stop, end))
    return None if walk.is_empty else walk
