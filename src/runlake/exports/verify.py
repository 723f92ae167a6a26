"""Whether a downloaded file is the export that was promised."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping


class Digest:
    """Counts and hashes a body while it arrives, to compare with what the headers promise."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self.promised = _promised_md5(headers)
        self.n_bytes = 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    def update(self, chunk: bytes) -> None:
        """Count and hash a piece of the body."""
        self.n_bytes += len(chunk)
        if self.promised is not None:
            self._md5.update(chunk)

    @property
    def agrees(self) -> bool:
        """The body is what the headers promised, as far as they promise anything."""
        return self.promised is None or self.promised == self._md5.digest()


def _promised_md5(headers: Mapping[str, str]) -> bytes | None:
    """Find an MD5 in the headers of S3, Google Cloud Storage or RFC 1864.

    S3 writes an ETag of the same look that is no MD5 for objects encrypted with a managed key.
    """
    google = re.search(r"md5=([A-Za-z0-9+/]{22}==)", headers.get("x-goog-hash", ""))
    encoded = google[1] if google else headers.get("content-md5")
    if encoded:
        return base64.b64decode(encoded)
    etag = re.fullmatch(r'"([0-9a-f]{32})"', headers.get("etag", ""))
    is_encrypted = "x-amz-server-side-encryption-aws-kms-key-id" in headers
    return bytes.fromhex(etag[1]) if etag and not is_encrypted else None
