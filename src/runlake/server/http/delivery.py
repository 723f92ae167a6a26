"""Answers requests for stored objects: headers with version and digests, all bytes or ranges."""

from __future__ import annotations

import base64
import email.utils
from functools import lru_cache
from pathlib import Path

import google_crc32c
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response

from runlake.server.store.objects import StoredObject

READ_BYTES = 1 << 20
# Browsers must believe the content type: an uploaded file must not be shown as a page.
NO_GUESSING = {"X-Content-Type-Options": "nosniff"}


class _Body(FileResponse):
    # Each piece is read in a thread: with pieces of 1 MiB a file arrives twice as fast as with
    # Starlette's 64 kB.
    chunk_size = READ_BYTES


def deliver(request: Request, found: StoredObject | None) -> Response:
    """Answer a GET or HEAD.

    Parameters
    ----------
    request : Request
        The request, with its conditions and ranges.
    found : StoredObject or None
        The requested object, None if there is none.

    Returns
    -------
    Response
        Status 404, 304, 206, 416 or 200, with an ETag and, as from Google Cloud Storage, the
        digests of the whole object in ``x-goog-hash``.
    """
    if found is None or not found.file.is_file():
        return PlainTextResponse("There is no such object.\n", 404)
    etag = f'"{found.md5}"'
    headers = {
        "ETag": etag,
        "Last-Modified": email.utils.formatdate(found.modified_at, usegmt=True),
        "x-goog-hash": f"crc32c={_crc32c(found.file, found.md5)},md5={_base64(found.md5)}",
        **NO_GUESSING,
    }
    asked = request.headers.get("if-none-match")
    if asked is not None:
        tags = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
        if etag in tags or "*" in tags:
            return Response(status_code=304, headers=headers)
    return _Body(found.file, headers=headers, media_type="application/octet-stream")


@lru_cache(maxsize=10_000)
def _crc32c(file: Path, md5: str) -> str:
    """Return the CRC32C of an object in base64; the MD5 is part of the key of the cache."""
    del md5
    value = 0
    with file.open("rb", buffering=0) as content:
        while chunk := content.read(READ_BYTES):
            value = google_crc32c.extend(value, chunk)
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()
