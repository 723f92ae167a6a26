"""Divide a run's steps into segments: ranges of steps that are read one after the other.

A source of rows is an export or the live rows. A segment needs merging if it has several sources,
or an export whose rows do not ascend by step. Within every other segment, all rows are from one
source. The functions do no I/O.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from runlake.exports.footers.facts import ExportFacts
from runlake.exports.footers.known_columns import Memo
from runlake.exports.footers.stored_types import StoredType
from runlake.history.plan.key_columns import KeyColumns
from runlake.values import STEP, StepRange

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ExportRead:
    """The row groups and columns of one export that a read needs.

    Parameters
    ----------
    file : Path
        The file in the cache.
    facts : ExportFacts
        Columns, row groups and statistics of the file.
    columns : KeyColumns
        Columns to read besides ``_step``.
    row_groups : tuple of int
        Indices of the row groups whose steps, from lowest to highest, overlap the requested range;
        ascending, at least one.
    is_promised : bool
        True if the file was checked against a digest from its storage host.
    """

    file: Path
    facts: ExportFacts
    columns: KeyColumns
    row_groups: tuple[int, ...]
    is_promised: bool = False

    @cached_property
    def first_step(self) -> int:
        """Lowest step of the row groups to read."""
        groups = (self.facts.row_groups[index] for index in self.row_groups)
        return min(group.first_step for group in groups if group.first_step is not None)

    @cached_property
    def last_step(self) -> int:
        """Highest step of the row groups to read."""
        groups = (self.facts.row_groups[index] for index in self.row_groups)
        return max(group.last_step for group in groups if group.last_step is not None)

    @property
    def step_dtype(self) -> pa.DataType:
        """Stored type of ``_step``, as an Arrow type."""
        return self.step_type.arrow

    @property
    def step_type(self) -> StoredType:
        """Stored type of ``_step``."""
        return self.facts.columns[STEP].stored

    @property
    def has_whole_steps(self) -> bool:
        """True if ``_step`` is stored as int64."""
        return self.step_type.simple == "int64"

    @property
    def n_rows(self) -> int:
        """Number of rows in the row groups to read, including rows outside the step range."""
        return sum(self.facts.row_groups[index].n_rows for index in self.row_groups)

    @property
    def n_columns(self) -> int:
        """Number of columns to read, including ``_step``."""
        return len({column.name for column in self.columns}) + 1

    @property
    def is_ascending(self) -> bool:
        """True if each row has a higher step than the row before it."""
        return self.facts.is_ascending

    @property
    def is_whole(self) -> bool:
        """True if all row groups of the file are read."""
        return len(self.row_groups) == len(self.facts.row_groups)

    def of_steps(self) -> ExportRead:
        """Return the same read with ``_step`` as its only column."""
        return replace(self, columns=KeyColumns())

    def within(self, steps: StepRange) -> ExportRead | None:
        """Return a read of those row groups that overlap a range of steps; None if none does."""
        if steps.covers(self.first_step, self.last_step):
            return self
        kept = tuple(index for index in self.row_groups if _touches(self.facts, index, steps))
        return replace(self, row_groups=kept) if kept else None


@dataclass(frozen=True, slots=True)
class Segment:
    """A range of steps, with the exports and the live rows in this range.

    Parameters
    ----------
    steps : StepRange
        The range, which always has an end and does not overlap the range of another segment.
    reads : tuple of ExportRead
        Exports with rows in the range, oldest first: for each key the value of the later export is
        used.
    live_steps : tuple of int
        Steps of the live rows in the range, which are in no export yet; ascending. Their values
        replace those of exports.
    """

    steps: StepRange
    reads: tuple[ExportRead, ...]
    live_steps: tuple[int, ...]

    @property
    def needs_merge(self) -> bool:
        """True if rows have to be sorted, or merged by step."""
        if len(self.reads) + bool(self.live_steps) > 1:
            return True
        return any(not read.is_ascending for read in self.reads)

    @property
    def is_one_export(self) -> bool:
        """True if a single export has all rows of the segment, ascending by step."""
        return bool(self.reads) and not self.needs_merge


class Segments(Memo, tuple[Segment, ...]):  # noqa: SLOT001 - caches values derived from it
    """The segments of a read, ascending by step."""


def plan_export(
    file: Path,
    facts: ExportFacts,
    columns: KeyColumns,
    steps: StepRange,
    *,
    is_promised: bool = False,
) -> ExportRead | None:
    """Return the read of an export in a range of steps; None if no row group overlaps the range."""
    indices = range(len(facts.row_groups))
    touched = tuple(index for index in indices if _touches(facts, index, steps))
    if not touched:
        return None
    return ExportRead(file, facts, columns, touched, is_promised)


def cut_segments(
    reads: Sequence[ExportRead], live_steps: Sequence[int], steps: StepRange
) -> Segments:
    """Divide a range of steps into segments, depending on which exports and live rows it has.

    Parameters
    ----------
    reads : sequence of ExportRead
        Oldest first: for each key the value of the later export is used.
    live_steps : sequence of int
        Steps of the live rows, which are in no export yet, in the range; ascending, unique.
    steps : StepRange
        The range.

    Returns
    -------
    Segments
        Ascending and disjoint. Neighbouring ranges are joined into one segment if the same single
        export has all of their rows, or if all of their rows are live. Such a segment is read
        without a merge. Adjoining ranges that need merging are joined too, even if their exports
        differ.
    """
    segments: list[Segment] = []
    for low, high, active in _intervals(reads, live_steps):
        clipped = StepRange(
            max(low, steps.start), high if steps.stop is None else min(high, steps.stop)
        )
        if clipped.is_empty:
            continue
        held = tuple(read for index in active if (read := reads[index].within(clipped)))
        live = live_steps[bisect_left(live_steps, low) : bisect_left(live_steps, high)]
        if held or live:
            segments.append(Segment(clipped, held, tuple(live)))
    return Segments(_joined(segments, {read.file: read for read in reads}))


def _touches(facts: ExportFacts, index: int, steps: StepRange) -> bool:
    group = facts.row_groups[index]
    # No row of this group has a step, and rows without a step are in no history.
    if group.first_step is None or group.last_step is None:
        return False
    return steps.touches(group.first_step, group.last_step)


def _intervals(
    reads: Sequence[ExportRead], live_steps: Sequence[int]
) -> Iterator[tuple[int, int, list[int]]]:
    """Yield the ranges of steps within which no export and no live rows begin or end.

    Each item has the first step, the step to stop before, and the indices of those ``reads`` that
    span the range.
    """
    starts: dict[int, list[int]] = {}
    ends: dict[int, list[int]] = {}
    for index, read in enumerate(reads):
        starts.setdefault(read.first_step, []).append(index)
        ends.setdefault(read.last_step + 1, []).append(index)
    bounds = {*starts, *ends}
    if live_steps:
        bounds |= {live_steps[0], live_steps[-1] + 1}
    active: set[int] = set()
    for low, high in pairwise(sorted(bounds)):
        active.update(starts.get(low, ()))
        active.difference_update(ends.get(low, ()))
        yield low, high, sorted(active)


def _joined(segments: Sequence[Segment], whole: dict[Path, ExportRead]) -> Iterator[Segment]:
    """Yield the segments, with consecutive segments joined if they are read in the same way."""
    current: Segment | None = None
    for segment in segments:
        if current is None or not _is_same_way(current, segment):
            if current is not None:
                yield current
            current = segment
            continue
        steps = StepRange(current.steps.start, segment.steps.stop)
        files = {read.file for read in (*current.reads, *segment.reads)}
        # From the whole reads: those of a segment have only the row groups of its own range.
        reads = (read.within(steps) for file, read in whole.items() if file in files)
        live = current.live_steps + segment.live_steps
        current = Segment(steps, tuple(read for read in reads if read), live)
    if current is not None:
        yield current


def _is_same_way(one: Segment, other: Segment) -> bool:
    if one.needs_merge or other.needs_merge:
        return one.needs_merge and other.needs_merge and one.steps.stop == other.steps.start
    return [read.file for read in one.reads] == [read.file for read in other.reads]
