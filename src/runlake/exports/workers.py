"""Run tasks on several threads, and end promptly when one fails or the user interrupts."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from runlake.backend.http.stop import Stop

# How long an interrupted call waits for its threads. The sockets from which they read bodies are
# shut down, so most end at once; a name lookup, or a wait for headers, cannot be interrupted.
GRACE_SECONDS = 0.15
POLL_SECONDS = 0.1


def run_tasks(
    tasks: Iterable[Callable[[], None]],
    max_workers: int,
    stop: Stop,
    meanwhile: Callable[[], None] | None = None,
) -> None:
    """Run tasks on threads; the first failure, or an interrupt, cancels the remaining tasks.

    Parameters
    ----------
    tasks : iterable of callable
        Tasks, started in this order.
    max_workers : int
        Maximum number of tasks at the same time.
    stop : Stop
        The flag that the tasks check while they wait. This function sets it if a task fails, or on
        an interrupt.
    meanwhile : callable, optional
        Called by the calling thread immediately, and then about every `POLL_SECONDS` while tasks
        run. If it raises an error, the tasks are cancelled. It is never called if there is only one
        task and the calling thread is not the main thread: then the calling thread runs the task.

    Raises
    ------
    BaseException
        The error of the first task that failed; or `KeyboardInterrupt`, which is raised at most
        `GRACE_SECONDS` after the interrupt. A thread that is then still blocked in a network call
        ends when that call returns, and starts no other task.
    """
    waiting = deque(tasks)
    if len(waiting) == 1 and threading.current_thread() is not threading.main_thread():
        # Ctrl-C interrupts the main thread only, so no further thread is needed to end promptly.
        try:
            waiting.popleft()()
        except BaseException:
            stop.set()
            raise
        stop.check()
        return
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def work() -> None:
        failure: BaseException | None = None
        try:
            while not stop.is_set and (task := _taken(waiting)):
                task()
        except BaseException as error:  # noqa: BLE001 - raised again in the calling thread
            failure = error
        ended.put(failure)

    # Daemons: a thread blocked in an uninterruptible call must not keep the interpreter running.
    threads = [
        threading.Thread(target=work, name=f"runlake-transfer-{number}", daemon=True)
        for number in range(min(max_workers, len(waiting)))
    ]
    n_running = 0
    try:
        for thread in threads:
            thread.start()
            n_running += 1
        if meanwhile is not None:
            meanwhile()
        while n_running:
            failure = _next(ended, meanwhile)
            n_running -= 1
            _raise(failure)
        stop.check()
    except BaseException:
        stop.set()
        _wait(ended, n_running)
        raise


def _taken(waiting: deque[Callable[[], None]]) -> Callable[[], None] | None:
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _raise(failure: BaseException | None) -> None:
    if failure is not None:
        raise failure


def _next(
    ended: queue.SimpleQueue[BaseException | None], meanwhile: Callable[[], None] | None
) -> BaseException | None:
    while True:
        try:
            # With a timeout, because on some platforms Ctrl-C does not interrupt an endless wait.
            return ended.get(timeout=POLL_SECONDS)
        except queue.Empty:
            if meanwhile is not None:
                meanwhile()


def _wait(ended: queue.SimpleQueue[BaseException | None], n_running: int) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    for _ in range(n_running):
        try:
            ended.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return
