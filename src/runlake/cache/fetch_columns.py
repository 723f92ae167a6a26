"""Download some columns of one export into a sparse file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.cache.coverage import Coverage, read_pieces
from runlake.cache.disk.links import open_to_change
from runlake.cache.layout import RunDirectory
from runlake.cache.memory import cached_footer
from runlake.cache.stored_export import StoredExport, publish, publish_sparse
from runlake.errors import ExportChanged, ExportCorrupt
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.download.ranges_download import write_at
from runlake.exports.download.storage_host import StorageHost
from runlake.exports.download.tail import Tail
from runlake.exports.extent import Extent, choose_extent
from runlake.exports.footers.column_chunks import chunk_ranges, touched_row_groups
from runlake.exports.footers.schema import checked_schema, columns_for, refusing_unsound
from runlake.exports.footers.statistics import groups_in, read_export_facts
from runlake.exports.manifest import Export
from runlake.exports.ranges import ByteRange, coalesce, subtract
from runlake.exports.verify import NotAsPromised, Verified, verify_export
from runlake.values import STEP, Question

# The footers of most exports are shorter, so one request is enough.
TAIL_BYTES = 1 << 16
FOOTER_END = 8  # the footer's length, 4 bytes, and the magic bytes "PAR1"
Chunks = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Shortfall:
    """The parts of an export that a read needs and that are not on disk.

    Parameters
    ----------
    chunks : mapping of str to tuple of int
        Missing column chunks, as row groups by column.
    ranges : list of ByteRange
        The byte ranges to download.
    extent : Extent
        Whether ``ranges`` are those of ``chunks``, or everything that is missing of the file.
    """

    chunks: Chunks
    ranges: list[ByteRange]
    extent: Extent

    @classmethod
    def of(
        cls,
        metadata: pq.FileMetaData,
        schema: pa.Schema,
        chunks: Chunks,
        on_disk: Sequence[ByteRange],
        n_bytes: int,
    ) -> Shortfall:
        """Decide which byte ranges to download.

        Parameters
        ----------
        metadata, schema
            The footer of the export.
        chunks : mapping of str to tuple of int
            Needed column chunks that are not on disk, as row groups by column.
        on_disk : sequence of ByteRange
            Ranges that are on disk.
        n_bytes : int
            Length of the export.
        """
        ranges = coalesce(subtract(chunk_ranges(metadata, schema, chunks), on_disk))
        n_held = sum(one.n_bytes for one in on_disk)
        n_missing = sum(one.n_bytes for one in ranges)
        extent = choose_extent(n_bytes, n_held, n_missing, len(ranges))
        if extent.is_whole:
            ranges = subtract([ByteRange(0, n_bytes)], on_disk)
        return cls(chunks, ranges, extent)


class ColumnsFetch:
    """Downloads columns of one export.

    Parameters
    ----------
    host : StorageHost
        Where the export is downloaded from.
    export : Export
        The export as the backend offers it.
    directory : RunDirectory
        The run's directory; the caller holds the run's lock.
    question : Question
        Keys and steps to download.
    boot : str or None
        Id of the machine's current boot, to be noted with the file, which is not flushed then. None
        means to flush the file to disk.
    """

    def __init__(
        self,
        host: StorageHost,
        export: Export,
        directory: RunDirectory,
        question: Question,
        boot: str | None,
    ) -> None:
        self.extent: Extent | None = None
        self._host = host
        self._export = export
        self._directory = directory
        self._keys = question.keys
        self._steps = question.steps
        self._boot = boot

    def begin(self) -> StoredExport | None:
        """Download the footer and the needed column chunks.

        Returns
        -------
        StoredExport or None
            The export; if `is_short` is true for it, call `extend`. None if the whole file should
            be downloaded instead.
        """
        tail = self._host.tail(TAIL_BYTES)
        if tail is None:
            return None
        if tail.start == 0:
            return self._keep_tail(tail)
        try:
            with AttemptFile(self._directory.path, self._export.object) as attempt:
                return self._begin_sparse(attempt, tail)
        except (pa.ArrowException, OSError) as error:
            # pyarrow raises OSError too, but only errors of the disk have an errno.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ExportCorrupt(
                f"The footer of export {self._export.object!r} of '{self._directory.run}' cannot "
                f"be read: {error}.",
                run=str(self._directory.run),
                export=self._export.object,
            ) from error

    def is_short(self, stored: StoredExport) -> bool:
        """Return whether the steps themselves need more row groups than their statistics said."""
        needed = set(groups_in(stored.facts, self._steps))
        chunks = {} if stored.coverage is None else stored.coverage.chunks
        return not all(needed.issubset(groups) for groups in chunks.values())

    def extend(self, held: StoredExport) -> StoredExport | None:
        """Add the missing column chunks to a sparse file.

        Parameters
        ----------
        held : StoredExport
            The export on disk, of the version that the backend offers now.

        Returns
        -------
        StoredExport or None
            The extended export; None if nothing was missing.
        """
        if held.coverage is None:
            return None
        if self._keys is None:
            missing = subtract([ByteRange(0, held.n_bytes)], held.coverage.ranges)
            self.extent = Extent(True, "every key is wanted")
            return self._write_more(held, held.coverage, Shortfall({}, missing, self.extent))
        groups = groups_in(held.facts, self._steps)
        with cached_footer(held.path) as (metadata, schema):
            wanted = held.coverage.lacks(dict.fromkeys(self._columns(schema), groups))
            if not wanted:
                return None
            shortfall = Shortfall.of(metadata, schema, wanted, held.coverage.ranges, held.n_bytes)
        self.extent = shortfall.extent
        return self._write_more(held, held.coverage, shortfall)

    def check_current(self, held: StoredExport) -> None:
        """Check with the host that a sparse file is of the version on offer.

        Raises
        ------
        ExportChanged
            If it is of another version, or the host's answer does not show the version.
        """
        tail = self._host.tail(1, held.n_bytes)
        if tail is None or not tail.validator.is_same(held.validator):
            raise self._changed("was replaced")

    def _keep_tail(self, tail: Tail) -> StoredExport | None:
        """Store an export so small that its tail is the whole file; None if it fails a check."""
        with AttemptFile(self._directory.path, self._export.object) as attempt:
            with attempt.open() as file:
                file.write(tail.content)
                file.flush()
                self._flush(file.fileno())
            try:
                verified = verify_export(attempt.path, tail.validator, n_bytes=tail.n_bytes)
            except NotAsPromised:
                return None
            self.extent = choose_extent(tail.n_bytes, tail.n_bytes, 0, 0)
            return publish(self._directory, attempt, verified, boot=self._boot)

    def _begin_sparse(self, attempt: AttemptFile, tail: Tail) -> StoredExport | None:
        with attempt.open_sparse(tail.n_bytes) as sparse:
            descriptor = sparse.fileno()
            write_at(descriptor, tail.start, tail.content)
            footer = self._complete_footer(tail, descriptor)
            with refusing_unsound(attempt.path):
                metadata = pq.read_metadata(attempt.path)
                schema = checked_schema(metadata)
                wanted = self._wanted_by_statistics(metadata, schema)
                shortfall = Shortfall.of(metadata, schema, wanted, [footer], tail.n_bytes)
            self.extent = shortfall.extent
            if shortfall.extent.is_whole:
                return None
            self._host.ranges(shortfall.ranges, tail.validator, tail.n_bytes, descriptor)
            self._flush(descriptor)
        pieces = read_pieces(attempt.path, [footer, *shortfall.ranges])
        return publish_sparse(
            self._directory,
            attempt,
            tail.validator,
            Coverage(pieces, {}).extended((), wanted),
            read_export_facts(attempt.path, metadata),
            boot=self._boot,
        )

    def _complete_footer(self, tail: Tail, descriptor: int) -> ByteRange:
        length = int.from_bytes(tail.content[-FOOTER_END:-4], "little") + FOOTER_END
        start = max(0, tail.n_bytes - length)
        if start < tail.start:
            rest = [ByteRange(start, tail.start)]
            self._host.ranges(rest, tail.validator, tail.n_bytes, descriptor)
        return ByteRange(min(start, tail.start), tail.n_bytes)

    def _wanted_by_statistics(self, metadata: pq.FileMetaData, schema: pa.Schema) -> Chunks:
        touched = touched_row_groups(metadata, schema, self._steps.start, self._steps.stop)
        wanted = dict.fromkeys(self._columns(schema), touched)
        if STEP in schema.names:
            # Always all steps: whether the whole file is in step order decides how it is read.
            wanted[STEP] = tuple(range(metadata.num_row_groups))
        return wanted

    def _columns(self, schema: pa.Schema) -> list[str]:
        return columns_for(self._keys or (), {field.name: field.type for field in schema})

    def _write_more(
        self, held: StoredExport, coverage: Coverage, shortfall: Shortfall
    ) -> StoredExport:
        """Write ranges into a sparse file in place.

        Readers are not disturbed, because a file name belongs to one version and one set of bytes.
        """
        with os.fdopen(open_to_change(held.path), "r+b", buffering=0) as sparse:
            descriptor = sparse.fileno()
            self._host.ranges(shortfall.ranges, held.validator, held.n_bytes, descriptor)
            self._flush(descriptor)
        if shortfall.extent.is_whole:
            return held.completed(self._verified(held), self._boot)
        pieces = read_pieces(held.path, shortfall.ranges)
        extended = coverage.extended(pieces, shortfall.chunks)
        return replace(held, coverage=extended, boot=self._boot).touched()

    def _flush(self, descriptor: int) -> None:
        if self._boot is None:
            os.fsync(descriptor)

    def _verified(self, held: StoredExport) -> Verified:
        """Verify a sparse file that is complete now; delete it if it fails."""
        try:
            return verify_export(held.path, held.validator, n_bytes=held.n_bytes)
        except NotAsPromised as error:
            with suppress(OSError):
                held.path.unlink()
            raise self._changed(f"is not what its host promised: {error}") from error

    def _changed(self, how: str) -> ExportChanged:
        return ExportChanged(
            f"Export {self._export.object!r} of '{self._directory.run}' {how}.",
            run=str(self._directory.run),
            export=self._export.object,
        )
