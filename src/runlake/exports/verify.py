"""Verify that a downloaded file is the export, by the digests that the storage host sent.

A file may have been downloaded whole, in ranges, or with its end first. The download may have been
resumed or redirected, or may have begun with bytes that a process downloaded before it died. In all
cases the cache accepts a whole file only with a `Verified`, and only `verify_export` makes a
`Verified`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from runlake.exports.footers.facts import ExportFacts
from runlake.exports.validator import Validator

READ_BYTES = 1 << 20
# If the host promises a CRC32C too, the MD5 of a larger file is checked only by `cache verify`: it
# takes longer than the rest of the download.
SMALL_BYTES = 8 << 20


class NotAsPromised(Exception):
    """The file differs from what the storage host announced, or cannot be read as an export.

    The message says how it differs, or why it cannot be read.
    """


@dataclass(frozen=True, slots=True)
class Verified:
    """A whole export on disk that passed all checks; made only by `verify_export`.

    Parameters
    ----------
    validator : Validator
        The version of the export, and the digests that the storage host sent.
    n_bytes : int
        Length of the file.
    facts : ExportFacts
        Row groups, steps and columns, with which reads are planned.
    crc32c : int
        Checksum of the whole file.
    """

    validator: Validator
    n_bytes: int
    facts: ExportFacts
    crc32c: int


class Digest:
    """Counts and hashes bytes while they arrive, to compare them with a host's digests.

    Parameters
    ----------
    with_md5 : bool
        Compute MD5 too, which takes more CPU time than the rest of a download.
    """

    def __init__(self, *, with_md5: bool) -> None:
        self.n_bytes = 0
        self.crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None

    @classmethod
    def for_promise(cls, validator: Validator, n_bytes: int | None = None) -> Digest:
        """Return a `Digest` to feed with a file; it computes an MD5 only if this will be compared.

        The MD5 of a long file is compared only if the storage host sent no CRC32C.

        Parameters
        ----------
        validator : Validator
            The digests that the storage host sent.
        n_bytes : int, optional
            Length of the whole file, if known; if omitted, an MD5 is computed whenever the host
            sent one.
        """
        return cls(with_md5=_needs_md5(validator, n_bytes or 0))

    @property
    def has_md5(self) -> bool:
        """True if an MD5 is computed in addition to the CRC32C."""
        return self._md5 is not None

    def update(self, chunk: bytes) -> None:
        """Count and hash the next piece of the content."""
        self.n_bytes += len(chunk)
        self.crc32c = google_crc32c.extend(self.crc32c, chunk)
        if self._md5 is not None:
            self._md5.update(chunk)

    def read(self, file: BinaryIO, n_bytes: int | None = None) -> None:
        """Count and hash the content of a file, up to ``n_bytes`` or its end."""
        left = n_bytes
        while chunk := file.read(READ_BYTES if left is None else min(READ_BYTES, left)):
            self.update(chunk)
            left = None if left is None else left - len(chunk)

    def disagreement(self, validator: Validator) -> str | None:
        """Return the name of a digest that the host sent and that differs from the computed one.

        Return None if no digest differs.
        """
        if validator.crc32c not in {None, self.crc32c}:
            return "CRC32C"
        if self._md5 is not None and validator.md5 not in {None, self._md5.hexdigest()}:
            return "MD5"
        return None


def verify_export(
    file: Path | bytes,
    validator: Validator,
    *,
    n_bytes: int | None = None,
    digest: Digest | None = None,
) -> Verified:
    """Verify a whole file: its length, the digests that the storage host sent, and its footer.

    Parameters
    ----------
    file : Path or bytes
        A complete file; or the content of a file, if the file will be written after this check.
    validator : Validator
        The version of the export, and the digests that the host sent.
    n_bytes : int, optional
        The length that the host sent.
    digest : Digest, optional
        Digest of the whole file, if its bytes were hashed while they arrived; if omitted, the file
        is read.

    Returns
    -------
    Verified
        The file. Its length and Parquet footer are right, and it has the CRC32C that the host sent.
        The host's MD5 is compared only if the file is short, if the host sent no CRC32C, or if
        ``digest`` includes an MD5.

    Raises
    ------
    NotAsPromised
        If the length, a compared digest or the footer is wrong.
    OSError
        If the disk fails.
    """
    # The digest was begun before the headers, or the length, were known: then the file is read
    # again.
    if digest is None or (_needs_md5(validator, digest.n_bytes) and not digest.has_md5):
        digest = digest_file(file, validator)
    if n_bytes not in {None, digest.n_bytes}:
        raise NotAsPromised(f"it has {digest.n_bytes:,} bytes, not {n_bytes:,}")
    broken = digest.disagreement(validator)
    if broken:
        raise NotAsPromised(f"its {broken} is not the promised one")
    import pyarrow as pa

    from runlake.exports.footers.schema import UnreadableExport
    from runlake.exports.footers.statistics import read_export_facts

    try:
        facts = read_export_facts(file)
    except UnreadableExport as error:
        raise NotAsPromised(str(error)) from error
    except (pa.ArrowException, OSError) as error:
        # pyarrow raises OSError too, but only errors of the disk have an errno.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise NotAsPromised("it is no Parquet file") from error
    return Verified(validator, digest.n_bytes, facts, digest.crc32c)


def digest_file(file: Path | bytes, validator: Validator, *, with_md5: bool = False) -> Digest:
    """Read a whole file and compute its digest.

    Parameters
    ----------
    file : Path or bytes
        A complete file, or its content.
    validator : Validator
        The digests that the storage host sent. They decide whether an MD5 is computed, as in
        `Digest.for_promise`.
    with_md5 : bool
        If the host sent an MD5, compute the MD5 of a file of any length. Has no effect if ``file``
        is the content.

    Returns
    -------
    Digest
        The digest; `Digest.disagreement` compares it with the host's digests.
    """
    if isinstance(file, bytes):
        digest = Digest.for_promise(validator, len(file))
        digest.update(file)
        return digest
    digest = Digest.for_promise(validator, file.stat().st_size)
    if with_md5 and validator.md5 is not None:
        digest = Digest(with_md5=True)
    with file.open("rb", buffering=0) as content:
        digest.read(content)
    return digest


def _needs_md5(validator: Validator, n_bytes: int) -> bool:
    return validator.md5 is not None and (validator.crc32c is None or n_bytes <= SMALL_BYTES)
