"""An export on disk: its file and version, and checks that the file is intact."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from cachetools import LRUCache

from runlake.backend.http.dates import seconds_of
from runlake.cache.coverage import Coverage, file_crc32c, read_pieces
from runlake.cache.disk.file_state import FileState
from runlake.cache.disk.links import is_regular
from runlake.cache.layout import RunDirectory, export_file_name
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.footers.facts import ExportFacts
from runlake.exports.footers.known_columns import Memo
from runlake.exports.process_identity import current_boot
from runlake.exports.validator import Validator
from runlake.exports.verify import Verified

IDENTITY_LENGTH = 32
FILES_IN_MEMORY = 1 << 14

_guard = threading.Lock()
_compared: LRUCache[Path, object] = LRUCache(FILES_IN_MEMORY)


@dataclass(frozen=True, slots=True)
class StoredExport:
    """An export on disk.

    Parameters
    ----------
    object : str
        Path of the export's URL, see `Export.object`.
    path : Path
        Path of the file.
    validator : Validator
        ETag and other headers that identify the version.
    n_bytes : int
        Length of the export; a sparse file has the same length.
    crc32c : int or None
        Checksum of the whole file; None for a sparse file.
    state : FileState
        State of the file after runlake last wrote or checked it. If the state differs, the file is
        checked before use.
    facts : ExportFacts
        Row groups and their steps, with which reads are planned. Types, null counts and bounds of
        columns are loaded from the catalog.
    coverage : Coverage or None
        Parts of the file that are on disk; None means all.
    dropped_at : float or None
        When a pull first found that the backend no longer lists the export, in seconds since 1970.
    boot : str or None
        Id of the machine's boot (`current_boot`) during which the file was written without a flush
        to disk; None if it was flushed. After another boot the file is checked before use.
    """

    object: str
    path: Path
    validator: Validator
    n_bytes: int
    crc32c: int | None
    state: FileState
    facts: ExportFacts
    coverage: Coverage | None = None
    dropped_at: float | None = None
    boot: str | None = None

    @property
    def file(self) -> str:
        """File name in the run's directory."""
        return self.path.name

    @property
    def modified_at(self) -> float:
        """``Last-Modified`` of the export in seconds since 1970; 0 if the host did not send it."""
        return seconds_of(self.validator.last_modified or "") or 0.0

    @property
    def identity(self) -> str:
        """Digest of the export's name and version.

        The names of the export's files begin with this digest. A whole and a sparse file of one
        version have the same identity.
        """
        return self.path.name[:IDENTITY_LENGTH]

    @property
    def n_held_bytes(self) -> int:
        """Bytes of the export that are on disk."""
        return self.n_bytes if self.coverage is None else self.coverage.n_bytes

    @property
    def is_promised(self) -> bool:
        """True if the whole file was compared with a digest that the storage host sent."""
        return self.coverage is None and self.validator.promises_digest

    @property
    def is_untouched(self) -> bool:
        """True if the file exists, and neither another program nor a crash can have changed it."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - for each file of many runs
        except OSError:
            return False
        return self.state.is_of(found) and (self.boot is None or self.boot == current_boot())

    @property
    def is_usable(self) -> bool:
        """True if the file exists and is intact; a file that may have changed is checked once."""
        if self.is_untouched:
            return True
        try:
            found = self.path.stat()
        except OSError:
            return False
        pieces = None if self.coverage is None else self.coverage.pieces
        looks = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, self.crc32c, pieces)
        if _compared.get(self.path) == looks:
            return True
        if not self.is_intact():
            return False
        with _guard:
            _compared[self.path] = looks
        return True

    def is_intact(self) -> bool:
        """Read the file, and return whether its checksums are right."""
        try:
            if not is_regular(self.path) or self.path.stat().st_size != self.n_bytes:
                return False
            if self.coverage is None:
                return file_crc32c(self.path) == self.crc32c
            return read_pieces(self.path, self.coverage.ranges) == self.coverage.pieces
        except OSError:
            return False

    def touched(self) -> StoredExport:
        """Return a copy with the file's current state; the caller has just checked the file."""
        # A file that was written before the last boot is no longer in the memory of the machine, so
        # the check has read the disk. No further check is needed.
        boot = self.boot if self.boot == current_boot() else None
        return replace(self, state=FileState.of(self.path), boot=boot)

    def as_found(self) -> StoredExport:
        """Return a copy with the file's current state if the file is intact; else this object."""
        if self.is_untouched or not self.is_usable:
            return self
        try:
            return self.touched()
        except OSError:
            return self

    def completed(self, verified: Verified, boot: str | None) -> StoredExport:
        """Return a copy that describes a whole file: the last missing bytes have arrived."""
        return replace(
            self,
            crc32c=verified.crc32c,
            state=FileState.of(self.path),
            facts=verified.facts,
            coverage=None,
            boot=boot,
        )


class LoadedExports(Memo, tuple[StoredExport, ...]):  # noqa: SLOT001 - caches derived values
    """Exports, each with types, null counts and bounds of the columns that a read needs."""


def publish(
    directory: RunDirectory,
    attempt: AttemptFile,
    verified: Verified,
    *,
    boot: str | None = None,
) -> StoredExport:
    """Give a complete download its final name, and return its entry for the stored manifest.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.
    attempt : AttemptFile
        The downloaded file, closed.
    verified : Verified
        Result of the file's verification.
    boot : str, optional
        Id of the machine's current boot; None if the file was flushed to disk.

    Returns
    -------
    StoredExport
        The entry for the stored manifest.
    """
    validator = verified.validator
    path = directory.path / _file_name(attempt.object, validator, verified.n_bytes)
    attempt.publish(path)
    return StoredExport(
        attempt.object,
        path,
        validator,
        verified.n_bytes,
        verified.crc32c,
        FileState.of(path),
        verified.facts,
        boot=boot,
    )


def publish_sparse(
    directory: RunDirectory,
    attempt: AttemptFile,
    validator: Validator,
    coverage: Coverage,
    facts: ExportFacts,
    *,
    boot: str | None = None,
) -> StoredExport:
    """Give a new sparse file its final name, and return its entry for the stored manifest.

    Parameters
    ----------
    directory, attempt, boot
        See `publish`.
    validator : Validator
        ETag and other headers that identify the version.
    coverage : Coverage
        Parts of the file that are on disk.
    facts : ExportFacts
        Facts from the file's footer and from its ``_step`` column.

    Notes
    -----
    Each sparse file gets a unique name. If a lock fails (as on some network file systems), a
    process may still write to a sparse file that another process has just replaced. With unique
    names, the first process changes only the old file, never the new one.
    """
    n_bytes = attempt.path.stat().st_size
    path = directory.path / _file_name(attempt.object, validator, n_bytes, is_sparse=True)
    attempt.path.replace(path)
    # After the rename, which changes the ctime in the state.
    state = FileState.of(path)
    return StoredExport(
        attempt.object, path, validator, n_bytes, None, state, facts, coverage, boot=boot
    )


def _file_name(
    object_path: str, validator: Validator, n_bytes: int, *, is_sparse: bool = False
) -> str:
    version = validator.etag or validator.last_modified or ""
    return export_file_name(object_path, version, n_bytes, is_sparse=is_sparse)
