"""Pull the runs of a request: listing, deciding, downloading and storing overlap in time."""

from __future__ import annotations

import errno
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from runlake.backend.http.client import Client
from runlake.backend.http.stop import Stop, Stopped
from runlake.cache.catalog import Catalog
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.shared_stripes import SharedStripes
from runlake.cache.paged_catalog import PagedCatalog
from runlake.cache.pull import Keeping
from runlake.cache.rate_limit.budget import SharedBudget
from runlake.cache.store import read_manifest
from runlake.cache.upkeep.catch_up import catch_up, name_process
from runlake.cache.upkeep.evict import make_room
from runlake.errors import CacheError, CacheFull, OfflineError, RunlakeError, RunNotFoundError
from runlake.exports.manifests import RUNS_PER_PAGE, Manifests
from runlake.exports.process_identity import Process
from runlake.lake.clusters.executors import is_in_process
from runlake.lake.clusters.task_mark import standing_mark
from runlake.lake.clusters.tasks import Elsewhere
from runlake.lake.pulling.artifacts import ArtifactPulls
from runlake.lake.pulling.batches import BATCHES_AT_ONCE, FEWEST_RUNS, Batch, may_join
from runlake.lake.pulling.crew import Ended, Threads
from runlake.lake.pulling.estimate import estimate
from runlake.lake.pulling.failures import LACKING_AGAIN, failure_of
from runlake.lake.pulling.files import MetadataFiles
from runlake.lake.pulling.held import Need, directory_of, find_need
from runlake.lake.pulling.listing import Listed, ListedPage, list_pages
from runlake.lake.pulling.request import PullRequest
from runlake.lake.pulling.run_pull import Means, PulledRun, RunTask, pull_one
from runlake.lake.pulling.shared_progress import SharedProgress
from runlake.lake.pulling.task_pull import RUNS_PER_TASK, PulledTask, pull_elsewhere
from runlake.lake.report import Failure, PullReport, with_retry
from runlake.settings import Settings

# Pages whose runs are not all pulled: enough to keep all threads busy.
OPEN_PAGES = 4
# More threads would only wait for each other: pulling a small run takes some milliseconds of CPU.
MAX_THREADS = 32
PAGES_AT_ONCE = 4  # requests for manifests and metadata of pages
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
POLL_SECONDS = 0.1


def pull(settings: Settings, request: PullRequest) -> PullReport:
    """Pull the runs of a request into the lake.

    Parameters
    ----------
    settings : Settings
        Backend and cache directory.
    request : PullRequest
        What to pull.

    Returns
    -------
    PullReport
        What was done; with ``dry_run``, what would be done.

    Raises
    ------
    OfflineError
        If offline mode is on.
    BackendError
        If the runs cannot be listed.
    CacheFull
        If the disk, or the size limit of the cache, has no room for more.
    CacheError
        If the cache cannot be written.
    """
    client = Client(settings, SharedBudget(settings))
    if settings.offline:
        raise OfflineError(
            f"A pull needs {client.origin}, and offline mode is on. To go online, unset "
            "RUNLAKE_OFFLINE, or open the lake without offline=True.",
            operation="Runs",
            origin=client.origin,
        )
    try:
        return _Pull(client, request).run()
    finally:
        client.close()


@dataclass(slots=True)
class _Page:
    """A page of runs that are being pulled; ``n_left`` is the number of runs to wait for."""

    n_left: int = 0


@dataclass(slots=True)
class _Done:
    """The results of a pull so far, from which its report is made."""

    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    incomplete: dict[str, str] = field(default_factory=dict)
    failed: dict[str, Failure] = field(default_factory=dict)
    n_bytes: int = 0
    n_artifacts: int = 0
    # For each client of an executor's tasks: its number of requests before the first task and
    # after the last task.
    counted: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def n_requests_elsewhere(self) -> int:
        """Number of requests that tasks of an executor have sent."""
        return sum(after - before for before, after in self.counted.values())

    def count(self, name: str, before: int, after: int) -> None:
        """Record how many requests a client had sent before a task, and after this task."""
        first, last = self.counted.get(name, (before, after))
        self.counted[name] = min(first, before), max(last, after)


Submit: TypeAlias = Callable[[Callable[[], Any], Ended], None]
Start: TypeAlias = Callable[[_Page, Sequence[RunTask], ThreadPoolExecutor], None]


class _Pull:
    """The state of one pull; other threads report to the calling thread through a queue."""

    def __init__(self, client: Client, request: PullRequest) -> None:
        self._client = client
        self._settings = client.settings
        self._request = request
        self._catalog = PagedCatalog(client.settings.cache_dir)
        self._stop = Stop()
        self._progress = SharedProgress(request.progress)
        self._keeping = Keeping(self._catalog, self._stop)
        self._done = _Done()
        self._events: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._room = threading.Semaphore(OPEN_PAGES)
        self._process = name_process(Process.current())
        self._places: dict[str, int] = {}
        self._underway: dict[str, RunDirectory] = {}
        self._guards: dict[Path, threading.Lock] = {}
        self._stripes = SharedStripes(client.settings.locking, self._guards)
        self._artifacts = ArtifactPulls(client, self._stop)
        self._known: dict[str, bool] = {}
        self._n_running = 0
        self._is_listed = False
        self._n_bytes_before = 0
        self._started = time.monotonic()

    def run(self) -> PullReport:
        """Pull all runs, and return the report."""
        root = self._settings.cache_dir
        if self._request.dry_run:
            return self._estimate()
        Catalog(root).prepare()
        catch_up(root)
        self._n_bytes_before = Catalog(root).n_held_bytes() or 0
        try:
            with self._lister(), self._crew() as start, self._pages() as pages:
                self._collect(start, pages)
        except KeyboardInterrupt as interrupt:
            report = self._report(is_interrupted=True)
            interrupt.add_note(str(report))
            interrupt.report = report  # type: ignore[attr-defined] # for those who catch it
            raise
        except RunlakeError as error:
            error.facts["report"] = self._report(is_interrupted=True)
            raise
        finally:
            self._note_the_rest()
            self._catalog.flush(is_last=True)
        return self._report()

    def _note_the_rest(self) -> None:
        """For runs whose pull was cancelled, store in the catalog what is now on disk."""
        for directory in self._underway.values():
            if directory.manifest.exists():
                self._catalog.note_run(directory, read_manifest(directory))
        self._catalog.end_underway(self._underway)

    def _estimate(self) -> PullReport:
        done = self._done
        needed: list[Listed] = []
        for page in list_pages(self._client, self._request):
            self._note_missing(page)
            for listed in self._new_in(page):
                need = find_need(self._settings, self._catalog, listed, self._request, self._known)
                if need is Need.NOTHING:
                    done.unchanged.append(str(listed.path))
                else:
                    needed.append(listed)
        # Counted now, because a pull does not send the requests of the estimate.
        n_listing = self._client.n_requests
        found = estimate(self._client, needed, self._request, self._stop)
        done.new += found.new
        done.changed += found.changed
        done.failed |= found.failed
        report = self._report()
        return replace(
            report,
            n_bytes=found.n_bytes,
            n_requests=n_listing + found.n_requests,
            n_artifacts=found.n_artifacts,
            is_dry_run=True,
        )

    @contextmanager
    def _lister(self) -> Iterator[None]:
        """List the runs in a thread while the context is open."""
        thread = threading.Thread(target=self._list, name="runlake-list", daemon=True)
        thread.start()
        try:
            yield
        finally:
            # Wakes the thread that lists, which may be waiting for room.
            self._room.release(OPEN_PAGES)

    def _list(self) -> None:
        failure: BaseException | None = None
        try:
            for page in list_pages(self._client, self._request):
                self._events.put(("page", page))
                # Otherwise a project of a million runs would be listed into memory.
                self._room.acquire()
                if self._stop.is_set:
                    break
        except BaseException as error:  # noqa: BLE001 - raised in the calling thread
            failure = error
        self._events.put(("listed", failure))

    @contextmanager
    def _crew(self) -> Iterator[Start]:
        """Yield a function that starts to pull the runs of one page of the backend's list."""
        request, settings = self._request, self._settings
        with ExitStack() as stack:
            if request.executor is None:
                n_threads = request.n_workers or min(MAX_THREADS, settings.max_downloads)
                threads = Threads(_call, n_threads, self._stop)
                stack.callback(threads.close)
                batches = None
                # A batch pulls many runs at once, and would exceed a number of workers of the user.
                if request.n_workers is None:
                    batches = Threads(_call, BATCHES_AT_ONCE, self._stop)
                    stack.callback(batches.close)
                yield partial(self._start_here, threads.submit, batches.submit if batches else None)
            elif is_in_process(request.executor):
                pool = Elsewhere(request.executor, _call)
                stack.callback(pool.close)
                yield partial(
                    self._start_here,
                    lambda work, ended: pool.submit(work, lambda _, *found: ended(*found)),
                    None,
                )
            else:
                mark = stack.enter_context(standing_mark(settings.cache_dir))
                has_key = settings.api_key is not None
                work = partial(pull_elsewhere, settings, mark, has_key)
                workers = Elsewhere(request.executor, work, _one_by_one)
                stack.callback(workers.close)
                yield partial(self._start_elsewhere, workers)

    @contextmanager
    def _pages(self) -> Iterator[ThreadPoolExecutor]:
        executor = ThreadPoolExecutor(PAGES_AT_ONCE, thread_name_prefix="runlake-manifests")
        try:
            yield executor
        finally:
            # After an interrupt, nobody waits for requests that are still under way.
            executor.shutdown(wait=not self._stop.is_set, cancel_futures=True)

    def _collect(self, start: Start, pages: ThreadPoolExecutor) -> None:
        failure: BaseException | None = None
        try:
            with self._progress.shown():
                while self._n_running or not self._is_listed:
                    try:
                        # A wait without a limit would not end at Ctrl-C on every platform.
                        kind, value = self._events.get(timeout=POLL_SECONDS)
                    except queue.Empty:
                        continue
                    if kind == "page":
                        self._begin(value, start, pages)
                    elif kind == "listed":
                        self._is_listed, failure = True, value
                    elif kind == "task":
                        self._end_task(*value)
                    else:
                        self._end(*value)
        except BaseException:
            self._stop.set()
            raise
        if failure is not None:
            # The runs that were listed before have been pulled.
            raise failure

    def _begin(self, listed: ListedPage, start: Start, pages: ThreadPoolExecutor) -> None:
        self._note_missing(listed)
        tasks = []
        for run in self._new_in(listed):
            need = find_need(self._settings, self._catalog, run, self._request, self._known)
            if need is Need.NOTHING:
                self._done.unchanged.append(str(run.path))
            else:
                tasks.append(self._task(run, need))
        page = _Page(len(tasks))
        if not tasks:
            self._room.release()
            return
        directories = [directory_of(self._settings, task.listed) for task in tasks]
        begun = {directory.relative: directory for directory in directories}
        self._underway |= begun
        # On disk before any manifest changes: if this process is killed, `catch_up` finds the runs
        # whose facts the catalog lacks.
        self._catalog.note_underway(begun, self._process)
        self._catalog.flush()
        self._n_running += len(tasks)
        start(page, tasks, pages)

    def _start_here(
        self,
        submit: Submit,
        submit_batch: Submit | None,
        page: _Page,
        tasks: Sequence[RunTask],
        pages: ThreadPoolExecutor,
    ) -> None:
        paths = [task.listed.path for task in tasks if task.need is Need.PULL]
        manifests = Manifests(self._client, paths, pages)
        metadata = MetadataFiles(self._client, paths, pages)
        means = Means(
            self._client,
            self._keeping,
            self._progress,
            manifests.fetch,
            metadata.find,
            self._artifacts,
            self._guards,
        )

        def alone(task: RunTask, work: Callable[[], PulledRun]) -> None:
            submit(work, partial(self._ended, page, task))

        def ended(task: RunTask, done: PulledRun) -> None:
            self._ended(page, task, done, None)

        joined = [task for task in tasks if may_join(task)]
        if submit_batch is None or len(joined) < FEWEST_RUNS:
            joined = []
        paths_of_joined = {task.listed.path for task in joined}
        for task in tasks:
            if task.listed.path not in paths_of_joined:
                alone(task, partial(pull_one, means, task))
        if submit_batch is not None:
            for at in range(0, len(joined), RUNS_PER_PAGE):
                some = joined[at : at + RUNS_PER_PAGE]
                batch = Batch(means, self._stripes, some, ended, alone)
                submit_batch(batch.pull, partial(self._ended_batch, page, batch))

    def _ended_batch(
        self, page: _Page, batch: Batch, _: None, failure: BaseException | None
    ) -> None:
        """Report the runs that a batch has not pulled, because the batch failed or was stopped."""
        for task in batch.tasks:
            self._ended(page, task, None, failure)

    def _start_elsewhere(
        self, workers: Elsewhere, page: _Page, tasks: Sequence[RunTask], _: ThreadPoolExecutor
    ) -> None:
        for at in range(0, len(tasks), RUNS_PER_TASK):
            some = tuple(tasks[at : at + RUNS_PER_TASK])
            workers.submit(some, lambda *ended: self._events.put(("task", (page, *ended))))

    def _task(self, run: Listed, need: Need) -> RunTask:
        request = self._request
        is_new = read_manifest(directory_of(self._settings, run)).pulled_at is None
        return RunTask(run, need, request.question, request.files, request.artifacts, is_new)

    def _ended(
        self, page: _Page, task: RunTask, done: PulledRun | None, failure: BaseException | None
    ) -> None:
        self._events.put(("run", (page, task, done, failure)))

    def _end_task(
        self,
        page: _Page,
        tasks: Sequence[RunTask],
        done: PulledTask | None,
        failure: BaseException | None,
    ) -> None:
        """Record the results of the runs that a task of an executor has pulled."""
        results: Sequence[PulledRun | BaseException | None] = [failure] * len(tasks)
        if done is not None:
            self._catalog.add(done.changes)
            self._done.count(*done.counted)
            results = done.results
        for task, result in zip(tasks, results, strict=True):
            if isinstance(result, PulledRun):
                # A task in another process shows no progress, so its bytes are shown when it ends.
                self._progress.advance(result.n_bytes)
                self._end(page, task, result, None)
            else:
                self._end(page, task, None, result)

    def _end(
        self, page: _Page, task: RunTask, done: PulledRun | None, failure: BaseException | None
    ) -> None:
        self._n_running -= 1
        page.n_left -= 1
        run = str(task.listed.path)
        directory = self._underway.pop(directory_of(self._settings, task.listed).relative)
        if failure is not None:
            self._catalog.end_underway([directory.relative])
            self._fail(task, failure)
        elif done is not None:
            self._done.n_bytes += done.n_bytes
            self._done.n_artifacts += done.n_artifacts
            if done.lacks is not None:
                self._done.incomplete[run] = with_retry(done.lacks, LACKING_AGAIN)
            else:
                (self._done.new if done.is_new else self._done.changed).append(run)
            self._keep_within()
        # One transaction per page instead of one per run.
        if page.n_left == 0:
            self._catalog.flush()
            self._room.release()

    def _fail(self, task: RunTask, failure: BaseException) -> None:
        # The pull has stopped its own threads: the reason is raised elsewhere.
        if isinstance(failure, Stopped) and self._stop.is_set:
            return
        if not isinstance(failure, Exception):
            raise failure
        if _errno(failure) in FULL:
            raise self._full(f"the disk is full ({failure})") from failure
        root = self._settings.cache_dir
        # All other runs would fail in the same way.
        if isinstance(failure, (CacheError, OSError)) and not os.access(root, os.W_OK):
            raise CacheError(
                f"The lake at {str(self._settings.cache_dir)!r} cannot be written ({failure}). "
                "Set WANDB_CACHE_DIR to a directory that this account may write.",
                path=str(self._settings.cache_dir),
            ) from failure
        self._done.failed[str(task.listed.path)] = failure_of(failure)

    def _full(self, why: str) -> CacheFull:
        return CacheFull(
            f"The lake at {str(self._settings.cache_dir)!r} has no room for more runs: {why}. "
            "Nothing that was pulled is lost. Make room, or unpin runs with 'runlake cache unpin', "
            "and pull again.",
            path=str(self._settings.cache_dir),
        )

    def _keep_within(self) -> None:
        """Evict unpinned runs if the cache is too large.

        If the cache is still too large then, raise `CacheFull`.
        """
        limit = self._settings.cache_max_bytes
        if limit is None or self._n_bytes_before + self._done.n_bytes <= limit:
            return
        self._catalog.flush()
        n_bytes, is_enough = make_room(self._settings, limit)
        # The sum of both is the measured size, to which later runs are added.
        self._n_bytes_before = n_bytes - self._done.n_bytes
        if not is_enough:
            raise self._full(
                f"its runs take {n_bytes:,} bytes, and RUNLAKE_CACHE_MAX_BYTES is {limit:,}"
            )

    def _note_missing(self, page: ListedPage) -> None:
        for path in page.missing:
            error = RunNotFoundError(f"The backend lists no run '{path}'.")
            self._done.failed[str(path)] = failure_of(error)

    def _new_in(self, page: ListedPage) -> list[Listed]:
        """Return the runs that were on no earlier page; several selections may list one run."""
        found = []
        for run in page.runs:
            if str(run.path) not in self._places:
                self._places[str(run.path)] = len(self._places)
                found.append(run)
        return found

    def _place(self, run: str) -> int:
        """Return the position of a run in the list of runs to pull, to sort reports."""
        return self._places.get(run, 0)

    def _report(self, *, is_interrupted: bool = False) -> PullReport:
        done = self._done
        return PullReport(
            tuple(sorted(done.new, key=self._place)),
            tuple(sorted(done.changed, key=self._place)),
            tuple(done.unchanged),
            dict(done.incomplete),
            dict(done.failed),
            done.n_bytes,
            self._client.n_requests + done.n_requests_elsewhere,
            time.monotonic() - self._started,
            is_interrupted=is_interrupted,
            n_artifacts=done.n_artifacts,
        )


def _one_by_one(tasks: Sequence[RunTask]) -> list[tuple[RunTask]]:
    return [(task,) for task in tasks]


def _call(work: Callable[[], Any]) -> Any:
    return work()


def _errno(error: BaseException) -> int | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno is not None:
            return cause.errno
        cause = cause.__cause__
    return None
