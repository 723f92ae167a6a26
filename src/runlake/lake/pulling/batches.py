"""Pull small new runs of a page together, in batches; each of the other runs has its own task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from runlake.backend.connections.multiplexer import Begun
from runlake.cache.companions import FILES
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.shared_stripes import SharedStripes
from runlake.cache.pull_together import NewRun, is_short, pull_together
from runlake.cache.store import Companion
from runlake.errors import RunlakeError
from runlake.exports.manifest import Manifest
from runlake.lake.pulling.held import Need, has_system_metrics
from runlake.lake.pulling.request import METADATA_FILE
from runlake.lake.pulling.run_pull import Means, PulledRun, RunTask, pull_one
from runlake.values import Question

# While the answers for one batch are under way, another one is processed.
BATCHES_AT_ONCE = 2
# Fewer runs are pulled in less time by a thread for each.
FEWEST_RUNS = 4


class Batch:
    """New runs that one thread pulls together.

    Parameters
    ----------
    means : Means
        The client, catalog and progress of the pull.
    stripes : SharedStripes
        The locks of the runs.
    tasks : sequence of RunTask
        The runs. `may_join` has returned true for each of these tasks.
    ended : callable
        Called with the task of each run that was pulled, and with what its pull did.
    left : callable
        Called with the task of each run that has to be pulled alone, and with a function that pulls
        this run.
    """

    def __init__(
        self,
        means: Means,
        stripes: SharedStripes,
        tasks: Sequence[RunTask],
        ended: Callable[[RunTask, PulledRun], None],
        left: Callable[[RunTask, Callable[[], PulledRun]], None],
    ) -> None:
        self._means = means
        self._stripes = stripes
        self._ended = ended
        self._left = left
        self._tasks = {task.listed.path: task for task in tasks}

    @property
    def tasks(self) -> list[RunTask]:
        """The tasks that were not passed to ``ended`` or ``left`` yet."""
        return list(self._tasks.values())

    def pull(self) -> None:
        """Pull the runs. After an error, `tasks` has the runs that were not pulled."""
        means = self._means
        found = [self._new_run(task) for task in self.tasks]
        runs = [run for run in found if run is not None]
        if not runs:
            return
        for done in pull_together(means.client, runs, self._stripes, means.keeping, means.progress):
            task = self._tasks[done.run.directory.run]
            if done.n_bytes is None:
                self._leave(task, partial(self._alone, task, done.run.manifest, done.begun))
            else:
                del self._tasks[task.listed.path]
                self._ended(task, PulledRun(task.is_new, done.n_bytes))

    def _leave(self, task: RunTask, work: Callable[[], PulledRun]) -> None:
        del self._tasks[task.listed.path]
        self._left(task, work)

    def _new_run(self, task: RunTask) -> NewRun | None:
        """Fetch a run's manifest; return what `pull_together` needs to pull the run.

        If the run has to be pulled alone, pass it to the callable ``left``, and return None.
        """
        means, listed = self._means, task.listed
        settings = means.client.settings
        if means.metadata is None or means.metadata(listed.path) != []:
            self._leave(task, partial(pull_one, means, task))
            return None
        try:
            manifest = means.fetch(means.client, listed.path)
        except RunlakeError:
            # The request is sent again for this run alone: its error may concern another run.
            self._leave(task, partial(pull_one, means, task))
            return None
        if not is_short(manifest):
            self._leave(task, partial(self._alone, task, manifest, None))
            return None
        directory = RunDirectory(settings.cache_dir, settings.base_url, listed.path)
        beside = {FILES: Companion("", 0, 0, 0, task.files)}
        return NewRun(directory, manifest, listed.attrs, beside)

    def _alone(self, task: RunTask, manifest: Manifest, begun: Begun[Any] | None) -> PulledRun:
        means = self._means
        keeping = replace(means.keeping, begun=begun)
        try:
            return pull_one(replace(means, fetch=lambda *_: manifest, keeping=keeping), task)
        finally:
            if begun is not None:
                begun.discard()


def may_join(task: RunTask) -> bool:
    """Return whether a run may be pulled in a batch.

    This is true for a new run without system metrics, if its whole history is requested, but no
    files (except the metadata file) and no artifacts.
    """
    is_new = task.need is Need.PULL and task.is_new and task.question == Question()
    has_no_more = task.files == (METADATA_FILE,) and not task.artifacts
    return is_new and has_no_more and not has_system_metrics(task.listed)
