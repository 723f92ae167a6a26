"""Download exports of a run, each as its `Decision` says; the caller holds the run's lock."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from runlake.backend.connections.multiplexer import Begun
from runlake.backend.connections.urls import origin_of
from runlake.backend.http.statuses import NOT_MODIFIED, OK
from runlake.cache.catalog import Catalog
from runlake.cache.disk.links import set_times
from runlake.cache.disk.mounts import is_network_directory
from runlake.cache.fetch_columns import TAIL_BYTES, ColumnsFetch
from runlake.cache.layout import RunDirectory
from runlake.cache.store import StoredManifest, write_manifest
from runlake.cache.stored_export import StoredExport, publish
from runlake.cache.upkeep.dead_attempts import find_dead_attempts
from runlake.errors import ExportChanged
from runlake.exports.decide import Decision
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.download.small_answer import verify_answer
from runlake.exports.download.storage_host import RANGE_WORKERS, StorageHost
from runlake.exports.download.whole_download import SMALL_BYTES
from runlake.exports.footers.known_columns import ColumnFacts
from runlake.exports.footers.shortfall import Extent
from runlake.exports.manifest import Export
from runlake.exports.offers import Offers
from runlake.exports.process_identity import current_boot
from runlake.exports.progress import Traffic
from runlake.exports.workers import run_tasks
from runlake.values import Question

NOTE_SECONDS = 0.2  # least time between two writes of the manifest, or of the catalog
# A pull spends at most this fraction of its time on writing manifests. A manifest of many exports
# is long.
NOTE_FRACTION = 0.02
DOWNLOAD_SECONDS = 5e-4  # CPU time that a short download takes
REQUEST_SECONDS = 1e-3  # least time that one more request for a part of an export takes
# Exports of fewer rows are likely to be short.
FEW_ROWS = 10_000
# One thread downloads the small exports if there are at least this many.
MANY_SMALL = 4
# If several times more threads than cores can run, a pull of many short exports on one thread takes
# two to three times as long as on 16, by the clock. On idle cores it takes half of the processor
# time: 215 ms instead of 410 ms for 150 exports.
SHARE_SECONDS, LEAST_SHARE = 0.1, 0.5
BYTES_PER_SECOND = 64e6  # assumed bandwidth until a pull has measured it
MEASURED_BYTES = 32 << 20  # a pull of fewer bytes does not measure the bandwidth
FOOTERS_KNOWN = 4
LEAST_TAIL_BYTES = 1 << 12


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An export to download, and its first request if the request was sent already."""

    export: Export
    decision: Decision
    begun: Begun[Any] | None = None


class _Share:
    """A context manager that measures the share of a processor that a thread gets.

    On a busy machine, or with a slow disk, one thread gets a small share. Several threads together
    then get a larger share.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._cpu_seconds = 0.0

    def __enter__(self) -> None:
        self._seconds -= time.monotonic()
        self._cpu_seconds -= time.thread_time()

    def __exit__(self, *_: object) -> None:
        self._seconds += time.monotonic()
        self._cpu_seconds += time.thread_time()

    @property
    def is_small(self) -> bool:
        """True if the thread was measured for `SHARE_SECONDS`, and waited for most of this time."""
        return self._seconds > SHARE_SECONDS and self._cpu_seconds < LEAST_SHARE * self._seconds


class Fetching:
    """Downloads exports for one pull of a run, and records them in the stored manifest.

    Parameters
    ----------
    offers : Offers
        The exports that the backend lists.
    directory : RunDirectory
        The run's directory; the caller holds the run's lock.
    catalog : Catalog
        Receives the columns of each new export.
    stored : StoredManifest
        The stored manifest before the downloads.
    question : Question
        Keys and steps to download.
    traffic : Traffic
        Counts the bytes that arrive.
    """

    def __init__(
        self,
        offers: Offers,
        directory: RunDirectory,
        catalog: Catalog,
        stored: StoredManifest,
        question: Question,
        traffic: Traffic,
    ) -> None:
        self._before = stored
        self._exports = dict(stored.exports)
        self.reasons: dict[str, str] = {}
        self._fetched: set[str] = set()
        self.traffic = traffic
        self._offers = offers
        self._directory = directory
        self._catalog = catalog
        self._question = question
        self._guard = threading.Lock()
        self._unnoted: dict[Path, Mapping[str, ColumnFacts]] = {}
        self._dead_attempts: Mapping[str, Sequence[Path]] = {}
        self._n_noted = 0
        self._n_kept = 0
        self._next_note = self._next_columns = 0.0
        self._is_prepared = False
        self._n_at_once = 1
        # Lengths of the footers of exports that were too long to be downloaded whole.
        self._footers: list[int] = []
        # None on a network file system, so that files are flushed: other machines cannot detect
        # that this machine crashed.
        self._boot = None if is_network_directory(str(directory.path)) else current_boot()

    @property
    def stored(self) -> StoredManifest:
        """The stored manifest with the exports that were downloaded so far."""
        with self._guard:
            return replace(self._before, exports=dict(self._exports))

    @property
    def n_downloaded(self) -> int:
        """Number of exports of which at least a part was downloaded."""
        return len(self._fetched)

    def run(self, decisions: Mapping[str, Decision], begun: Begun[Any] | None = None) -> None:
        """Download the exports as decided, several at the same time.

        Parameters
        ----------
        decisions : mapping of str to Decision
            What to do with each export; the keys are `Export.object`.
        begun : Begun, optional
            The first request for the only export, which was sent already.
        """
        wanted = [
            _Wanted(export, decisions[export.object], begun)
            for export in self._offers.exports
            if decisions[export.object] is not Decision.REUSE
        ]
        self._dead_attempts = find_dead_attempts(self._directory.path)
        self._next_note = self._next_columns = time.monotonic() + NOTE_SECONDS
        try:
            with self.traffic.shown(len(wanted)):
                started = time.monotonic()
                n_workers = self._n_workers()
                self._n_at_once = max(1, min(n_workers, len(wanted)))
                if len(wanted) == 1:
                    self._prepare()
                with self._left_by_one_thread(wanted, n_workers) as left:
                    tasks = [partial(self._fetch, one) for one in left]
                    run_tasks(tasks, n_workers, self.traffic.stop, self._note_in_time)
                self._measure(time.monotonic() - started)
        except BaseException:
            # Record what arrived, for the next pull. An error of that write must not hide the
            # original error.
            with suppress(OSError):
                self._note()
            raise
        self._note_columns()

    def _n_workers(self) -> int:
        """Return how many downloads to run at once.

        While a short download waits for a distant host, other short downloads can be processed, so
        many of them run at once. Long downloads share the bandwidth, so their number does not
        matter.
        """
        client = self._offers.client
        settings = client.settings
        if self._question.keys is None and not self._are_short:
            return settings.max_workers
        wanted = int(client.latency / DOWNLOAD_SECONDS)
        return min(settings.max_downloads, max(settings.max_workers, wanted))

    @property
    def _are_short(self) -> bool:
        """True if the exports are likely to be short."""
        n_rows = self._offers.n_rows_each
        return n_rows is not None and n_rows <= FEW_ROWS

    @contextmanager
    def _left_by_one_thread(
        self, wanted: Sequence[_Wanted], n_workers: int
    ) -> Iterator[Sequence[_Wanted]]:
        """Download many small exports on one thread, and yield the exports that are left to do.

        This thread processes only complete, successful responses. If the response of an export is
        incomplete or an error, the export is left to do, together with this response.
        """
        client = self._offers.client
        small = [one for one in wanted if self._is_asked_whole(one)]
        # Several threads flush files faster than one, so one thread is not used if files are
        # flushed.
        is_flushed = self._boot is None
        is_unusual = client.settings.max_bandwidth or self._dead_attempts
        if len(small) < MANY_SMALL or is_flushed or is_unusual:
            yield wanted
            return
        origin = origin_of(small[0].export.url)
        waiting = deque(one for one in small if origin_of(one.export.url) == origin)
        together = {one.export.object for one in waiting}
        left = [one for one in wanted if one.export.object not in together]

        def fetch() -> None:
            share = _Share()
            for some in client.begin(
                waiting,
                self._first_request,
                self.traffic.stop,
                n_connections=n_workers,
                max_bytes=SMALL_BYTES,
            ):
                good = []
                for begun in some:
                    if begun.is_complete and begun.answer.status in {OK, NOT_MODIFIED}:
                        good.append(begun)
                    else:
                        left.append(replace(begun.subject, begun=begun))
                with share:
                    for begun in self._keep_usual(good):
                        self._fetch(replace(begun.subject, begun=begun))
                if share.is_small:
                    left.extend(waiting)
                    waiting.clear()

        try:
            run_tasks([fetch], 1, self.traffic.stop, self._note_in_time)
            yield [*left, *waiting]
        finally:
            for one in left:
                if one.begun is not None:
                    one.begun.discard()

    def _is_asked_whole(self, wanted: _Wanted) -> bool:
        """Return whether the first request for an export is for the whole file.

        This is the case for a new export that is probably short and of which all keys are needed,
        and for a whole file that is revalidated.
        """
        held = self._exports.get(wanted.export.object)
        if held is None or wanted.decision is Decision.FETCH:
            return self._question.keys is None and self._are_short
        return held.coverage is None

    def _keep_usual(self, answers: Sequence[Begun[_Wanted]]) -> list[Begun[_Wanted]]:
        """Store the exports of valid responses; return the other responses.

        All responses are verified before the first export is written, because the processor is
        faster if it repeats the same kind of work.
        """
        unusual, usual = [], []
        for begun in answers:
            headers, body = begun.answer.headers_by_name, begun.answer.body
            verified = verify_answer(headers, body) if begun.answer.status == OK else None
            if verified is None:
                unusual.append(begun)
            else:
                self._offers.client.learn(begun, begun.subject.export.url, headers)
                usual.append((begun.subject.export, body, verified))
        for export, body, verified in usual:
            self.traffic.count(len(body))
            with AttemptFile(self._directory.path, export.object) as attempt:
                attempt.write(body, is_durable=False)
                self._keep(publish(self._directory, attempt, verified, boot=self._boot))
        return unusual

    def _first_request(self, wanted: _Wanted) -> tuple[str, Mapping[str, str]]:
        held = self._exports.get(wanted.export.object)
        is_new = held is None or wanted.decision is Decision.FETCH
        return wanted.export.url, {} if held is None or is_new else held.validator.conditions()

    def _request_bytes(self) -> int:
        """Return how many bytes could be downloaded in the time that one more request takes."""
        client = self._offers.client
        rate = client.bytes_per_second or BYTES_PER_SECOND
        rate = min(rate, client.settings.max_bandwidth or rate)
        n_at_once = max(self._n_at_once, RANGE_WORKERS)
        return int(max(client.latency / n_at_once, REQUEST_SECONDS) * rate)

    def _tail_bytes(self) -> int:
        """Return how many bytes to request for a footer, from the lengths of other footers."""
        if len(self._footers) < FOOTERS_KNOWN:
            return TAIL_BYTES
        return min(TAIL_BYTES, max(LEAST_TAIL_BYTES, 2 * max(self._footers)))

    def _measure(self, seconds: float) -> None:
        """Remember the bandwidth of a pull of whole exports."""
        if self._question.keys is None and self.traffic.n_bytes >= MEASURED_BYTES:
            self._offers.client.bytes_per_second = self.traffic.n_bytes / seconds

    def _fetch(self, wanted: _Wanted) -> None:
        export, decision = wanted.export, wanted.decision
        held = self._exports.get(export.object)
        # The more exports are downloaded at once, the fewer ranges of each export are.
        range_workers = max(1, RANGE_WORKERS // self._n_at_once)
        host = StorageHost(
            self._offers,
            export,
            self.traffic,
            range_workers=range_workers,
            begun=wanted.begun,
        )
        try:
            if held is None or decision is Decision.FETCH:
                self._fetch_new(host, export)
            elif held.coverage is None:
                self._fetch_whole(host, export, held)
            else:
                self._fetch_more(host, export, held, decision)
        except ExportChanged:
            # The object was replaced while its ranges were read: download one version whole.
            self._fetch_whole(host, export)

    def _fetch_new(self, host: StorageHost, export: Export) -> None:
        if self._question.keys is None:
            self._fetch_whole(host, export)
            return
        columns = self._columns(host, export)
        stored = columns.begin(self._tail_bytes())
        if columns.n_footer_bytes is not None:
            self._footers.append(columns.n_footer_bytes)
        self._explain(export, columns.extent)
        if stored is None:
            self._fetch_whole(host, export)
        else:
            self._keep(stored)

    def _fetch_more(
        self, host: StorageHost, export: Export, held: StoredExport, decision: Decision
    ) -> None:
        columns = self._columns(host, export)
        if decision is Decision.REVALIDATE:
            columns.check_current(held)
        if held.path.is_symlink():
            # runlake creates no links. A write would follow this link, perhaps to any file.
            self._fetch_whole(host, export)
            return
        self._keep(columns.extend(held))
        self._explain(export, columns.extent)

    def _fetch_whole(
        self, host: StorageHost, export: Export, held: StoredExport | None = None
    ) -> None:
        with AttemptFile(self._directory.path, export.object) as attempt:
            verified = host.whole(
                attempt,
                held=held.validator if held else None,
                earlier=self._dead_attempts.get(attempt.object_digest, ()),
                is_durable=self._boot is None,
            )
            if verified is not None:
                self._keep(publish(self._directory, attempt, verified, boot=self._boot))

    def _columns(self, host: StorageHost, export: Export) -> ColumnsFetch:
        return ColumnsFetch(
            host,
            export,
            self._directory,
            self._question,
            self._boot,
            self._request_bytes(),
        )

    def _keep(self, export: StoredExport | None) -> None:
        if export is None:
            return
        with self._guard:
            if export.facts.columns:
                self._unnoted[export.path] = export.facts.columns
            before = self._exports.get(export.object)
            if before is not None and before.path != export.path:
                # Other processes may still read the old file. Set its time to now, because pruning
                # deletes such a file one day after its time.
                with suppress(OSError):
                    set_times(before.path)
            self._exports[export.object] = export
            self._n_kept += 1
            self._fetched.add(export.object)

    def _note_in_time(self) -> None:
        """Record the downloaded exports in the manifest, unless this was done very recently.

        If this pull is killed, the next pull need not download the recorded exports again.
        """
        started = time.monotonic()
        if not self._is_prepared:
            self._prepare()
        elif started >= self._next_note:
            self._note()
            ended = time.monotonic()
            self._next_note = ended + max(NOTE_SECONDS, (ended - started) / NOTE_FRACTION)
        elif started >= self._next_columns:
            # Write only new columns to the catalog, so that few are left at the end of the pull.
            self._note_columns()
            self._next_columns = time.monotonic() + NOTE_SECONDS

    def _prepare(self) -> None:
        """Create the catalog, if it is missing, before many bytes have been downloaded.

        The first commit of a database waits until all earlier writes are on the disk, also those of
        downloaded files.
        """
        self._catalog.prepare()
        self._is_prepared = True

    def _note(self) -> None:
        """Record the downloaded exports; the caller writes and flushes the final manifest later."""
        n_kept = self._n_kept
        if n_kept > self._n_noted:
            # Not flushed: what a crash loses is downloaded again by the next pull.
            write_manifest(self._directory, self.stored, is_durable=False)
            self._n_noted = n_kept
            self._note_columns()

    def _note_columns(self) -> None:
        with self._guard:
            columns, self._unnoted = self._unnoted, {}
        if columns:
            self._catalog.note_columns(columns)

    def _explain(self, export: Export, extent: Extent | None) -> None:
        if extent is not None:
            what = "the whole export" if extent.is_whole else "column chunks"
            self.reasons[export.object] = f"{what}, because {extent.reason}"
