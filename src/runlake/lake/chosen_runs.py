"""Find the runs that the argument ``runs`` of `Lake.pack` names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from runlake.errors import InvalidType, NotCached
from runlake.lake.disk_source import WARN
from runlake.lake.lake_runs import LakeRuns
from runlake.lake.one_run import find_one
from runlake.lake.pulling.request import names_run
from runlake.lake.query.selection import LakeRun, Selection
from runlake.public.run.run import Run
from runlake.settings import Settings
from runlake.values import ProjectPath

PackSubject: TypeAlias = str | Run | LakeRuns | Iterable[str | Run] | None


def chosen_directories(settings: Settings, runs: PackSubject) -> frozenset[str] | None:
    """Return the directories of the runs to pack, relative to the cache root; None means all runs.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    runs : str, Run, LakeRuns, iterable of str and Run, or None
        Paths of runs or projects, or runs, as for `Lake.pack`. None means all runs.

    Raises
    ------
    InvalidType
        If ``runs``, or an item of it, has another type.
    NotCached
        If a run or a project is not in the lake.
    """
    if runs is None:
        return None
    if isinstance(runs, LakeRuns):
        # The policy has no effect, because no history is read.
        return frozenset(run.relative for run in runs._fixed(WARN).runs)  # noqa: SLF001 - of this layer
    if isinstance(runs, (str, Run)):
        runs = [runs]
    if isinstance(runs, (bytes, Mapping)) or not isinstance(runs, Iterable):
        raise InvalidType(
            "Pack a path 'entity/project' or 'entity/project/run_id', runs of the lake, or a list "
            f"of these, not {runs!r}."
        )
    every = Selection(settings.cache_dir).find()
    return frozenset(run.relative for one in runs for run in _named(settings, every, one))


def _named(settings: Settings, every: list[LakeRun], one: object) -> list[LakeRun]:
    if isinstance(one, Run):
        one = str(one._path)  # noqa: SLF001 - as in Lake.diff
    if not isinstance(one, str):
        raise InvalidType(f"A run is named by a path 'entity/project/run_id', not {one!r}.")
    if names_run(one) or not one.strip():
        return [find_one(every, one, settings.cache_dir)]
    # A single word may be the id of runs or the name of a project; ids are looked up first.
    by_id = [run for run in every if one.strip() in (run.run_id, run.path.run_id)]
    if by_id and "/" not in one:
        return by_id
    project = ProjectPath.parse(one, entity=settings.entity, project=settings.project)
    found = [
        run
        for run in every
        if run.path.project == project.project and project.entity in (None, run.path.entity)
    ]
    if not found:
        raise NotCached(
            f"The lake in '{settings.cache_dir}' has no runs of '{one}'. Pull them first.",
            path=str(settings.cache_dir),
        )
    return found
