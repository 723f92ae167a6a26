"""Answer a request for an object: its version, its digests, its bytes or a range of them."""

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
# A browser takes a file for what the header says, not for the page that its bytes look like.
NO_GUESSING = {"X-Content-Type-Options": "nosniff"}


class _Body(FileResponse):
    # Each piece is a hop to a thread: pieces of 1 MiB arrive twice as fast as those of 64 kB.
    chunk_size = READ_BYTES


def deliver(request: Request, found: StoredObject | None) -> Response:
    """Answer a GET or HEAD.

    Parameters
    ----------
    request : Request
        With its conditions and ranges.
    found : StoredObject or None
        What is asked for.

    Returns
    -------
    Response
        404, 304, 206, 416 or 200, with an ETag and, as Google Cloud Storage does, the digests of
        the whole object in ``x-goog-hash``.
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
    """Return the CRC32C of a version of an object, in base64; the MD5 says which version."""
    del md5
    value = 0
    with file.open("rb", buffering=0) as content:
        while chunk := content.read(READ_BYTES):
            value = google_crc32c.extend(value, chunk)
    return base64.b64encode(value.to_bytes(4, "big")).decode()


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()
