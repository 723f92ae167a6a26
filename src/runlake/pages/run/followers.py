"""Follows running runs: a thread for each run and visitor reads new rows.

If a visitor has opened several pages of one run, all of them get the rows from one thread.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock, Thread
from typing import Any

from runlake.errors import RunlakeError
from runlake.exports.manifest import Manifest
from runlake.history.follow import follow_run
from runlake.pages.run.columns import end_of
from runlake.pages.run.shared import Identity, identity_of, path_of
from runlake.public.lists.attributes import client_of
from runlake.public.run.run import Run
from runlake.values import STEP, Question, Row, StepRange

logger = logging.getLogger("runlake.pages")

# A row is on the page less than two seconds after the backend has it.
POLL_SECONDS = 0.5
# Maximum number of rows, and of their values, that are kept for pages that subscribe later or read
# slowly.
MAX_ROWS, MAX_CELLS = 5_000, 200_000
# If there are more new values, they are not sent, and the page reads its charts again.
MAX_SENT = 20_000


@dataclass(eq=False, slots=True)
class Subscription:
    """The subscription of one open page to the new rows of a running run.

    Parameters
    ----------
    follower : Follower
        Reads the rows.
    cursor : int
        The page has all rows before this step.
    wake : callable
        Called when `collect` will return events, in the thread that joins or in the follower's.
    position : int
        Position of the next row to collect, among all rows that the follower has read.
    n_rewinds : int
        How often the run was rewound, as far as the page knows.
    state : str
        The state of the run that the page knows.
    """

    follower: Follower
    cursor: int
    wake: Callable[[], None]
    position: int = 0
    n_rewinds: int = 0
    state: str = ""

    def collect(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the events that are new for this page, as pairs of name and content."""
        return self.follower.collect(self)

    @property
    def is_over(self) -> bool:
        """Whether the follower has ended, so that the next `collect` returns the last events."""
        return self.follower.is_over


@dataclass(eq=False)
class Follower:
    """Reads the new rows of a run in a thread, until the run ends or no page shows it.

    Parameters
    ----------
    run : Run
        The run.
    start : int
        The first step to read.
    poll : float
        Seconds between two requests.
    """

    run: Run
    start: int
    poll: float = POLL_SECONDS
    rows: deque[Row] = field(default_factory=deque)
    n_dropped: int = 0
    n_rewinds: int = 0
    end: int = 0
    n_cells: int = 0
    state: str = ""
    problem: str | None = None
    is_over: bool = False
    pages: set[Subscription] = field(default_factory=set)
    lock: Lock = field(default_factory=Lock)

    def admit(self, cursor: int, wake: Callable[[], None]) -> Subscription | None:
        """Subscribe a page, and return the subscription; None if the follower has ended.

        If there are events for the page already, ``wake`` is called before this method returns.
        """
        page = Subscription(self, cursor, wake, state=self.run.state)
        with self.lock:
            # The thread has ended or is about to end: the caller starts another one.
            if self.is_over:
                return None
            first = self.rows[0][STEP] if self.n_dropped else self.start
            # If rows between the cursor and the first one are missing, the page must read again.
            page.position = self.n_dropped if cursor >= first else self.n_dropped - 1
            page.n_rewinds = self.n_rewinds
            self.pages.add(page)
            has_news = (
                page.position < self.n_dropped
                or any(row[STEP] >= cursor for row in self.rows)
                or self.state not in {"", page.state}
            )
        if has_news:
            wake()
        return page

    def follow(self) -> None:
        """Read rows until the run ends or no page shows it; call this in a thread of its own."""
        question = Question(steps=StepRange(self.start))
        client, path = client_of(self.run), path_of(self.run)
        try:
            for row in follow_run(client, path, question, self.poll, self._note, self._is_wanted):
                self._add(row)
        except RunlakeError as error:
            self.problem = str(error)
        except Exception:  # the pages must not wait for ever
            logger.exception("Following of '%s' failed.", path)
            self.problem = "Following the run failed."
        with self.lock:
            self.is_over = True
        self._wake()

    def collect(self, page: Subscription) -> list[tuple[str, dict[str, Any]]]:
        """Return the events that are new for a page, as pairs of name and content."""
        with self.lock:
            start, page.position = page.position, self.n_dropped + len(self.rows)
            rows = list(self.rows)[max(0, start - self.n_dropped) :]
            must_read = start < self.n_dropped or page.n_rewinds < self.n_rewinds
            page.n_rewinds = self.n_rewinds
        events = []
        if rows or must_read:
            events.append(_rows_event(page, rows, self.end if must_read else None))
        if self.state and self.state != page.state:
            page.state = self.state
            events.append(("state", {"state": self.state}))
        if self.is_over:
            events.append(("over", {"state": self.state, "problem": self.problem}))
        return events

    def _add(self, row: Row) -> None:
        with self.lock:
            if self.rows and row[STEP] <= self.rows[-1][STEP]:
                # The run was rewound: its rows from here on replace rows that were read before.
                self.n_rewinds += 1
            self.rows.append(row)
            self.n_cells += len(row)
            while len(self.rows) > MAX_ROWS or (self.n_cells > MAX_CELLS and len(self.rows) > 1):
                self.n_cells -= len(self.rows.popleft())
                self.n_dropped += 1
        self._wake()

    def _is_wanted(self) -> bool:
        """Return whether any page shows the run; if none does, mark the follower as ended."""
        with self.lock:
            # Under the lock of `admit`, so that no page joins a thread that is about to end.
            self.is_over = not self.pages
            return bool(self.pages)

    def _note(self, manifest: Manifest) -> None:
        with self.lock:
            end, state = end_of(manifest), manifest.state or ""
            # More rows are no news yet: the pages are woken when the rows have been read.
            is_news = end < self.end or state != self.state
            if end < self.end:
                self.n_rewinds += 1
            self.end, self.state = end, state
        if is_news:
            self._wake()

    def _wake(self) -> None:
        with self.lock:
            pages = list(self.pages)
        for page in pages:
            page.wake()


def _rows_event(
    page: Subscription, rows: list[Row], reread_to: int | None
) -> tuple[str, dict[str, Any]]:
    """Return the event ``rows`` with new rows, or ``again`` if the page must reread its charts.

    ``reread_to`` is the step after the run's last step if rows are missing or were replaced, else
    None.
    """
    start = page.cursor
    end = rows[-1][STEP] + 1 if rows else start
    page.cursor = max(start, end) if reread_to is None else end if rows else reread_to
    facts = {"from": start, "cursor": page.cursor}
    new = [row for row in rows if row[STEP] >= start]
    if reread_to is not None or sum(map(len, new)) > MAX_SENT:
        return "again", facts
    return "rows", {**facts, "keys": columns_of(new)}


class Followers:
    """Keeps a follower for each run and visitor, as long as a page shows the run."""

    def __init__(self, poll: float = POLL_SECONDS) -> None:
        self._poll = poll
        self._followers: dict[Identity, Follower] = {}
        self._lock = Lock()

    def join(self, run: Run, cursor: int, wake: Callable[[], None]) -> Subscription:
        """Subscribe a page to the new rows of a run; the first page of a run starts a thread.

        Parameters
        ----------
        run : Run
            The run.
        cursor : int
            The page has all rows before this step.
        wake : callable
            Called when `Subscription.collect` will return events, in this thread or another one.
            If there are events already, it is called before this method returns.
        """
        identity = identity_of(run)
        with self._lock:
            follower = self._followers.get(identity)
            page = None if follower is None else follower.admit(cursor, wake)
            # A follower that has just ended admits no page; then a new one is started.
            while page is None:
                follower = self._followers[identity] = Follower(run, cursor, self._poll)
                page = follower.admit(cursor, wake)
                # A daemon, so that an open page does not keep the process alive.
                name = f"runlake-follow-{run.id}"
                Thread(target=follower.follow, name=name, daemon=True).start()
        return page

    def leave(self, page: Subscription) -> None:
        """End the subscription of a page; if no page is left, the thread ends at its next poll."""
        with page.follower.lock:
            page.follower.pages.discard(page)
        self._tidy()

    def _tidy(self) -> None:
        with self._lock:
            ended = [one for one, follower in self._followers.items() if follower.is_over]
            for identity in ended:
                del self._followers[identity]

    @property
    def n_running(self) -> int:
        """Number of runs that are followed now."""
        self._tidy()
        return len(self._followers)


def columns_of(rows: list[Row]) -> dict[str, list[list[Any]]]:
    """Return for each key a list of steps and a list of numbers, as JSON can represent them.

    Examples
    --------
    >>> columns_of([{"_step": 0, "loss": 1.5}, {"_step": 1, "loss": float("nan"), "note": "a"}])
    {'loss': [[0, 1], [1.5, 'NaN']]}
    """
    found: dict[str, list[list[Any]]] = {}
    for row in rows:
        for key, value in row.items():
            if key != STEP and isinstance(value, (bool, int, float)):
                steps, values = found.setdefault(key, [[], []])
                steps.append(row[STEP])
                values.append(_number(value))
    return found


def _number(value: float) -> float | str:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
