"""Previews of text and picture files, and downloads, which browsers store but never execute."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from runlake.notebook.pictures import image_type
from runlake.pages.responses import attachment, is_known, validators

MAX_PREVIEW_BYTES = 8_000_000
MAX_TEXT = 200_000
N_FIRST_BYTES = 8_192
BYTES = "application/octet-stream"
SVG = "image/svg+xml"
IMAGE, TEXT, NONE = "image", "text", "none"


@dataclass(frozen=True, slots=True)
class Preview:
    """How a page shows a file: as text, as a picture, or not at all.

    Parameters
    ----------
    kind : {"image", "text", "none"}
        How the file is shown.
    text : str
        The text, or the reason why nothing is shown.
    note : str
        A remark that ``text`` is only the start of the file; else empty.
    """

    kind: str
    text: str = ""
    note: str = ""


def preview(name: str, size: int, download: Callable[[str], str]) -> Preview:
    """Download a file unless it is too large, and return the preview.

    Parameters
    ----------
    name : str
        Name of the file.
    size : int
        Size of the file in bytes.
    download : callable
        Downloads the file into a directory, and returns its path.
    """
    if size > MAX_PREVIEW_BYTES:
        return Preview(NONE, f"The file has {size:,} bytes, too many to show here.")
    with tempfile.TemporaryDirectory(prefix="runlake-pages-") as folder:
        return preview_of(name, Path(download(folder)).read_bytes())


def preview_of(name: str, content: bytes) -> Preview:
    r"""Return the preview of a file that has the given name and content.

    Examples
    --------
    >>> preview_of("a.txt", b"one\ntwo").text
    'one\ntwo'
    >>> preview_of("a.bin", b"\0\1").kind
    'none'
    """
    if type_of(name, content[:N_FIRST_BYTES]) != BYTES:
        return Preview(IMAGE)
    if b"\0" in content[:N_FIRST_BYTES]:
        return Preview(NONE, "The file is no text and no picture that browsers show.")
    text = content.decode("utf-8", "replace")
    if name.endswith(".json") and len(text) <= MAX_TEXT:
        text = _indented(text)
    if len(text) <= MAX_TEXT:
        return Preview(TEXT, text)
    note = f"The first {MAX_TEXT:,} of {len(text):,} characters."
    return Preview(TEXT, text[:MAX_TEXT], note)


def type_of(name: str, start: bytes) -> str:
    """Return the media type of a picture, or ``application/octet-stream`` for any other file.

    The type of an SVG is safe to send: an ``img`` element runs none of the SVG's scripts, and a
    browser that opens the SVG's own address downloads the file instead of showing it.
    """
    kind = image_type(start)
    if kind is None and name.lower().endswith(".svg") and b"<svg" in start:
        return SVG
    return kind or BYTES


def send_file(request: Request, name: str, download: Callable[[str], str]) -> Response:
    """Send a file as a download, and then delete the temporary copy on this machine.

    Parameters
    ----------
    request : Request
        The request. If it names the file's ETag, the response has status 304 and no content.
    name : str
        Name of the file.
    download : callable
        Downloads the file into a directory, and returns its path.
    """
    folder = tempfile.mkdtemp(prefix="runlake-pages-")
    remove = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    try:
        path = Path(download(folder))
        with path.open("rb") as file:
            kind = type_of(name, file.read(N_FIRST_BYTES))
            file.seek(0)
            digest = hashlib.file_digest(file, "md5").hexdigest()
    except BaseException:
        # Without a response, the background task that deletes the folder never runs.
        shutil.rmtree(folder, ignore_errors=True)
        raise
    headers = {
        "Content-Disposition": attachment(name.rpartition("/")[2]),
        **validators(digest),
    }
    if is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers, background=remove)
    return FileResponse(path, headers=headers, media_type=kind, background=remove)


def _indented(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text
