"""Find the runs from which a run was forked, and open their rows up to the branch points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runlake.backend.http.json_text import parse_json
from runlake.errors import ProtocolError
from runlake.history.plan.plan import plan_read
from runlake.history.reader import Reading
from runlake.history.runs.open import RunSource, side_by_side
from runlake.values import (
    BranchPoint,
    Question,
    RunPath,
    StepRange,
    find_branch_point,
    unwrapped,
)

Chain = tuple[Reading, ...]
_Key = tuple[str, RunPath]


@dataclass(frozen=True, slots=True)
class _Parent:
    """A run that other runs were forked from: its rows, and its own branch point."""

    reading: Reading
    point: BranchPoint | None


@dataclass(frozen=True, slots=True)
class _Fork:
    """A run whose parents are being looked up.

    Parameters
    ----------
    chain : tuple of Reading
        The planned reads of the run and of its known ancestors, the oldest run first.
    point : BranchPoint or None
        Branch point of the oldest run; None if the chain is complete.
    """

    chain: Chain
    point: BranchPoint | None

    @property
    def missing(self) -> BranchPoint | None:
        """The branch point of the oldest run in ``chain``, if the parent of this run must be read.

        None if the oldest run is no fork, if all requested steps are after the branch point, or if
        the backend has copied the parent's rows into it. A copy is recognized by rows at or before
        the branch point.
        """
        point = self.point
        if point is None or self._steps(point).is_empty or has_rows_to(self.chain[0], point.step):
            return None
        return point

    def _steps(self, point: BranchPoint) -> StepRange:
        return StepRange(self.chain[0].plan.steps.start, _stop(self.chain[0], point))

    def with_parent(self, parent: _Parent, point: BranchPoint) -> _Fork:
        """Return the fork with the parent's rows, up to the branch point, before its own rows."""
        run = point.run
        known = [reading.plan.run for reading in self.chain]
        if run in known:
            raise ProtocolError(
                f"The lineage of '{known[-1]}' has no root: '{known[0]}' was forked from '{run}', "
                "which is a fork of it. Read the run without its lineage.",
                operation="Run",
                origin=parent.reading.client.origin,
            )
        question = parent.reading.plan.question.within(self._steps(point))
        plan = plan_read(parent.reading.pulled, question)
        older = parent.point
        if older is not None:
            # If the parent was forked after this branch point, its own rows are not part of the
            # lineage.
            older = replace(older, step=min(older.step, point.step))
        return _Fork((replace(parent.reading, plan=plan), *self.chain), older)


def _stop(reading: Reading, point: BranchPoint) -> int:
    stop = reading.plan.steps.stop
    return point.step + 1 if stop is None else min(stop, point.step + 1)


def open_lineages(
    source: RunSource,
    readings: Sequence[Reading],
    points: Sequence[BranchPoint | None],
    question: Question,
) -> list[Chain]:
    """Open the rows of runs, each after the rows of the runs that it was forked from.

    Parameters
    ----------
    source : RunSource
        The place from which the runs are read.
    readings : sequence of Reading
        The runs' own rows.
    points : sequence of BranchPoint or None
        The branch point of each run.
    question : Question
        Keys and steps to read.

    Returns
    -------
    list of tuple of Reading
        For each run, the planned reads of its ancestors and of the run itself, the oldest ancestor
        first. The steps of each read are higher than those of the reads before it. If the backend
        has copied the parent's rows into a run, no ancestor is read.

    Raises
    ------
    RunNotFoundError
        If a parent whose rows are needed was deleted.
    NotCached
        If offline mode is on, and a parent whose rows are needed was not pulled.
    ProtocolError
        If a run is its own ancestor.
    """
    forks = [_Fork((reading,), point) for reading, point in zip(readings, points, strict=True)]
    parents: dict[_Key, _Parent] = {}
    while True:
        missing = [fork.missing for fork in forks]
        wanted = {
            _key_of(fork, point): (fork, point)
            for fork, point in zip(forks, missing, strict=True)
            if point is not None and _key_of(fork, point) not in parents
        }
        opened = side_by_side(
            source.client,
            lambda pair: _open_parent(source, *pair, question),
            list(wanted.values()),
        )
        parents.update(zip(wanted, opened, strict=True))
        if not any(missing):
            return [fork.chain for fork in forks]
        forks = [
            replace(fork, point=None)
            if point is None
            else fork.with_parent(parents[_key_of(fork, point)], point)
            for fork, point in zip(forks, missing, strict=True)
        ]


def _key_of(fork: _Fork, point: BranchPoint) -> _Key:
    # A list may have runs of several backends.
    return fork.chain[0].client.settings.base_url, point.run


def _open_parent(source: RunSource, fork: _Fork, point: BranchPoint, question: Question) -> _Parent:
    reading, config = source.open_parent(fork.chain[0], point.run, question)
    return _Parent(reading, _point_in(point.run, config))


def _point_in(run: RunPath, config: object) -> BranchPoint | None:
    if isinstance(config, (str, bytes)):
        try:
            config = parse_json(config, strict=False)
        except ValueError:
            return None
    entry = config.get("_wandb") if isinstance(config, dict) else None
    return find_branch_point(run, unwrapped(entry))


def has_rows_to(reading: Reading, step: int) -> bool:
    """Return whether a run has a row at a step or at an earlier step, regardless of its keys."""
    pulled = reading.pulled
    firsts = [export.facts.first_step for export in pulled.exports]
    firsts += list(pulled.manifest.live_steps or ())[:1]
    if any(first is not None and first <= step for first in firsts):
        return True
    plan = plan_read(pulled, Question(steps=StepRange(0, step + 1)))
    if plan.walk is None:
        return False
    # The backend does not list the run's live rows, so look for a row. The head start is left out:
    # its rows can be taken only once, by the reading itself.
    return any(replace(reading, plan=plan, head_start=None).iter_batches(1))
