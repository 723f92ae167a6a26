"""What a storage host says of the version of an object, and what it promises of its bytes."""

from __future__ import annotations

import base64
import binascii
import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass

PARTIAL = 206
STRONG_SECONDS = 1.0
ENCRYPTED = (
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
)


@dataclass(frozen=True, slots=True)
class Validator:
    """What tells one version of an object from the next (RFC 9110, section 8.8).

    Parameters
    ----------
    etag : str or None
        ``ETag``, with its quotes.
    last_modified : str or None
        ``Last-Modified``, as the host writes it.
    md5 : str or None
        Promised MD5 of the whole object, in hex.
    crc32c : int or None
        Promised CRC32C of the whole object.
    is_date_strong : bool
        The host gave the date at least a second after the object was modified, so that no other
        version bears the same (RFC 9110, section 8.8.2.2).
    """

    etag: str | None = None
    last_modified: str | None = None
    md5: str | None = None
    crc32c: int | None = None
    is_date_strong: bool = False

    @classmethod
    def from_headers(cls, headers: Mapping[str, str], status: int = 200) -> Validator:
        """Read the headers of an answer.

        Parameters
        ----------
        headers : mapping
            Case-insensitive names.
        status : int
            ``Content-MD5`` of a partial answer (206) is that of the part.

        Returns
        -------
        Validator
            With all that the host tells.
        """
        return cls(
            headers.get("etag"),
            headers.get("last-modified"),
            _promised_md5(headers, is_partial=status == PARTIAL),
            _promised_crc32c(headers),
            _is_date_strong(headers),
        )

    @property
    def condition(self) -> str | None:
        """What ``If-Range`` may carry: a strong ETag, or else a strong date; None without both."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified if self.is_date_strong else None

    @property
    def promises_digest(self) -> bool:
        """The bytes can be checked against a digest of the host."""
        return self.md5 is not None or self.crc32c is not None

    def conditions(self) -> dict[str, str]:
        """Return the headers that ask for the object only if it changed."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified else {}

    def is_same(self, other: Validator) -> bool:
        """Tell whether two answers are known to be of the same bytes."""
        return self.condition is not None and self.condition == other.condition


def _promised_md5(headers: Mapping[str, str], *, is_partial: bool) -> str | None:
    """Find an MD5 in the headers of S3, Google Cloud Storage, Azure or RFC 1864.

    S3 writes an ETag of the same look that is no MD5 for objects that it encrypts with a key of
    somebody else.
    """
    google = re.search(r"md5=([A-Za-z0-9+/]{22}==)", headers.get("x-goog-hash", ""))
    encoded = google[1] if google else headers.get("x-ms-blob-content-md5")
    if not encoded and not is_partial:
        encoded = headers.get("content-md5")
    if encoded:
        found = _decoded(encoded, 16)
        return found.hex() if found else None
    etag = re.fullmatch(r'"([0-9a-f]{32})"', headers.get("etag", ""))
    return etag[1] if etag and not any(name in headers for name in ENCRYPTED) else None


def _promised_crc32c(headers: Mapping[str, str]) -> int | None:
    google = re.search(r"crc32c=([A-Za-z0-9+/]{6}==)", headers.get("x-goog-hash", ""))
    encoded = google[1] if google else headers.get("x-amz-checksum-crc32c", "")
    found = _decoded(encoded, 4)
    return int.from_bytes(found, "big") if found else None


def _decoded(encoded: str, n_bytes: int) -> bytes | None:
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if len(content) == n_bytes else None


def _is_date_strong(headers: Mapping[str, str]) -> bool:
    try:
        modified, now = (
            email.utils.parsedate_to_datetime(headers[name]).timestamp()
            for name in ("last-modified", "date")
        )
    except (KeyError, ValueError, TypeError):
        return False
    return now - modified >= STRONG_SECONDS
