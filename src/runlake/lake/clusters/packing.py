"""Pack runs on the workers of an executor; the caller then commits the written files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from runlake.lake.clusters.executors import has_lost_worker
from runlake.lake.clusters.task_mark import TaskMark, standing_mark
from runlake.lake.clusters.tasks import run_elsewhere
from runlake.lake.packed.pack import segments_of
from runlake.lake.packed.place import PackedPlace
from runlake.lake.packed.rows import RunToPack
from runlake.lake.packed.segments import Segment

# Fewer runs make more and smaller files, which compaction merges later.
RUNS_PER_TASK = 100
# A task whose worker ended is divided into this many parts, which then run one at a time.
PARTS = 8
LOST = "each worker that packed it ended: it was killed, or its memory was too small"


def writer_of(
    executor: Executor | None, root: Path
) -> Callable[[Sequence[RunToPack]], Iterator[Segment]] | None:
    """Return a function that packs runs on an executor; None if there is no executor."""
    return None if executor is None else partial(segments_elsewhere, executor, PackedPlace(root))


def segments_elsewhere(
    executor: Executor, place: PackedPlace, runs: Sequence[RunToPack]
) -> Iterator[Segment]:
    """Pack runs on an executor, and yield a `Segment` for each task when the task ends.

    A `Segment` lists the packed files that a task has written, and the runs that could not be
    packed, with the reasons. A task whose worker ends is divided, and its parts are then tasks. A
    task that is tried again writes its files under other names. The files of the first try are
    deleted later, like all files that no Iceberg snapshot names.

    Parameters
    ----------
    executor : Executor
        Runs the tasks. All its workers must see the lake under the same path.
    place : PackedPlace
        The directory of the tables.
    runs : sequence of RunToPack
        The runs, ascending by their numbers in the packed tables.
    """
    tasks = [tuple(runs[at : at + RUNS_PER_TASK]) for at in range(0, len(runs), RUNS_PER_TASK)]
    with standing_mark(place.root) as mark:
        work = partial(write_elsewhere, place, mark)
        for task, segment, failure in run_elsewhere(executor, work, tasks, divided):
            if has_lost_worker(failure):
                yield Segment(left_out={run.directory.relative: LOST for run in task})
            elif failure is not None:
                raise failure
            else:
                yield segment


def write_elsewhere(place: PackedPlace, mark: TaskMark, runs: Sequence[RunToPack]) -> Segment:
    """Pack runs in a task of an executor, and return one `Segment` with all written files."""
    # A worker that sees another directory under this path would write files that nobody finds.
    mark.check()
    done = Segment()
    for segment in segments_of(place, runs):
        done.add(segment)
    return done


def divided(runs: Sequence[RunToPack]) -> list[Sequence[RunToPack]]:
    """Divide the runs of a task into at most ``PARTS`` parts, each with at least one run."""
    size = -(-len(runs) // PARTS)
    return [runs[at : at + size] for at in range(0, len(runs), size)]
