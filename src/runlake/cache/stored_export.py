"""An export on disk: which version it is, and whether its file holds what arrived."""

from __future__ import annotations

import email.utils
import threading
from dataclasses import dataclass, replace
from pathlib import Path

from cachetools import LRUCache

from runlake.cache.coverage import Coverage, file_crc32c, read_pieces
from runlake.cache.disk.file_state import FileState
from runlake.cache.disk.links import is_regular
from runlake.cache.layout import RunDirectory, export_file_name
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.footers.statistics import ExportFacts
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
        Its URL without signature.
    path : Path
        The file.
    validator : Validator
        Which version it is.
    n_bytes : int
        Length of the export; a sparse file is as long.
    crc32c : int or None
        Of the whole file; None while it is sparse.
    state : FileState
        The file as we left it: one that somebody else touched is checked before it is used.
    facts : ExportFacts
        What planning needs to know of it; columns come from the catalog.
    coverage : Coverage or None
        What of it is on disk; None means all.
    dropped_at : float or None
        When the backend was first seen not to offer it any more, in seconds since 1970.
    boot : str or None
        The start of this machine (`current_boot`) in which bytes were written that nobody waited to
        see on the disk; None if all are there. After another start they are checked before use.
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
        """When the storage host says that it was made, in seconds since 1970; 0 if it does not."""
        try:
            when = email.utils.parsedate_to_datetime(self.validator.last_modified or "")
        except ValueError:
            return 0.0
        return when.timestamp()

    @property
    def identity(self) -> str:
        """What a whole and a sparse file of one version have in common: the digest in the name."""
        return self.path.name[:IDENTITY_LENGTH]

    @property
    def n_held_bytes(self) -> int:
        """Bytes of it that are on disk."""
        return self.n_bytes if self.coverage is None else self.coverage.n_bytes

    @property
    def is_promised(self) -> bool:
        """Its bytes were compared with a digest that its host promised."""
        return self.coverage is None and self.validator.promises_digest

    @property
    def is_untouched(self) -> bool:
        """The file is there, and neither somebody else nor a crash can have changed it."""
        try:
            found = self.path.stat()
        except OSError:
            return False
        return self.state.is_of(found) and (self.boot is None or self.boot == current_boot())

    @property
    def is_usable(self) -> bool:
        """The file is there and holds what arrived; it is read once to tell, if at all."""
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
        """Read what is on disk, and tell whether it is what arrived."""
        try:
            if not is_regular(self.path) or self.path.stat().st_size != self.n_bytes:
                return False
            if self.coverage is None:
                return file_crc32c(self.path) == self.crc32c
            return read_pieces(self.path, self.coverage.ranges) == self.coverage.pieces
        except OSError:
            return False

    def touched(self) -> StoredExport:
        """Return the export as its file is now, whose bytes are known to be right."""
        # Those that an earlier start of the machine wrote have come from the disk.
        boot = self.boot if self.boot == current_boot() else None
        return replace(self, state=FileState.of(self.path), boot=boot)

    def as_found(self) -> StoredExport:
        """Return the export, noted as its file is now if that holds what arrived all the same."""
        if self.is_untouched or not self.is_usable:
            return self
        try:
            return self.touched()
        except OSError:
            return self

    def completed(self, verified: Verified, boot: str | None) -> StoredExport:
        """Return the export with a sparse file that holds every byte now."""
        return replace(
            self,
            crc32c=verified.crc32c,
            state=FileState.of(self.path),
            facts=verified.facts,
            coverage=None,
            boot=boot,
        )


def publish(
    directory: RunDirectory,
    attempt: AttemptFile,
    verified: Verified,
    *,
    boot: str | None = None,
) -> StoredExport:
    """Give a complete download its final name.

    Parameters
    ----------
    directory : RunDirectory
        The run.
    attempt : AttemptFile
        Its file, closed.
    verified : Verified
        That it is the export, and what was found in it.
    boot : str, optional
        This start of the machine, unless the file was flushed to disk.

    Returns
    -------
    StoredExport
        What the manifest has to say of it.
    """
    validator = verified.validator
    path = directory.path / _file_name(attempt.object, validator, verified.n_bytes)
    attempt.path.replace(path)
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
    """Give the beginning of a sparse file its final name; see `publish`.

    Parameters
    ----------
    directory, attempt, boot
        As for `publish`.
    validator : Validator
        Which version it is.
    coverage : Coverage
        What of it is there.
    facts : ExportFacts
        What was found in its footer and its steps.

    Notes
    -----
    A sparse file gets a name that no other has. Where a lock lies, a process may write to a sparse
    file that another has just set aside; what it then claims is claimed of that name only.
    """
    n_bytes = attempt.path.stat().st_size
    path = directory.path / _file_name(attempt.object, validator, n_bytes, is_sparse=True)
    attempt.path.replace(path)
    state = FileState.of(path)
    return StoredExport(
        attempt.object, path, validator, n_bytes, None, state, facts, coverage, boot=boot
    )


def _file_name(
    object_path: str, validator: Validator, n_bytes: int, *, is_sparse: bool = False
) -> str:
    version = validator.etag or validator.last_modified or ""
    return export_file_name(object_path, version, n_bytes, is_sparse=is_sparse)
