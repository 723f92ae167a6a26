"""Scripts and styles of the pages, at addresses that contain a digest of their content."""

from __future__ import annotations

import hashlib
import mimetypes
from functools import cache
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runlake.charts.files import FOLDER as CHARTS
from runlake.charts.files import UPLOT, UPLOT_FILES
from runlake.pages.addresses import OWN

FOLDER = Path(__file__).parent / "static"
N_DIGITS = 12
FOREVER = "public, max-age=31536000, immutable"


@cache
def static_files() -> dict[str, Path]:
    """Return the files by their names, with the files of uPlot if this installation has them."""
    own = {file.name: file for file in FOLDER.iterdir() if file.suffix in {".js", ".css", ".svg"}}
    charts = {name: CHARTS / name for name in ("chart.js", "chart.css")}
    uplot = {name: UPLOT / name for name in UPLOT_FILES if (UPLOT / name).is_file()}
    return {**own, **charts, **uplot}


@cache
def content_of(name: str) -> bytes:
    """Return the content of a file."""
    return static_files()[name].read_bytes()


@cache
def versioned(name: str) -> str:
    """Return the name of a file with a digest of its content, such as ``pages.1f0c....css``."""
    digest = hashlib.blake2b(content_of(name)).hexdigest()[:N_DIGITS]
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{digest}.{suffix}"


async def serve_static(request: Request) -> Response:
    """Answer with a file; an address with the digest of an older version is not found."""
    asked = request.path_params["file"]
    name = next((known for known in static_files() if versioned(known) == asked), None)
    if name is None:
        raise HTTPException(404)
    kind = mimetypes.types_map.get(f".{name.rpartition('.')[2]}", "application/octet-stream")
    return Response(content_of(name), media_type=kind, headers={"Cache-Control": FOREVER})


routes = [Route(f"/{OWN}/static/{{file:name}}", serve_static)]
