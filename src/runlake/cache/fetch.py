"""Carry out what was decided for the exports of one run, while its lock is held."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.backend.http.client import Client
from runlake.backend.http.stop import Stop
from runlake.cache.catalog import Catalog
from runlake.cache.coverage import Coverage, read_pieces
from runlake.cache.disk.links import open_to_change, set_times
from runlake.cache.disk.mounts import is_network
from runlake.cache.layout import RunDirectory
from runlake.cache.pull_result import cached_footer
from runlake.cache.store import (
    StoredExport,
    StoredManifest,
    publish,
    publish_sparse,
    write_manifest,
)
from runlake.cache.upkeep.dead_attempts import dead_parts
from runlake.errors import ExportChanged, ExportCorrupt
from runlake.exports.attempt_file import PartFile
from runlake.exports.decide import Decision
from runlake.exports.download import (
    Tail,
    download_export,
    fetch_ranges,
    fetch_tail,
)
from runlake.exports.extent import Extent, choose_extent
from runlake.exports.footers.column_chunks import chunk_ranges, touched_row_groups
from runlake.exports.footers.schema import checked_schema, columns_for, refusing_unsound
from runlake.exports.footers.statistics import ExportFacts, groups_in, read_export_facts
from runlake.exports.manifest import Export, Manifest, fetch_manifest
from runlake.exports.process_identity import current_boot
from runlake.exports.progress import Progress
from runlake.exports.ranges import ByteRange, coalesce, subtract
from runlake.exports.validator import Validator
from runlake.exports.verify import NotAsPromised, Verified, verify_export
from runlake.exports.workers import run_tasks
from runlake.values import STEP, StepRange

TAIL_BYTES = 1 << 16
FOOTER_END = 8
NOTE_SECONDS = 0.2
RANGE_WORKERS = 4


class Fetching:
    """The downloads of one pull.

    Parameters
    ----------
    client : Client
        The backend.
    directory : RunDirectory
        The run, whose lock the caller holds.
    catalog : Catalog
        Told of the columns of each new export.
    offered : Manifest
        What the backend offers.
    stored : StoredManifest
        What is on disk; `stored` is what is on disk now.
    keys : sequence of str or None
        Columns that are wanted; None means all.
    steps : StepRange
        Steps that are wanted.
    progress : Progress
        Watches.
    """

    def __init__(
        self,
        client: Client,
        directory: RunDirectory,
        catalog: Catalog,
        offered: Manifest,
        stored: StoredManifest,
        keys: Sequence[str] | None,
        steps: StepRange,
        progress: Progress,
    ) -> None:
        self.stored = stored
        self.n_downloaded = 0
        self.n_bytes = 0
        self.reasons: dict[str, str] = {}
        self._client = client
        self._directory = directory
        self._catalog = catalog
        self._offered = offered
        self._keys = keys
        self._steps = steps
        self._progress = progress
        self._guard = threading.Lock()
        self._next_note = 0.0
        self._stop = Stop()
        self._renewed: Manifest | None = None
        # Other machines know nothing of a start of this one.
        self._boot = None if is_network(directory.path) else current_boot()

    def run(self, decisions: dict[str, Decision]) -> None:
        """Carry out all decisions, several at once.

        Parameters
        ----------
        decisions : dict of str to Decision
            By object.
        """
        wanted = [
            (export, decisions[export.object])
            for export in self._offered.exports
            if decisions[export.object] is not Decision.REUSE
        ]
        self._progress.start(None, len(wanted))
        tasks = [partial(self._fetch, *one) for one in wanted]
        try:
            run_tasks(tasks, self._client.settings.max_workers, self._stop)
        except BaseException:
            # What arrived is of use to the next attempt; the reason of the failure goes first.
            with self._guard, suppress(OSError):
                if self.n_downloaded:
                    write_manifest(self._directory, self.stored, is_durable=False)
            raise
        finally:
            self._progress.finish()

    def _fetch(self, export: Export, decision: Decision) -> None:
        held = self.stored.exports.get(export.object)
        try:
            if held is not None and decision is Decision.REVALIDATE:
                self._revalidate(export, held)
            elif held is not None and decision is Decision.EXTEND:
                self._extend(export, held)
            elif self._keys is None or not self._fetch_part(export):
                self._fetch_whole(export, None)
        except ExportChanged:
            # The object was replaced while its ranges were read; the whole of one version it is.
            self._fetch_whole(export, None)

    def _revalidate(self, export: Export, held: StoredExport) -> None:
        if held.coverage is None:
            self._fetch_whole(export, held)
            return
        tail = self._tail(export, 1, held.n_bytes)
        if tail is None or not tail.validator.is_same(held.validator):
            raise ExportChanged(
                f"Export {export.object!r} was replaced.",
                run=str(self._directory.run),
                export=export.object,
            )
        self._extend(export, held)

    def _fetch_whole(self, export: Export, held: StoredExport | None) -> None:
        part = PartFile(self._directory.path, export.object)
        try:
            downloaded = download_export(
                self._client,
                self._directory.run,
                export,
                part,
                held=held.validator if held else None,
                resume_from=dead_parts(self._directory.path, export.object),
                renew=self._renewal(export),
                count=self._count,
                stop=self._stop,
                is_durable=self._boot is None,
            )
            if downloaded is None:
                return
            stored = publish(self._directory, export.object, part.path, downloaded, boot=self._boot)
        finally:
            part.discard()
        self._keep(stored)

    def _fetch_part(self, export: Export) -> bool:
        """Fetch the wanted column chunks only; False where the whole export is the better way."""
        tail = self._tail(export, TAIL_BYTES)
        if tail is None:
            return False
        if tail.start == 0:
            return self._keep_tail(export, tail)
        part = PartFile(self._directory.path, export.object)
        try:
            with part.open_sparse(tail.n_bytes) as sparse:
                sink = _Sink(sparse.fileno())
                sink(tail.start, tail.content)
                footer = self._complete_footer(export, tail, sink)
                with refusing_unsound(part.path):
                    metadata = pq.read_metadata(part.path)
                    schema = checked_schema(metadata)
                    wanted = self._wanted_by_statistics(metadata, schema)
                    chunks = chunk_ranges(metadata, schema, wanted)
                missing = coalesce(subtract(chunks, [footer]))
                extent = choose_extent(
                    tail.n_bytes, footer.stop - footer.start, _n_bytes(missing), len(missing)
                )
                if extent.is_whole:
                    self._explain(export, extent)
                    return False
                self._ranges(export, tail.validator, tail.n_bytes, missing, sink)
                self._flush(sparse.fileno())
            self._explain(export, extent)
            facts = read_export_facts(part.path, metadata)
            self._publish_part(export, part, tail, [footer, *missing], wanted, facts)
        except (pa.ArrowException, OSError) as error:
            # What the disk refuses has a number; what pyarrow cannot read has none.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ExportCorrupt(
                f"The footer of export {export.object!r} of '{self._directory.run}' cannot be "
                f"read: {error}.",
                run=str(self._directory.run),
                export=export.object,
            ) from error
        finally:
            part.discard()
        return True

    def _keep_tail(self, export: Export, tail: Tail) -> bool:
        """Keep an export that came whole with its tail; False where it is not what was promised."""
        part = PartFile(self._directory.path, export.object)
        try:
            with part.open() as file:
                file.write(tail.content)
                file.flush()
                self._flush(file.fileno())
            verified = verify_export(part.path, tail.validator, n_bytes=tail.n_bytes)
            stored = publish(self._directory, export.object, part.path, verified, boot=self._boot)
        except NotAsPromised:
            return False
        finally:
            part.discard()
        self._explain(export, choose_extent(tail.n_bytes, tail.n_bytes, 0, 0))
        self._keep(stored)
        return True

    def _publish_part(
        self,
        export: Export,
        part: PartFile,
        tail: Tail,
        ranges: Sequence[ByteRange],
        wanted: dict[str, tuple[int, ...]],
        facts: ExportFacts,
    ) -> None:
        coverage = Coverage(read_pieces(part.path, ranges), {}).extended((), wanted)
        stored = publish_sparse(
            self._directory,
            export.object,
            part.path,
            tail.validator,
            coverage,
            facts,
            boot=self._boot,
        )
        self._keep(stored)
        needed = set(groups_in(facts, self._steps))
        if not all(needed.issubset(groups) for groups in wanted.values()):
            # The steps have shown what their statistics concealed.
            self._extend(export, stored)

    def _complete_footer(self, export: Export, tail: Tail, sink: _Sink) -> ByteRange:
        length = int.from_bytes(tail.content[-FOOTER_END:-4], "little") + FOOTER_END
        start = max(0, tail.n_bytes - length)
        if start < tail.start:
            rest = [ByteRange(start, tail.start)]
            self._ranges(export, tail.validator, tail.n_bytes, rest, sink)
        return ByteRange(min(start, tail.start), tail.n_bytes)

    def _wanted_by_statistics(
        self, metadata: pq.FileMetaData, schema: pa.Schema
    ) -> dict[str, tuple[int, ...]]:
        touched = touched_row_groups(metadata, schema, self._steps.start, self._steps.stop)
        wanted = dict.fromkeys(self._columns(schema), touched)
        if STEP in schema.names:
            # The order of all steps decides how the file is read, whatever the range.
            wanted[STEP] = tuple(range(metadata.num_row_groups))
        return wanted

    def _columns(self, schema: pa.Schema) -> list[str]:
        return columns_for(self._keys or (), {field.name: field.type for field in schema})

    def _extend(self, export: Export, held: StoredExport) -> None:
        if held.coverage is None:
            return
        if held.path.is_symlink():
            # Somebody put it there; what is written through it could land anywhere.
            self._fetch_whole(export, None)
            return
        on_disk = held.coverage.ranges
        wanted: dict[str, tuple[int, ...]] = {}
        if self._keys is not None:
            groups = groups_in(held.facts, self._steps)
            with cached_footer(held.path) as (metadata, schema):
                wanted = held.coverage.lacks(dict.fromkeys(self._columns(schema), groups))
                chunks = chunk_ranges(metadata, schema, wanted)
            missing = coalesce(subtract(chunks, on_disk))
            extent = choose_extent(
                held.n_bytes, held.coverage.n_bytes, _n_bytes(missing), len(missing)
            )
        else:
            missing, extent = [], Extent(True, "every key is wanted")
        if not wanted and self._keys is not None:
            return
        self._explain(export, extent)
        if extent.is_whole:
            missing = subtract([ByteRange(0, held.n_bytes)], on_disk)
        self._write_more(export, held, missing, wanted, is_whole=extent.is_whole)

    def _write_more(
        self,
        export: Export,
        held: StoredExport,
        missing: list[ByteRange],
        wanted: dict[str, tuple[int, ...]],
        *,
        is_whole: bool,
    ) -> None:
        """Write ranges into a sparse file in place: the same identity has the same bytes."""
        with os.fdopen(open_to_change(held.path), "r+b", buffering=0) as sparse:
            sink = _Sink(sparse.fileno())
            self._ranges(export, held.validator, held.n_bytes, missing, sink)
            self._flush(sparse.fileno())
        if is_whole:
            self._keep(held.completed(self._verified(export, held), self._boot))
        elif held.coverage is not None:
            coverage = held.coverage.extended(read_pieces(held.path, missing), wanted)
            self._keep(replace(held, coverage=coverage, boot=self._boot).touched())

    def _flush(self, descriptor: int) -> None:
        if self._boot is None:
            os.fsync(descriptor)

    def _verified(self, export: Export, held: StoredExport) -> Verified:
        """Decide whether a file that was completed by ranges is the export."""
        try:
            return verify_export(held.path, held.validator, n_bytes=held.n_bytes)
        except NotAsPromised as error:
            with suppress(OSError):
                held.path.unlink()
            raise ExportChanged(
                f"Export {export.object!r} of '{self._directory.run}' is not what its host "
                f"promised: {error}.",
                run=str(self._directory.run),
                export=export.object,
            ) from error

    def _keep(self, export: StoredExport) -> None:
        if export.facts.columns:
            self._catalog.note_columns(export.path, export.facts.columns)
        with self._guard:
            before = self.stored.exports.get(export.object)
            if before is not None and before.path != export.path:
                # It stays for whoever reads it, and goes a day after it was replaced.
                with suppress(OSError):
                    set_times(before.path)
            self.stored = self.stored.with_export(export)
            self.n_downloaded += 1
            # Now and then, so that a killed pull goes on where it was; the caller writes the last
            # one, and waits for the disk.
            if time.monotonic() >= self._next_note:
                write_manifest(self._directory, self.stored, is_durable=False)
                self._next_note = time.monotonic() + NOTE_SECONDS

    def _explain(self, export: Export, extent: Extent) -> None:
        what = "the whole export" if extent.is_whole else "column chunks"
        self.reasons[export.object] = f"{what}, because {extent.reason}"

    def _tail(self, export: Export, n_bytes: int, total: int | None = None) -> Tail | None:
        return fetch_tail(
            self._client,
            self._directory.run,
            export,
            n_bytes,
            total=total,
            renew=self._renewal(export),
            count=self._count,
            stop=self._stop,
        )

    def _ranges(
        self,
        export: Export,
        validator: Validator,
        total: int,
        ranges: Sequence[ByteRange],
        sink: _Sink,
    ) -> None:
        fetch_ranges(
            self._client,
            self._directory.run,
            export,
            validator,
            ranges,
            sink=sink,
            renew=self._renewal(export),
            count=self._count,
            max_workers=RANGE_WORKERS,
            total=total,
            stop=self._stop,
        )

    def _renewal(self, export: Export) -> Callable[[], Export | None]:
        expired = export.url

        def renew() -> Export | None:
            nonlocal expired
            with self._guard:
                found = self._offer_of(export)
                if found is None or found.url == expired:
                    self._renewed = fetch_manifest(self._client, self._directory.run)
                    found = self._offer_of(export)
            expired = found.url if found else expired
            return found

        return renew

    def _offer_of(self, export: Export) -> Export | None:
        offers = (self._renewed or self._offered).exports
        return next((offer for offer in offers if offer.object == export.object), None)

    def _count(self, n_bytes: int) -> None:
        self._stop.check()
        with self._guard:
            self.n_bytes += n_bytes
            self._progress.advance(n_bytes)


class _Sink:
    """Writes bytes at their place, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, offset: int, content: bytes) -> None:
        view = memoryview(content)
        while view:
            written = os.pwrite(self._descriptor, view, offset)
            view, offset = view[written:], offset + written


def _n_bytes(ranges: Sequence[ByteRange]) -> int:
    return sum(one.stop - one.start for one in ranges)
