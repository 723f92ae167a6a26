"""Answers requests for stored objects or byte ranges of objects, with ETag and digests."""

from __future__ import annotations

import base64
import email.utils
import os
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from runlake.server.store.objects import OpenObject, StoredObject

READ_BYTES = 1 << 20
# Browsers must not guess another content type: an uploaded file must not be shown as a page.
NO_GUESSING = {"X-Content-Type-Options": "nosniff"}
DESCRIPTORS = Path("/dev/fd")


class _Body(FileResponse):
    # Each piece is read in a thread: with pieces of 1 MiB a file arrives twice as fast as with
    # Starlette's 64 kB.
    chunk_size = READ_BYTES

    def __init__(self, found: OpenObject, headers: dict[str, str]) -> None:
        self._content = found.content
        descriptor = found.content.fileno()
        # Open the file by its descriptor: the object may be replaced, and this file removed, at any
        # time. A system without paths for descriptors does not remove open files.
        path = DESCRIPTORS / str(descriptor) if DESCRIPTORS.is_dir() else found.facts.file
        super().__init__(
            path,
            headers=headers,
            media_type="application/octet-stream",
            stat_result=os.fstat(descriptor),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._content:
            await super().__call__(scope, receive, send)


def deliver(request: Request, found: OpenObject | None) -> Response:
    """Return the response to a GET or HEAD request for a stored object.

    Parameters
    ----------
    request : Request
        The request, with its conditions and ranges.
    found : OpenObject or None
        The requested object, which is closed after the response; None if there is no such object.

    Returns
    -------
    Response
        A response of status 404, 304, 206, 200, or, for a wrong range, 400 or 416. With status 304,
        206 and 200, the headers contain an ETag and, as Google Cloud Storage sends them, the
        digests of the whole object in ``x-goog-hash``.
    """
    if found is None:
        return PlainTextResponse("There is no such object.\n", 404)
    etag = f'"{found.facts.md5}"'
    headers = {
        "ETag": etag,
        "Last-Modified": email.utils.formatdate(found.facts.modified_at, usegmt=True),
        "x-goog-hash": _hashes(found.facts),
        **NO_GUESSING,
    }
    # Starlette's `FileResponse` handles Range and If-Range, but not this header.
    asked = request.headers.get("if-none-match")
    if asked is not None:
        tags = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
        if etag in tags or "*" in tags:
            found.content.close()
            return Response(status_code=304, headers=headers)
    return _Body(found, headers)


def _hashes(facts: StoredObject) -> str:
    known = {"crc32c": facts.crc32c, "md5": facts.md5}
    return ",".join(f"{name}={_base64(digest)}" for name, digest in known.items() if digest)


def _base64(digest: str) -> str:
    return base64.b64encode(bytes.fromhex(digest)).decode()
