"""The files of a run: a list, a page for each file with a preview, and downloads."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runlake.errors import NotCached, OfflineError
from runlake.pages.contents import Preview, preview, send_file
from runlake.pages.responses import is_copy
from runlake.pages.run.shell import python_line, show
from runlake.pages.source import Source, in_thread, source_of
from runlake.public.files import File
from runlake.public.run.run import Run

MAX_LISTED = 1_000
# Larger files are not part of a static copy.
MAX_COPIED_BYTES = 10_000_000
NOT_PULLED = "No files of this run were pulled: Lake.pull(..., files=True) pulls them."
RUN = "/{entity:name}/{project:name}/runs/{run_id:name}"


@dataclass(frozen=True, slots=True)
class Listed:
    """The files that the page of a run lists.

    Parameters
    ----------
    run : Run
        The run.
    files : list of File
        At most `MAX_LISTED` files of the run, ascending by name.
    n_all : int or None
        Number of all files, or of all files that match the search; None if no files were pulled.
    reason : str
        Why the files cannot be listed; else empty.
    """

    run: Run
    files: list[File]
    n_all: int | None
    reason: str = ""


async def show_files(request: Request) -> Response:
    """Show the files of a run."""
    wanted = request.query_params.get("q", "")
    found = await in_thread(_list, source_of(request), _names(request), wanted)
    return show(
        request,
        found.run,
        "files",
        "files.html",
        files=found.files,
        n_all=found.n_all,
        max_listed=MAX_LISTED,
        wanted=wanted,
        reason=found.reason,
        has_all=source_of(request).is_live,
        python=python_line(request, found.run, "files()"),
        links=[],
        max_bytes=MAX_COPIED_BYTES if is_copy(request) else None,
    )


async def show_file(request: Request) -> Response:
    """Show a file of a run as text or as a picture."""
    name = request.path_params["file"]
    run, file, shown = await in_thread(_preview, source_of(request), _names(request), name)
    return show(
        request,
        run,
        "files",
        "file.html",
        file=file,
        shown=shown,
        python=python_line(request, run, f"file({name!r}).download()"),
        links=[],
    )


async def send(request: Request) -> Response:
    """Send a file of a run as a download."""
    source, names, name = source_of(request), _names(request), request.path_params["file"]

    def read() -> Response:
        file = source.run(*names).file(name)
        return send_file(request, name, lambda folder: _downloaded(file, folder))

    return await in_thread(read)


def _names(request: Request) -> tuple[str, str, str]:
    entity, project, run_id = (
        request.path_params[name] for name in ("entity", "project", "run_id")
    )
    return entity, project, run_id


def _list(source: Source, names: tuple[str, str, str], wanted: str) -> Listed:
    run = source.run(*names)
    pattern = f"%{_literal(wanted)}%" if wanted else None
    try:
        listed = run.files(pattern=pattern, per_page=MAX_LISTED)
        files = listed[:MAX_LISTED]
        return Listed(run, sorted(files, key=lambda one: str(one.name)), len(listed))
    except (NotCached, OfflineError):
        return Listed(run, [], None, NOT_PULLED)


def _literal(text: str) -> str:
    # The pattern of `Run.files` is SQL's LIKE, in which these characters have a meaning.
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return text


def _preview(source: Source, names: tuple[str, str, str], name: str) -> tuple[Run, File, Preview]:
    run = source.run(*names)
    file = run.file(name)
    return run, file, preview(name, file.size, lambda folder: _downloaded(file, folder))


def _downloaded(file: File, folder: str) -> str:
    with file.download(folder, progress=False) as opened:
        return opened.name


routes = [
    Route(f"{RUN}/files", show_files),
    Route(f"{RUN}/files/{{file:names}}", show_file),
    Route(f"{RUN}/raw/{{file:names}}", send),
]
