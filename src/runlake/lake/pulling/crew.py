"""Run tasks in threads, and call a function with each result when the task ends."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from runlake.backend.http.stop import Stop
from runlake.errors.user_line import for_thread

GRACE_SECONDS = 2.0
Ended = Callable[[Any, BaseException | None], None]


class Threads:
    """Runs tasks in threads of this process.

    Parameters
    ----------
    work : callable
        Called with each task.
    n_threads : int
        Maximum number of tasks at the same time.
    stop : Stop
        When set, tasks that have not begun are dropped.
    """

    def __init__(self, work: Callable[[Any], Any], n_threads: int, stop: Stop) -> None:
        self._work = for_thread(work)
        self._n_threads = n_threads
        self._stop = stop
        self._tasks: queue.SimpleQueue[tuple[Any, Ended] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._n_waiting = 0
        self._guard = threading.Lock()

    def submit(self, task: Any, ended: Ended) -> None:
        """Run a task in a free thread or a new one; if there are none, when a thread is free.

        When the task ends, its thread calls ``ended`` with the result and the error. The error is
        None if there was none; the result is None after an error.
        """
        with self._guard:
            self._n_waiting += 1
            is_short = self._n_waiting > len(self._threads) < self._n_threads
        self._tasks.put((task, ended))
        if is_short:
            # A daemon: a thread blocked in an uninterruptible call must not keep the interpreter.
            thread = threading.Thread(target=self._run, name="runlake-lake", daemon=True)
            self._threads.append(thread)
            thread.start()

    def close(self) -> None:
        """Wait until all submitted tasks have ended; after a stop, wait two seconds at most."""
        for _ in self._threads:
            self._tasks.put(None)
        deadline = time.monotonic() + GRACE_SECONDS
        for thread in self._threads:
            # After a stop, a thread may be in a call that cannot be interrupted.
            left = max(0.0, deadline - time.monotonic()) if self._stop.is_set else None
            thread.join(left)

    def _run(self) -> None:
        while (item := self._tasks.get()) is not None:
            task, ended = item
            if self._stop.is_set:
                continue
            try:
                result, failure = self._work(task), None
            except BaseException as error:  # noqa: BLE001 - raised again where it is collected
                result, failure = None, error
            with self._guard:
                self._n_waiting -= 1
            ended(result, failure)
