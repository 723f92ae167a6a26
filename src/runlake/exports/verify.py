"""Whether bytes on disk are the export that a storage host promised: the one place that compares.

However a file came (whole, with the request for its tail, in ranges, resumed, copied from a dead
attempt, by a redirect), the cache publishes it as a `Verified` only, which `verify_export` alone
makes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c
import pyarrow as pa

from runlake.exports.footers.schema import UnreadableExport
from runlake.exports.footers.statistics import ExportFacts, read_export_facts
from runlake.exports.validator import Validator

READ_BYTES = 1 << 20
# Beyond this MD5 is left to `cache verify` where a CRC32C is promised too.
SMALL_BYTES = 8 << 20


class NotAsPromised(Exception):
    """The bytes are not what was promised; the text says in what, for people."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A whole export on disk that keeps every promise of its host; made by `verify_export`.

    Parameters
    ----------
    validator : Validator
        Which version it is.
    n_bytes : int
        Length of the file.
    facts : ExportFacts
        What planning needs to know of it.
    crc32c : int
        Of the whole file.
    """

    validator: Validator
    n_bytes: int
    facts: ExportFacts
    crc32c: int


class Digest:
    """Counts and hashes bytes while they arrive, to compare with what a host promises.

    Parameters
    ----------
    with_md5 : bool
        MD5 costs more than all the rest of a download.
    """

    def __init__(self, *, with_md5: bool) -> None:
        self.n_bytes = 0
        self.crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None

    @classmethod
    def for_promise(cls, validator: Validator, n_bytes: int | None = None) -> Digest:
        """Return a digest that can tell whether a promise is kept.

        Parameters
        ----------
        validator : Validator
            The promise.
        n_bytes : int, optional
            Length of the whole, as far as it is known.
        """
        return cls(with_md5=_needs_md5(validator, n_bytes or 0))

    @property
    def has_md5(self) -> bool:
        """MD5 is computed too."""
        return self._md5 is not None

    def update(self, chunk: bytes) -> None:
        """Count and hash a piece."""
        self.n_bytes += len(chunk)
        self.crc32c = google_crc32c.extend(self.crc32c, chunk)
        if self._md5 is not None:
            self._md5.update(chunk)

    def read(self, file: BinaryIO, n_bytes: int | None = None) -> None:
        """Count and hash what a file holds, to its end or so many bytes."""
        left = n_bytes
        while chunk := file.read(READ_BYTES if left is None else min(READ_BYTES, left)):
            self.update(chunk)
            left = None if left is None else left - len(chunk)

    def disagreement(self, validator: Validator) -> str | None:
        """Return which promise is broken, None if none is that can be told."""
        if validator.crc32c not in {None, self.crc32c}:
            return "CRC32C"
        if self._md5 is not None and validator.md5 not in {None, self._md5.hexdigest()}:
            return "MD5"
        return None


def verify_export(
    file: Path,
    validator: Validator,
    *,
    n_bytes: int | None = None,
    digest: Digest | None = None,
) -> Verified:
    """Decide whether a whole file is the export that its host promised.

    Parameters
    ----------
    file : Path
        All of it is on disk.
    validator : Validator
        Version and promises.
    n_bytes : int, optional
        The promised length.
    digest : Digest, optional
        Of the whole file, where the bytes were hashed on their way; else the file is read.

    Returns
    -------
    Verified
        Length, CRC32C, MD5 as far as `Digest.for_promise` wants it, and the Parquet footer are
        right.

    Raises
    ------
    NotAsPromised
        If one of them is wrong.
    OSError
        If the disk fails.
    """
    if digest is None or (_needs_md5(validator, digest.n_bytes) and not digest.has_md5):
        digest = digest_file(file, validator)
    if n_bytes not in {None, digest.n_bytes}:
        raise NotAsPromised(f"it has {digest.n_bytes:,} bytes, not {n_bytes:,}")
    broken = digest.disagreement(validator)
    if broken:
        raise NotAsPromised(f"its {broken} is not the promised one")
    try:
        facts = read_export_facts(file)
    except UnreadableExport as error:
        raise NotAsPromised(str(error)) from error
    except (pa.ArrowException, OSError) as error:
        # What the disk refuses has a number; what pyarrow cannot read has none.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise NotAsPromised("it is no Parquet file") from error
    return Verified(validator, digest.n_bytes, facts, digest.crc32c)


def digest_file(file: Path, validator: Validator, *, with_md5: bool = False) -> Digest:
    """Read a whole file for its digest.

    Parameters
    ----------
    file : Path
        A complete file.
    validator : Validator
        What the storage host promised of it; `Digest.disagreement` compares.
    with_md5 : bool
        Compute a promised MD5 whatever the length of the file.

    Returns
    -------
    Digest
        With whatever the promise needs.
    """
    digest = Digest.for_promise(validator, file.stat().st_size)
    if with_md5 and validator.md5 is not None:
        digest = Digest(with_md5=True)
    with file.open("rb", buffering=0) as content:
        digest.read(content)
    return digest


def _needs_md5(validator: Validator, n_bytes: int) -> bool:
    return validator.md5 is not None and (validator.crc32c is None or n_bytes <= SMALL_BYTES)
