"""Whether a downloaded file is the export that was promised."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

import google_crc32c

from runlake.exports.validator import Validator

READ_BYTES = 1 << 20


class Digest:
    """Counts and hashes bytes while they arrive, to compare with what a host promises.

    Parameters
    ----------
    with_md5 : bool
        MD5 costs more than all the rest of a download, hence only where nothing else is promised.
    """

    def __init__(self, *, with_md5: bool) -> None:
        self.n_bytes = 0
        self.crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False) if with_md5 else None

    @classmethod
    def for_promise(cls, validator: Validator) -> Digest:
        """Return a digest that can tell whether a promise is kept."""
        return cls(with_md5=validator.md5 is not None and validator.crc32c is None)

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
        if validator.crc32c is not None:
            return None if validator.crc32c == self.crc32c else "CRC32C"
        if validator.md5 is not None and self._md5 is not None:
            return None if validator.md5 == self._md5.hexdigest() else "MD5"
        return None


def digest_file(file: Path, validator: Validator) -> Digest:
    """Read a whole file for its digest.

    Parameters
    ----------
    file : Path
        A complete file.
    validator : Validator
        What the storage host promised of it; `Digest.disagreement` compares.

    Returns
    -------
    Digest
        With whatever the promise needs.
    """
    digest = Digest.for_promise(validator)
    with file.open("rb", buffering=0) as content:
        digest.read(content)
    return digest
