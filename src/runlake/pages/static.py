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
    """Return the paths of scripts, styles and icons by name, with uPlot's if it is installed."""
    own = {file.name: file for file in FOLDER.iterdir() if file.suffix in {".js", ".css", ".svg"}}
    charts = {name: CHARTS / name for name in ("chart.js", "chart.css")}
    uplot = {name: UPLOT / name for name in UPLOT_FILES if (UPLOT / name).is_file()}
    return {**own, **charts, **uplot}


@cache
def content_of(name: str) -> bytes:
    """Return the content of one of the `static_files`, by its name."""
    return static_files()[name].read_bytes()


@cache
def versioned(name: str) -> str:
    """Return the name of a file with a digest of its content, such as ``pages.1f0c....css``."""
    digest = hashlib.blake2b(content_of(name)).hexdigest()[:N_DIGITS]
    stem, _, suffix = name.rpartition(".")
    return f"{stem}.{digest}.{suffix}"


async def serve_static(request: Request) -> Response:
    """Send a script or style; the address of an older version gets status 404."""
    asked = request.path_params["file"]
    name = next((known for known in static_files() if versioned(known) == asked), None)
    if name is None:
        raise HTTPException(404)
    kind = mimetypes.types_map.get(f".{name.rpartition('.')[2]}", "application/octet-stream")
    return Response(content_of(name), media_type=kind, headers={"Cache-Control": FOREVER})


routes = [Route(f"/{OWN}/static/{{file:name}}", serve_static)]
