"""Download the exports of one run as decided, while the run's lock is held."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

from runlake.cache.catalog import Catalog
from runlake.cache.disk.links import set_times
from runlake.cache.disk.mounts import is_network
from runlake.cache.fetch_columns import ColumnsFetch
from runlake.cache.layout import RunDirectory
from runlake.cache.store import StoredManifest, write_manifest
from runlake.cache.stored_export import StoredExport, publish
from runlake.cache.upkeep.dead_attempts import find_dead_attempts
from runlake.errors import ExportChanged
from runlake.exports.decide import Decision
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.download.storage_host import StorageHost
from runlake.exports.footers.shortfall import Extent
from runlake.exports.manifest import Export
from runlake.exports.offers import Offers
from runlake.exports.process_identity import current_boot
from runlake.exports.progress import Traffic
from runlake.exports.workers import run_tasks
from runlake.values import Question

NOTE_SECONDS = 0.2  # least time between two manifests written during a pull


class Fetching:
    """The downloads of one pull.

    Parameters
    ----------
    offers : Offers
        The exports that the backend lists.
    directory : RunDirectory
        The run's directory; the caller holds the run's lock.
    catalog : Catalog
        Receives the columns of each new export.
    stored : StoredManifest
        The stored manifest before the downloads. The attribute ``stored`` is updated after each
        download.
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
        self.stored = stored
        self.reasons: dict[str, str] = {}
        self._fetched: set[str] = set()
        self.traffic = traffic
        self._offers = offers
        self._directory = directory
        self._catalog = catalog
        self._question = question
        self._guard = threading.Lock()
        self._next_note = 0.0
        # On a network file system None, so that files are flushed: other machines cannot know that
        # this one crashed.
        self._boot = None if is_network(directory.path) else current_boot()

    @property
    def n_downloaded(self) -> int:
        """Number of exports of which at least a part was downloaded."""
        return len(self._fetched)

    def run(self, decisions: Mapping[str, Decision]) -> None:
        """Carry out all decisions, several at the same time.

        Parameters
        ----------
        decisions : mapping of str to Decision
            What to do with each export, by object.
        """
        tasks = [
            partial(self._fetch, export, decisions[export.object])
            for export in self._offers.exports
            if decisions[export.object] is not Decision.REUSE
        ]
        max_workers = self._offers.client.settings.max_workers
        try:
            with self.traffic.shown(len(tasks)):
                run_tasks(tasks, max_workers, self.traffic.stop)
        except BaseException:
            # Record what arrived, for the next pull. An error of that write must not hide the
            # original error.
            with self._guard, suppress(OSError):
                if self._fetched:
                    write_manifest(self._directory, self.stored, is_durable=False)
            raise

    def _fetch(self, export: Export, decision: Decision) -> None:
        held = self.stored.exports.get(export.object)
        host = StorageHost(self._offers, export, self.traffic)
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
        stored = columns.begin()
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
            # Not ours: a write would follow the link to any file.
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
                earlier=find_dead_attempts(attempt),
                is_durable=self._boot is None,
            )
            if verified is not None:
                self._keep(publish(self._directory, attempt, verified, boot=self._boot))

    def _columns(self, host: StorageHost, export: Export) -> ColumnsFetch:
        return ColumnsFetch(host, export, self._directory, self._question, self._boot)

    def _keep(self, export: StoredExport | None) -> None:
        if export is None:
            return
        if export.facts.columns:
            self._catalog.note_columns(export.path, export.facts.columns)
        with self._guard:
            before = self.stored.exports.get(export.object)
            if before is not None and before.path != export.path:
                # Other processes may still read the old file. Its new time is when pruning starts
                # to count: it is deleted a day later.
                with suppress(OSError):
                    set_times(before.path)
            self.stored = self.stored.with_export(export)
            self._fetched.add(export.object)
            # At intervals, so that a killed pull resumes from here. The caller writes the final
            # manifest, flushed to disk.
            if time.monotonic() >= self._next_note:
                write_manifest(self._directory, self.stored, is_durable=False)
                self._next_note = time.monotonic() + NOTE_SECONDS

    def _explain(self, export: Export, extent: Extent | None) -> None:
        if extent is not None:
            what = "the whole export" if extent.is_whole else "column chunks"
            self.reasons[export.object] = f"{what}, because {extent.reason}"
