"""The runs that wait for an export, and the thread that exports one run after the other.

While no run waits for an export, the exported lines of runs are compressed.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

LOGGER = logging.getLogger(__name__)
# The tasks of the worker process, and its answers.
EXPORT, COMPRESS = "export", "compress"
MORE, DONE, FAILED = "more", "done", "failed"
# Readers that may wait at the same time. The server executes few requests of a user at a time, and
# a waiting reader is one of them.
MAX_READERS = 2
READER_SECONDS = 30.0
# Pause between attempts to export runs whose export failed, or was interrupted when an earlier
# server ended.
RETRY_SECONDS = 30.0
# After each further failure, the pause before the run is tried again is twice as long, up to this.
LONGEST_PAUSE = 3600.0
# A process that takes longer than this for one task is killed: the disk or a library hangs.
HANG_SECONDS = 300.0
# Pause before a process that ended is started again.
END_SECONDS = 1.0
STOP_SECONDS = 3.0
IDLE_STOP_SECONDS = 0.5
# If the process ended this many times in succession, readers do not wait for exports.
MAX_ENDS = 2


class ExportQueue:
    """Exports runs in a separate process, so that requests need not wait for exports.

    Parameters
    ----------
    data_dir : Path
        The server's directory.
    rows : int or None
        Rows per export. If None, the exports of a run get larger as the run gets longer.
    drops : bool
        Drop exported lines instead of keeping them in compressed form.
    """

    def __init__(self, data_dir: Path, rows: int | None, *, drops: bool = False) -> None:
        self._command = [
            sys.executable,
            # Without it, a `secrets.py` in the current directory would be imported.
            "-P",
            "-m",
            "runlake.server.exports.worker",
            str(data_dir),
            str(rows or 0),
            str(int(drops)),
        ]
        self._waiting: dict[int, None] = {}
        self._uncompressed: dict[int, None] = {}
        self._current: int | None = None
        self._wanted: Counter[int] = Counter()
        # For each run, the time of its last failed export, and how many exports failed in
        # succession; and how many times in succession the process ended.
        self._failed_at: dict[int, float] = {}
        self._n_failures: Counter[int] = Counter()
        self._n_ends = 0
        self._changed = threading.Condition()
        self._readers = threading.Semaphore(MAX_READERS)
        self._is_running = False
        self._worker: subprocess.Popen[str] | None = None

    @contextmanager
    def running(
        self, find_due: Callable[[], Iterable[int]], uncompressed: Iterable[int] = ()
    ) -> Iterator[None]:
        """Export the runs that `add` puts into the queue, until the block ends.

        Parameters
        ----------
        find_due : callable
            Returns the database ids of runs that have rows to export. An earlier server may have
            left such runs.
        uncompressed : iterable of int
            Database ids of runs whose exported lines an earlier server did not compress.
        """
        self._is_running = True
        self._uncompressed = dict.fromkeys(uncompressed)
        threads = [
            threading.Thread(target=self._run, name="runlake-exports", daemon=True),
            threading.Thread(target=self._retry, args=[find_due], name="runlake-due", daemon=True),
        ]
        try:
            # Within the block: a signal may end the server at any time.
            for thread in threads:
                thread.start()
            yield
        finally:
            with self._changed:
                self._is_running = False
                self._changed.notify_all()
            self._stop_worker()
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
            _close(self._worker)

    def add(self, run_id: int) -> None:
        """Add a run to the queue, and return immediately."""
        with self._changed:
            self._waiting.setdefault(run_id)
            self._changed.notify_all()

    def wait(self, run_id: int, is_done: Callable[[], bool], seconds: float) -> None:
        """Wait until a run is exported; it is exported before runs that no reader waits for.

        Afterwards, some rows of the run may still be in no export: an export failed or takes long,
        or too many other readers are waiting.

        Parameters
        ----------
        run_id : int
            Database id of the run.
        is_done : callable
            Returns whether enough rows are exported for the reader. Without this function, a reader
            would wait too long for a run that goes on logging rows.
        seconds : float
            How long to wait at most; never longer than `READER_SECONDS`.
        """
        if not self._is_running:
            return
        if self._has_failed(run_id):
            self.add(run_id)
            return
        if not self._readers.acquire(blocking=False):
            return
        try:
            with self._changed:
                self._wanted[run_id] += 1
                self.add(run_id)
                try:
                    self._changed.wait_for(
                        lambda: not self._is_pending(run_id) or is_done(),
                        min(seconds, READER_SECONDS),
                    )
                finally:
                    self._wanted -= Counter([run_id])
        finally:
            self._readers.release()

    def _has_failed(self, run_id: int) -> bool:
        """Return whether the last export of a run failed a short time ago.

        Return True for every run if the worker process itself ended several times in succession.
        Readers do not wait for a run for which this method returns True.
        """
        latest = time.monotonic() - RETRY_SECONDS
        return self._n_ends >= MAX_ENDS or self._failed_at.get(run_id, latest) > latest

    def _is_pending(self, run_id: int) -> bool:
        return self._is_running and (run_id in self._waiting or run_id == self._current)

    def _run(self) -> None:
        while (chosen := self._next()) is not None:
            task, run_id = chosen
            answer = self._ask(task, run_id)
            with self._changed:
                self._current = None
                if task == COMPRESS:
                    # A failed compression is tried again after the next export of the run, or when
                    # the next server starts.
                    if answer == MORE:
                        self._uncompressed[run_id] = None
                elif answer == FAILED:
                    self._failed_at[run_id] = time.monotonic()
                    self._n_failures[run_id] += 1
                else:
                    self._failed_at.pop(run_id, None)
                    del self._n_failures[run_id]
                    self._n_ends = 0
                    self._uncompressed[run_id] = None
                    if answer == MORE:
                        self._waiting.setdefault(run_id)
                self._changed.notify_all()

    def _next(self) -> tuple[str, int] | None:
        """Wait for the next task; return its name and the run's id, or None when the queue stops.

        The exports that readers wait for come first.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._waiting or self._uncompressed or not self._is_running
            )
            if not self._is_running:
                return None
            if not self._waiting:
                run_id = next(iter(self._uncompressed))
                del self._uncompressed[run_id]
                return COMPRESS, run_id
            wanted = (run_id for run_id in self._waiting if self._wanted[run_id])
            self._current = next(wanted, next(iter(self._waiting)))
            del self._waiting[self._current]
            return EXPORT, self._current

    def _retry(self, find_due: Callable[[], Iterable[int]]) -> None:
        while True:
            try:
                for run_id in find_due():
                    if not self._pauses(run_id):
                        self.add(run_id)
            except Exception:
                # A full disk or a locked database may be temporary: the thread has to try again.
                LOGGER.exception("Could not find the runs that have rows to export.")
            with self._changed:
                if self._changed.wait_for(lambda: not self._is_running, RETRY_SECONDS):
                    return

    def _pauses(self, run_id: int) -> bool:
        """Return whether a run must wait before its next export, because its exports failed."""
        n_failures = self._n_failures[run_id]
        if n_failures <= 1:
            return False
        pause = min(RETRY_SECONDS * 2.0 ** min(n_failures - 1, 20), LONGEST_PAUSE)
        return time.monotonic() < self._failed_at[run_id] + pause

    def _ask(self, task: str, run_id: int) -> str:
        """Send a task to the worker process; return its answer, `FAILED` if the process ended."""
        try:
            worker, questions, answers = self._start()
            questions.write(f"{task} {run_id}\n")
            questions.flush()
            deadline = threading.Timer(HANG_SECONDS, worker.kill)
            deadline.start()
            try:
                answer = answers.readline().strip()
            finally:
                deadline.cancel()
        except (OSError, ValueError) as error:
            # ValueError: the server stops, and closed the pipe.
            answer = ""
            LOGGER.warning("The process that writes exports cannot be used: %s.", error)
        if not answer and self._is_running:
            self._n_ends += 1
            LOGGER.warning("Run %d could not be %sed: the process for it ended.", run_id, task)
            time.sleep(END_SECONDS)
        return answer or FAILED

    def _start(self) -> tuple[subprocess.Popen[str], IO[str], IO[str]]:
        """Return the worker process, its input and its output; start the process if none runs."""
        with self._changed:
            if not self._is_running:
                raise BrokenPipeError("the server stops")
            worker = self._worker
            if worker is None or worker.poll() is not None:
                _close(worker)
                worker = self._worker = subprocess.Popen(  # noqa: S603 - the command is ours
                    self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
        if worker.stdin is None or worker.stdout is None:
            raise BrokenPipeError("it has no pipes")
        return worker, worker.stdin, worker.stdout

    def _stop_worker(self) -> None:
        worker = self._worker
        if worker is None:
            return
        # The worker ends when its input ends. The next server repeats an interrupted export.
        with suppress(OSError):
            if worker.stdin is not None:
                worker.stdin.close()
        # The next server compresses the other lines. So an interrupted compression loses nothing.
        is_exporting = self._current is not None
        try:
            worker.wait(STOP_SECONDS if is_exporting else IDLE_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()


def _close(worker: subprocess.Popen[str] | None) -> None:
    """Close the pipes of a process that ended."""
    for pipe in (worker.stdin, worker.stdout) if worker is not None else ():
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
