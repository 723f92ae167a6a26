"""Run tasks on an executor, so that a task whose worker ends does not make other tasks fail."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from runlake.lake.clusters.executors import has_lost_worker, submit_to

POLL_SECONDS = 0.1
# Receives the task, its result, and its error; called in any thread.
Ended = Callable[[Any, Any, BaseException | None], None]


@dataclass(frozen=True, slots=True)
class _Running:
    task: Any
    ended: Ended
    is_alone: bool = False


def _undivided(task: Any) -> list[Any]:
    return [task]


class Elsewhere:
    """Runs tasks in an executor of the user, and repeats tasks whose worker has ended.

    If a worker ends, the executor reports all tasks of this worker as failed, although perhaps only
    one of them made the worker end. So each of these tasks is divided, and the parts are submitted
    again, one at a time, while no other task runs. Only a part that fails alone, and cannot be
    divided, is reported as failed.

    Parameters
    ----------
    executor : Executor
        Runs the tasks. `close` does not shut the executor down.
    work : callable
        Called with each task. If the executor runs tasks in other processes, `work` is pickled, so
        it must be a function of a module, or a `functools.partial` of one.
    divide : callable
        Returns the parts of a task, which are tasks too. If the task cannot be divided, the task
        itself is the only part.
    """

    def __init__(
        self,
        executor: Executor,
        work: Callable[[Any], Any],
        divide: Callable[[Any], Sequence[Any]] = _undivided,
    ) -> None:
        self._submit = submit_to(executor)
        self._work = work
        self._divide = divide
        self._guard = threading.Lock()
        self._running: dict[Future[Any], _Running] = {}
        self._suspects: deque[_Running] = deque()
        self._n_starting = 0
        self._is_closed = False

    def submit(self, task: Any, ended: Ended) -> None:
        """Start a task, and call ``ended`` when the task has ended.

        ``ended`` gets the task, its result and its error. If the task was divided, ``ended`` is
        called for each of its parts instead.
        """
        with self._guard:
            # Counted before the executor knows the task: `_try_alone` must not start another beside
            # it.
            self._n_starting += 1
        self._start(_Running(task, ended))

    def close(self) -> None:
        """Start no further parts of divided tasks; cancel submitted tasks that have not begun."""
        with self._guard:
            self._is_closed = True
            futures = list(self._running)
        for future in futures:
            future.cancel()

    def _start(self, running: _Running) -> None:
        try:
            future = self._submit(self._work, running.task)
        except Exception as error:  # noqa: BLE001 - the executor is broken, or was shut down
            with self._guard:
                self._n_starting -= 1
            running.ended(running.task, None, error)
            self._try_alone()
            return
        with self._guard:
            self._n_starting -= 1
            # Before the callback is added, which is called at once if the task has ended already.
            self._running[future] = running
        future.add_done_callback(self._end)

    def _end(self, future: Future[Any]) -> None:
        result, failure = None, None
        # Also a cancelled task has ended: the user may have shut the executor down.
        try:
            result = future.result()
        except BaseException as error:  # noqa: BLE001 - raised again where it is collected
            failure = error
        with self._guard:
            running = self._running.pop(future)
            has_lost = has_lost_worker(failure) and not self._is_closed
            parts = self._divide(running.task) if has_lost else []
            # A part that ran alone and cannot be divided has ended its worker itself.
            is_suspect = len(parts) > 1 or (has_lost and not running.is_alone)
            if is_suspect:
                self._suspects += [_Running(part, running.ended, is_alone=True) for part in parts]
        if not is_suspect:
            running.ended(running.task, result, failure)
        self._try_alone()

    def _try_alone(self) -> None:
        """If no other task runs, start the next part of a task whose worker has ended."""
        with self._guard:
            if self._is_closed or self._running or self._n_starting or not self._suspects:
                return
            suspect = self._suspects.popleft()
            self._n_starting += 1
        self._start(suspect)


def run_elsewhere(
    executor: Executor,
    work: Callable[[Sequence[Any]], Any],
    tasks: Iterable[Sequence[Any]],
    divide: Callable[[Any], Sequence[Any]] = _undivided,
) -> Iterator[tuple[Any, Any, BaseException | None]]:
    """Run tasks on an executor, and yield each task with its result and its error when it ends.

    The result or the error is None. A task that was divided is yielded as its parts.

    Parameters
    ----------
    executor, work, divide
        As for `Elsewhere`.
    tasks : iterable of sequence
        Each task is a sequence of items, and a part of a task has some of its items. All tasks are
        submitted at once. If the caller stops early, tasks that have not begun are cancelled.
    """
    crew = Elsewhere(executor, work, divide)
    ended: queue.SimpleQueue[tuple[Any, Any, BaseException | None]] = queue.SimpleQueue()
    n_left = 0
    try:
        for task in tasks:
            # Items are counted, because a task may end in several parts.
            n_left += len(task)
            crew.submit(task, lambda *found: ended.put(found))
        while n_left:
            try:
                # A wait without a limit would not end at Ctrl-C on every platform.
                found = ended.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            n_left -= len(found[0])
            yield found
    finally:
        crew.close()
