"""The digests that are kept of each object: MD5 and CRC32C."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import google_crc32c

READ_BYTES = 1 << 20


class Digests:
    """Digests and length of bytes that arrive in pieces.

    Examples
    --------
    >>> digests = Digests()
    >>> digests.update(b"hello")
    >>> digests.md5, digests.crc32c, digests.n_bytes
    ('5d41402abc4b2a76b9719d911017c592', '9a71bb4c', 5)
    """

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._crc32c = 0
        self.n_bytes = 0

    def update(self, piece: bytes) -> None:
        """Add the next piece of the bytes to the digests and to the length."""
        self._md5.update(piece)
        self._crc32c = google_crc32c.extend(self._crc32c, piece)
        self.n_bytes += len(piece)

    @property
    def md5(self) -> str:
        """MD5 in hex of all bytes so far."""
        return self._md5.hexdigest()

    @property
    def crc32c(self) -> str:
        """CRC32C in hex of all bytes so far, the highest byte first."""
        return f"{self._crc32c:08x}"


def read_digests(file: Path, *, from_disk: bool = False) -> Digests:
    """Return the digests of a file.

    Parameters
    ----------
    file : Path
        The file whose bytes are read.
    from_disk : bool
        Read the bytes from the disk and not from the operating system's cache, where the system
        allows this.
    """
    digests = Digests()
    with file.open("rb", buffering=0) as content:
        if from_disk and hasattr(os, "posix_fadvise"):
            os.fsync(content.fileno())
            os.posix_fadvise(content.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while piece := content.read(READ_BYTES):
            digests.update(piece)
    return digests
