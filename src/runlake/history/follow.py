"""Follow a running run: yield each new row once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from runlake.backend.http.client import Client
from runlake.backend.http.statuses import is_retryable
from runlake.cache.layout import RunDirectory
from runlake.cache.pull_result import PullResult
from runlake.cache.stored_export import LoadedExports
from runlake.errors import ExportChanged, ExportExpired, RunlakeError, Unreachable
from runlake.exports.manifest import LAST_STEP_UNKNOWN, Manifest, fetch_manifest
from runlake.history.plan import sizes
from runlake.history.reader import Reading, open_reading
from runlake.values import STEP, Question, Row, RunPath

logger = logging.getLogger("runlake.history")


def follow_run(
    client: Client,
    run: RunPath,
    question: Question,
    poll: float,
    note: Callable[[Manifest], None],
    is_wanted: Callable[[], bool] = lambda: True,
) -> Iterator[Row]:
    """Yield the existing rows of a run, then each new row until the run ends.

    Parameters
    ----------
    client : Client
        The client of the backend.
    run : RunPath
        Path of the run.
    question : Question
        Keys and steps to read.
    poll : float
        Seconds between two polls.
    note : callable
        Called with the manifest that each poll fetched.
    is_wanted : callable
        Called before each poll, also if the previous poll failed. If it returns False, the iterator
        ends.

    Yields
    ------
    dict
        The rows, ascending by ``_step``. Each step is yielded once, with the keys that it had when
        a poll first found it. If the run is rewound, this is noticed when two polls in a row find
        the run shorter. The rows after the run's last step at the first of these polls are then
        yielded again. New rows up to this step, logged before this poll, are not.

    Raises
    ------
    RunlakeError
        Any error of the first poll. Later, polling continues after errors that may pass, for
        example while the backend does not answer; all other errors are raised.
    """
    following = _Following(client, run, question, note, question.steps.start)
    while is_wanted():
        try:
            yield from following.iter_news()
        except RunlakeError as error:
            if following.seen is None or not _may_pass(error):
                raise
            logger.info("Following of '%s' continues after: %s", run, error)
        else:
            if following.is_over:
                return
        time.sleep(poll)


@dataclass(slots=True)
class _Following:
    """State of `follow_run`: how far the run has been read.

    Parameters
    ----------
    client, run, question, note
        As for `follow_run`.
    position : int
        Next step to yield: rows of all lower steps have been yielded.
    seen : Manifest or None
        The last manifest whose rows have all been yielded.
    is_over : bool
        True if the run has ended and all its rows have been yielded.
    fallen_to : int or None
        The run's end at the last poll, if this poll found the run shorter than ``seen``, and the
        poll before it did not; else None.
    """

    client: Client
    run: RunPath
    question: Question
    note: Callable[[Manifest], None]
    position: int
    seen: Manifest | None = None
    is_over: bool = field(default=False, init=False)
    fallen_to: int | None = field(default=None, init=False)

    def iter_news(self) -> Iterator[Row]:
        """Poll the run once, and yield the rows that have not been yielded yet."""
        now = fetch_manifest(self.client, self.run, is_silent=True)
        self.note(now)
        self._mind_rewinding(now)
        before = self.position
        if self._may_have_news(now):
            reading = self._open(now)
            for batch in reading.iter_batches(sizes.FOLLOWED_ROWS):
                for row in batch:
                    # Set before the yield: after an error, the next poll must not yield this row
                    # again.
                    self.position = row[STEP] + 1
                    yield row
            # Rows after the last one with the keys have been read too, and need not be read again.
            self.position = max(self.position, _readable_end(reading))
            if reading.pulled.age:
                # The backend became unreachable since the poll, so the rows were read from a cached
                # manifest, which may be older than the polled one.
                return
            now = reading.pulled.manifest
        if self.fallen_to is None:
            self.seen = now
        # A backend's last step may be ahead of the rows that it lists: stop only when all rows up
        # to this step have been read, or when a poll found no new row.
        is_complete = self.position >= _end(now) or self.position == before
        self.is_over = not now.is_under_way and is_complete

    def _may_have_news(self, now: Manifest) -> bool:
        """Return whether there may be rows that have not been yielded.

        Some backends do not send the last step. For these, a changed number of logged lines, or
        changed exports, means that there may be new rows.
        """
        if _end(now) > self.position:
            return True
        if self.seen is None:
            return bool(now.exports)
        has_other_lines = now.line_count != self.seen.line_count
        return has_other_lines or not _objects(now) <= _objects(self.seen)

    def _mind_rewinding(self, now: Manifest) -> None:
        """Lower ``position``, the next step to yield, if the run was rewound.

        A run counts as rewound if two polls in a row found it shorter. A single poll may find it
        shorter because the poll was answered by a replica with old data. New rows may have been
        logged between the two polls, so ``position`` becomes the run's end at the first poll.
        """
        if self.seen is None or not _is_shorter(now, self.seen):
            self.fallen_to = None
        elif self.fallen_to is None:
            self.fallen_to = _end(now)
        else:
            self.position = min(self.position, self.fallen_to, _end(now))
            self.fallen_to = None

    def _open(self, now: Manifest) -> Reading:
        live = None
        if self._is_all_new_live(now):
            settings = self.client.settings
            directory = RunDirectory(settings.cache_dir, settings.base_url, self.run)
            # A result without exports: only live rows are read, and nothing is pulled.
            live = PullResult(now, directory.path, LoadedExports())
        question = self.question.from_step(self.position)
        return open_reading(self.client, self.run, question, pulled=live)

    def _is_all_new_live(self, now: Manifest) -> bool:
        """Return whether all new rows are live rows, so that no export has to be opened."""
        if not now.exports:
            return True
        if self.seen is None or now.live_steps is None:
            return False
        # Backends export rows in order: while older rows are live, newer ones are live too.
        is_unmoved = set(self.seen.live_steps or ()) <= set(now.live_steps)
        return is_unmoved and _objects(self.seen) == _objects(now)


def _objects(manifest: Manifest) -> set[str]:
    return {export.object for export in manifest.exports}


def _end(manifest: Manifest) -> int:
    """Return the step after the highest step that a manifest names."""
    return max(manifest.last_step, *(manifest.live_steps or (-1,))[-1:]) + 1


def _readable_end(reading: Reading) -> int:
    """Return the step after the last step up to which ``reading`` can have found rows.

    Rows that lack the requested keys, and exported rows after the requested steps, count too.
    """
    manifest = reading.pulled.manifest
    if reading.plan.is_walk:
        return 0 if manifest.last_step == LAST_STEP_UNKNOWN else _end(manifest)
    lasts = [export.facts.last_step for export in reading.pulled.exports]
    lasts += (manifest.live_steps or ())[-1:]
    return max((last for last in lasts if last is not None), default=-1) + 1


def _is_shorter(now: Manifest, seen: Manifest) -> bool:
    lines = (now.line_count, seen.line_count)
    has_fewer_lines = None in lines or (now.line_count or 0) < (seen.line_count or 0)
    return _end(now) < _end(seen) and has_fewer_lines


def _may_pass(error: RunlakeError) -> bool:
    if isinstance(error, (Unreachable, ExportChanged, ExportExpired)):
        return True
    status = error.facts.get("status")
    return status is not None and is_retryable(status)
