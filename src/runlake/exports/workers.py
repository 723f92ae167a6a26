"""Do tasks on several threads, and be done promptly when one fails or the user interrupts."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable

from runlake.backend.http.stop import Stop

GRACE_SECONDS = 0.15
POLL_SECONDS = 0.1


def run_tasks(tasks: Iterable[Callable[[], None]], max_workers: int, stop: Stop) -> None:
    """Do all tasks; the first that fails, or an interrupt, calls the others off.

    Parameters
    ----------
    tasks : iterable of callable
        In the order in which to begin them.
    max_workers : int
        How many at once.
    stop : Stop
        Given to whatever the tasks wait for. It is set if not all of them were done.

    Raises
    ------
    BaseException
        What the first task to fail raised; `KeyboardInterrupt` after at most `GRACE_SECONDS`. A
        thread that the network still holds then ends by itself when it is let go, and does no more.
    """
    waiting = deque(tasks)
    ended: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def work() -> None:
        failure: BaseException | None = None
        try:
            while not stop.is_set and (task := _taken(waiting)):
                task()
        except BaseException as error:  # noqa: BLE001 - it is raised where the tasks were given
            failure = error
        ended.put(failure)

    # Daemons: a thread in a call that nothing interrupts must not keep the interpreter from ending.
    threads = [
        threading.Thread(target=work, name=f"runlake-transfer-{number}", daemon=True)
        for number in range(min(max_workers, len(waiting)))
    ]
    n_running = 0
    try:
        for thread in threads:
            thread.start()
            n_running += 1
        while n_running:
            failure = _next(ended)
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


def _next(ended: queue.SimpleQueue[BaseException | None]) -> BaseException | None:
    while True:
        try:
            # Not for ever: some platforms let no interrupt through meanwhile.
            return ended.get(timeout=POLL_SECONDS)
        except queue.Empty:
            continue


def _wait(ended: queue.SimpleQueue[BaseException | None], n_running: int) -> None:
    deadline = time.monotonic() + GRACE_SECONDS
    for _ in range(n_running):
        try:
            ended.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            return
