"""New rows of a run under way, once each."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from runlake.backend.http.client import Client
from runlake.backend.http.statuses import is_retryable
from runlake.cache.layout import RunDirectory
from runlake.cache.pull_result import PullResult
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
) -> Iterator[Row]:
    """Yield the rows of a run as they come, until it is over.

    Parameters
    ----------
    client : Client
        The backend.
    run : RunPath
        The run.
    question : Question
        What to read.
    poll : float
        Seconds between two looks.
    note : callable
        Is given what the backend said at each look.

    Yields
    ------
    dict
        Ascending by ``_step``, each step once: a step is taken as it was when it was first seen.
        Where the run is rewound, the rows behind the step to which it was come again, as they are
        logged anew.

    Raises
    ------
    RunlakeError
        What stops a read for good; and whatever does so at the first look. Later, a backend that
        does not answer is waited for.
    """
    following = _Following(client, run, question, note, question.steps.start)
    while True:
        try:
            yield from following.iter_news()
        except RunlakeError as error:
            if following.seen is None or not _may_pass(error):
                raise
            logger.info("'%s' is followed on in spite of: %s", run, error)
        else:
            if following.is_over:
                return
        time.sleep(poll)


@dataclass(slots=True)
class _Following:
    """How far a run was read.

    Parameters
    ----------
    client, run, question, note
        As for `follow_run`.
    position : int
        Rows of lower steps were yielded.
    seen : Manifest or None
        The last offer of which all rows were yielded.
    is_over : bool
        The run ended, and the last look brought nothing that another could not.
    has_fallen : bool
        At the last look the run ended before the end that was seen.
    """

    client: Client
    run: RunPath
    question: Question
    note: Callable[[Manifest], None]
    position: int
    seen: Manifest | None = None
    is_over: bool = field(default=False, init=False)
    has_fallen: bool = field(default=False, init=False)

    def iter_news(self) -> Iterator[Row]:
        """Look once, and yield what is new."""
        now = fetch_manifest(self.client, self.run, is_silent=True)
        self.note(now)
        self._mind_rewinding(now)
        before = self.position
        if self._may_have_news(now):
            reading = self._open(now)
            for batch in reading.iter_batches(sizes.FOLLOWED_ROWS):
                for row in batch:
                    # Before the row is given away: an error behind it must not bring it again.
                    self.position = row[STEP] + 1
                    yield row
            # The rows between the last one that has the keys and here have been looked at.
            self.position = max(self.position, _readable_end(reading))
            if reading.pulled.age:
                # The backend went away in between: this was an answer of an earlier moment.
                return
            now = reading.pulled.manifest
        if not self.has_fallen:
            self.seen = now
        # The step that a backend calls the last may be ahead of the rows that it lists.
        is_complete = self.position >= _end(now) or self.position == before
        self.is_over = not now.is_under_way and is_complete

    def _may_have_news(self, now: Manifest) -> bool:
        """Tell whether rows may be there that were not yielded.

        A backend does not always say which step is the last; then its exports have to be opened.
        """
        if _end(now) > self.position:
            return True
        if self.seen is None:
            return bool(now.exports)
        has_other_lines = now.line_count != self.seen.line_count
        return has_other_lines or not _objects(now) <= _objects(self.seen)

    def _mind_rewinding(self, now: Manifest) -> None:
        """Go back where the run was rewound: it ends earlier, at two looks in a row.

        One such look may be the answer of a replica that lags behind.
        """
        has_fallen = self.seen is not None and _is_shorter(now, self.seen)
        if has_fallen and self.has_fallen:
            self.position = min(self.position, _end(now))
            has_fallen = False
        self.has_fallen = has_fallen

    def _open(self, now: Manifest) -> Reading:
        live = None
        if self._is_all_new_live(now):
            settings = self.client.settings
            directory = RunDirectory(settings.cache_dir, settings.base_url, self.run)
            live = PullResult(now, directory.path, ())
        question = self.question.from_step(self.position)
        return open_reading(self.client, self.run, question, pulled=live)

    def _is_all_new_live(self, now: Manifest) -> bool:
        """Tell whether no new row can be in an export, so that none has to be looked into."""
        if not now.exports:
            return True
        if self.seen is None or now.live_steps is None:
            return False
        # An exporter takes rows in their order: while older ones are live, so are the new ones.
        is_unmoved = set(self.seen.live_steps or ()) <= set(now.live_steps)
        return is_unmoved and _objects(self.seen) == _objects(now)


def _objects(manifest: Manifest) -> set[str]:
    return {export.object for export in manifest.exports}


def _end(manifest: Manifest) -> int:
    """Return the step behind the last one that the backend tells of."""
    return max(manifest.last_step, *(manifest.live_steps or (-1,))[-1:]) + 1


def _readable_end(reading: Reading) -> int:
    """Return the step behind the last one that could be read."""
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
