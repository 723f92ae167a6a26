"""Download some columns of one export into a sparse file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pyarrow as pa

from runlake.cache.coverage import Coverage
from runlake.cache.disk.links import open_to_change
from runlake.cache.layout import RunDirectory
from runlake.cache.memory import cached_footer
from runlake.cache.stored_export import StoredExport, publish, publish_sparse
from runlake.errors import ExportChanged, ExportCorrupt
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.download.storage_host import StorageHost
from runlake.exports.download.tail import Tail
from runlake.exports.footers.column_chunks import question_columns
from runlake.exports.footers.facts import groups_in
from runlake.exports.footers.shortfall import (
    REQUEST_BYTES,
    Extent,
    Shortfall,
    read_shortfall,
)
from runlake.exports.footers.statistics import read_export_facts
from runlake.exports.manifest import Export
from runlake.exports.ranges import ByteRange, Piece, subtract
from runlake.exports.verify import NotAsPromised, Verified, verify_export
from runlake.values import Question

# Bytes of the first request. The footers of most exports are shorter, so one request is enough.
TAIL_BYTES = 1 << 16
# Exports of fewer bytes are downloaded whole, because requests for parts take longer.
SMALL_BYTES = 1 << 18
FOOTER_END = 8  # the footer's length, 4 bytes, and the magic bytes "PAR1"


class ColumnsFetch:
    """Downloads some columns of one export into a sparse file.

    Parameters
    ----------
    host : StorageHost
        The host from which the export is downloaded.
    export : Export
        The export, as the backend lists it.
    directory : RunDirectory
        The run's directory; the caller holds the run's lock.
    question : Question
        Keys and steps to download.
    boot : str or None
        Id of the machine's current boot. It is stored with the file, and the file is not flushed.
        None means that the file is flushed to the disk.
    request_bytes : int
        Number of bytes that could be downloaded in the time that one more request takes; see
        `choose_extent`.
    """

    def __init__(
        self,
        host: StorageHost,
        export: Export,
        directory: RunDirectory,
        question: Question,
        boot: str | None,
        request_bytes: int = REQUEST_BYTES,
    ) -> None:
        self.extent: Extent | None = None
        self.n_footer_bytes: int | None = None
        self._request_bytes = request_bytes
        self._host = host
        self._export = export
        self._directory = directory
        self._question = question
        self._boot = boot

    def begin(self, tail_bytes: int = TAIL_BYTES) -> StoredExport | None:
        """Download the footer and the needed column chunks of an export that is not on disk.

        Parameters
        ----------
        tail_bytes : int
            Bytes to request first, from the end of the export.

        Returns
        -------
        StoredExport or None
            The export; None if the whole file should be downloaded instead.
        """
        tail = self._host.tail(tail_bytes)
        if tail is None:
            return None
        if tail.n_bytes <= SMALL_BYTES:
            self.extent = Extent(True, f"it has {tail.n_bytes:,} bytes only")
            return self._keep_tail(tail) if tail.start == 0 else None
        stored = self._begin_sparse(tail)
        if stored is not None and self._is_short(stored):
            return self.extend(stored) or stored
        return stored

    def _is_short(self, stored: StoredExport) -> bool:
        """Return whether a needed row group is missing, because the footer states wrong steps."""
        needed = set(groups_in(stored.facts, self._question.steps))
        chunks = {} if stored.coverage is None else stored.coverage.chunks
        return not all(needed.issubset(groups) for groups in chunks.values())

    def extend(self, held: StoredExport) -> StoredExport | None:
        """Add the missing column chunks to a sparse file.

        Parameters
        ----------
        held : StoredExport
            The export on disk; its version is the one that the storage host has now.

        Returns
        -------
        StoredExport or None
            The extended export; None if nothing was missing.
        """
        if held.coverage is None:
            return None
        if self._question.keys is None:
            missing = subtract([ByteRange(0, held.n_bytes)], held.coverage.ranges)
            self.extent = Extent(True, "every key is wanted")
            return self._write_more(held, held.coverage, Shortfall({}, missing, self.extent))
        groups = groups_in(held.facts, self._question.steps)
        with cached_footer(held.path) as (metadata, schema):
            columns = question_columns(schema, self._question)
            wanted = held.coverage.lacks(dict.fromkeys(columns, groups))
            if not wanted:
                return None
            shortfall = Shortfall.of(
                metadata,
                schema,
                wanted,
                held.coverage.ranges,
                held.n_bytes,
                self._request_bytes,
            )
        self.extent = shortfall.extent
        return self._write_more(held, held.coverage, shortfall)

    def check_current(self, held: StoredExport) -> None:
        """Check by a request that a sparse file has the version that the host has now.

        Raises
        ------
        ExportChanged
            If the file has another version, or the host's response does not state the version.
        """
        tail = self._host.tail(1, held.n_bytes)
        if tail is None or not tail.validator.is_same(held.validator):
            raise self._changed("was replaced")

    def _keep_tail(self, tail: Tail) -> StoredExport | None:
        """Store an export that the first response contains; None if its verification fails."""
        try:
            verified = verify_export(tail.content, tail.validator, n_bytes=tail.n_bytes)
        except NotAsPromised:
            return None
        with AttemptFile(self._directory.path, self._export.object) as attempt:
            attempt.write(tail.content, is_durable=self._boot is None)
            return publish(self._directory, attempt, verified, boot=self._boot)

    def _begin_sparse(self, tail: Tail) -> StoredExport | None:
        """Store the tail (the export's last bytes) and the needed column chunks in a sparse file.

        Return None if the whole file should be downloaded instead.
        """
        with AttemptFile(self._directory.path, self._export.object) as attempt:
            with attempt.open_sparse(tail.n_bytes, tail.content) as sparse:
                pieces = [*self._rest_of_footer(tail, sparse.fileno()), tail.piece]
                with self._blaming_host():
                    on_disk = [piece.range for piece in pieces]
                    footer, shortfall = read_shortfall(
                        attempt.path, self._question, on_disk, self._request_bytes
                    )
                self.extent = shortfall.extent
                if shortfall.extent.is_whole:
                    return None
                pieces += self._host.ranges(
                    shortfall.ranges, tail.validator, tail.n_bytes, sparse.fileno()
                )
                self._flush(sparse.fileno())
            with self._blaming_host():
                facts = read_export_facts(attempt.path, footer)
            coverage = Coverage(tuple(pieces), {}).extended((), shortfall.chunks)
            return publish_sparse(
                self._directory, attempt, tail.validator, coverage, facts, boot=self._boot
            )

    def _rest_of_footer(self, tail: Tail, descriptor: int) -> list[Piece]:
        """Download the part of the footer that the tail (the export's last bytes) does not have."""
        length = int.from_bytes(tail.content[-FOOTER_END:-4], "little") + FOOTER_END
        self.n_footer_bytes = length
        start = max(0, tail.n_bytes - length)
        if start >= tail.start:
            return []
        rest = [ByteRange(start, tail.start)]
        return self._host.ranges(rest, tail.validator, tail.n_bytes, descriptor)

    @contextmanager
    def _blaming_host(self) -> Iterator[None]:
        """While the context is open, convert errors of unreadable footers to `ExportCorrupt`."""
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            # pyarrow raises OSError for damaged footers too; only errors of the disk have an errno.
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise ExportCorrupt(
                f"The footer of export {self._export.object!r} of '{self._directory.run}' cannot "
                f"be read: {error}.",
                run=str(self._directory.run),
                export=self._export.object,
            ) from error

    def _write_more(
        self, held: StoredExport, coverage: Coverage, shortfall: Shortfall
    ) -> StoredExport:
        """Download ranges into an existing sparse file, and return the extended export.

        Bytes that a reader may be reading do not change, because a file contains only one version
        of the export.
        """
        with os.fdopen(open_to_change(held.path), "r+b", buffering=0) as sparse:
            descriptor = sparse.fileno()
            # In place, while others may read the file: no stored manifest names these chunks yet.
            # If a lock failed, a second process writes the same bytes at the same offsets.
            pieces = self._host.ranges(shortfall.ranges, held.validator, held.n_bytes, descriptor)
            self._flush(descriptor)
        if shortfall.extent.is_whole:
            return held.completed(self._verified(held), self._boot)
        extended = coverage.extended(pieces, shortfall.chunks)
        return replace(held, coverage=extended, boot=self._boot).touched()

    def _flush(self, descriptor: int) -> None:
        # On a network file system, or on a system that does not identify its boots, nobody would
        # notice that a crash has lost these bytes.
        if self._boot is None:
            os.fsync(descriptor)

    def _verified(self, held: StoredExport) -> Verified:
        """Verify a sparse file that has just become complete; delete the file if it is wrong."""
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
