"""Parse the version and the digests of a stored file (object) in a storage host's headers."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from runlake.backend.http.dates import seconds_of
from runlake.backend.http.statuses import PARTIAL
from runlake.exports.ranges import parse_content_range

# HTTP dates have a resolution of one second, so within it an object may have changed twice.
STRONG_SECONDS = 1.0
MD5_BYTES, CRC32C_BYTES = 16, 4
# With these headers an ETag is not an MD5.
ENCRYPTED = (
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-goog-encryption-algorithm",
    "x-goog-encryption-kms-key-name",
)
# Used as the digest if a host sends two different ones for one object: no file matches these.
CONTRADICTORY_MD5, CONTRADICTORY_CRC32C = "contradictory", -1
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Validator:
    """The version of a stored file (RFC 9110, section 8.8), and the digests that its host sent.

    Storage hosts call such a file an object.

    Parameters
    ----------
    etag : str or None
        The header ``ETag``, including its quotes.
    last_modified : str or None
        The header ``Last-Modified``, unparsed.
    md5 : str or None
        MD5 of the whole file, in hex; `CONTRADICTORY_MD5` if the host sent different ones.
    crc32c : int or None
        CRC32C of the whole file; `CONTRADICTORY_CRC32C` if the host sent different ones.
    is_date_strong : bool
        True if the response's ``Date`` is at least a second after ``Last-Modified``, so that no
        other version can have the same date (RFC 9110, section 8.8.2.2).
    """

    etag: str | None = None
    last_modified: str | None = None
    md5: str | None = None
    crc32c: int | None = None
    is_date_strong: bool = False

    @classmethod
    def from_headers(cls, headers: Mapping[str, str], status: int = 200) -> Validator:
        """Return the version and the digests in the headers of an HTTP response.

        Parameters
        ----------
        headers : mapping
            Headers with case-insensitive or lower-case names.
        status : int
            HTTP status. In a partial response (206), ``Content-MD5`` is the digest of the sent
            part. So then this header is used only if the host sent all bytes of the file.
        """
        return cls(
            headers.get("etag"),
            headers.get("last-modified"),
            _promised_md5(headers, is_partial=status == PARTIAL and not is_whole(headers)),
            _promised_crc32c(headers),
            _is_date_strong(headers),
        )

    @property
    def condition(self) -> str | None:
        """Value for ``If-Range``: a strong ETag, else a strong ``Last-Modified``, else None."""
        if self.etag and not self.etag.startswith("W/"):
            return self.etag
        return self.last_modified if self.is_date_strong else None

    @property
    def promises_digest(self) -> bool:
        """True if the host sent a digest, so that the bytes can be checked."""
        return self.md5 is not None or self.crc32c is not None

    def with_promises_of(self, other: Validator) -> Validator:
        """Return this `Validator` with the digests of another response added."""
        md5 = {one for one in (self.md5, other.md5) if one is not None}
        crc32c = {one for one in (self.crc32c, other.crc32c) if one is not None}
        return replace(
            self,
            md5=_only(md5, CONTRADICTORY_MD5),
            crc32c=_only(crc32c, CONTRADICTORY_CRC32C),
        )

    def without_promises(self) -> Validator:
        """Return this `Validator` without digests, for a body that was compressed in transfer."""
        return replace(self, md5=None, crc32c=None)

    def conditions(self) -> dict[str, str]:
        """Return request headers that make a host send the file only if it has changed."""
        if self.etag:
            return {"If-None-Match": self.etag}
        return {"If-Modified-Since": self.last_modified} if self.last_modified else {}

    def is_same(self, other: Validator) -> bool:
        """Return whether this and another validator certainly identify the same version."""
        return self.condition is not None and self.condition == other.condition


def is_whole(headers: Mapping[str, str]) -> bool:
    """Return whether the range of a partial response (206) is the whole file."""
    span = parse_content_range(headers.get("content-range"))
    return span is not None and span[0].n_bytes == span[1]


def _promised_md5(headers: Mapping[str, str], *, is_partial: bool) -> str | None:
    """Return the MD5 in the headers of S3, Google Cloud Storage, Azure or RFC 1864, in hex.

    S3's ETag is an MD5, unless the file is encrypted with a customer's key or a KMS key. Then the
    ETag only looks like an MD5.
    """
    encoded = [*_google(headers, "md5"), *_listed(headers, "x-ms-blob-content-md5")]
    # The Content-MD5 of a partial response is that of the part.
    if not is_partial:
        encoded += _listed(headers, "content-md5")
    promised = {digest.hex() for one in encoded if (digest := _decoded(one, MD5_BYTES))}
    if promised:
        return _only(promised, CONTRADICTORY_MD5)
    # S3 and compatible stores use the MD5 of an object as its ETag.
    etag = re.fullmatch(r'"([0-9a-f]{32})"', headers.get("etag", ""))
    return etag[1] if etag and not any(name in headers for name in ENCRYPTED) else None


def _promised_crc32c(headers: Mapping[str, str]) -> int | None:
    encoded = [*_google(headers, "crc32c"), *_listed(headers, "x-amz-checksum-crc32c")]
    digests = (_decoded(one, CRC32C_BYTES) for one in encoded)
    promised = {int.from_bytes(digest, "big") for digest in digests if digest}
    return _only(promised, CONTRADICTORY_CRC32C)


def _google(headers: Mapping[str, str], kind: str) -> Iterator[str]:
    """Yield the encoded digests of one kind, such as ``md5``, in the header ``x-goog-hash``."""
    for one in _listed(headers, "x-goog-hash"):
        name, _, encoded = one.partition("=")
        if name.strip().lower() == kind:
            yield encoded


def _listed(headers: Mapping[str, str], name: str) -> list[str]:
    text = headers.get(name)
    return [one.strip() for one in text.split(",") if one.strip()] if text else []


def _only(promised: set[T], contradictory: T) -> T | None:
    if len(promised) > 1:
        return contradictory
    return next(iter(promised), None)


def _decoded(encoded: str, n_bytes: int) -> bytes | None:
    """Decode a digest of ``n_bytes`` bytes from base64; return None if it is malformed."""
    try:
        content = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return None
    return content if len(content) == n_bytes else None


def _is_date_strong(headers: Mapping[str, str]) -> bool:
    modified, now = (seconds_of(headers.get(name, "")) for name in ("last-modified", "date"))
    return modified is not None and now is not None and now - modified >= STRONG_SECONDS
