"""The commands ``runlake view`` and ``runlake export-page``, which entry points declare."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from runlake.pages.target import Target

DEFAULT_PORT = 8766
LakeOption = Annotated[
    Path | None,
    typer.Option("--lake", help="Show the runs that were pulled to this directory; no network."),
]


def view(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[ENTITY/PROJECT | RUN | URL]", help="What to open; all projects if omitted."
        ),
    ] = None,
    lake: LakeOption = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65_535,
            help=f"Port of this machine; 0 picks a free one. By default {DEFAULT_PORT} if it is "
            "free.",
        ),
    ] = None,
    open_browser: Annotated[
        bool, typer.Option("--open", help="Open the page in the browser.")
    ] = False,
) -> None:
    """Show projects and runs in the browser, until Ctrl-C."""
    from runlake.pages.serving import serve_pages
    from runlake.pages.target import open_target

    shown = open_target(target, lake)
    ports = (DEFAULT_PORT, 0) if port is None else (port,)
    serve_pages(shown.source, shown.path, ports, open_browser=open_browser, say=_say(shown))


def _say(shown: Target) -> Callable[[str], None]:
    def say(address: str) -> None:
        typer.echo(f"runlake shows {shown.name} at {address}")
        typer.echo("Ctrl-C ends it.")
        # A script that reads the address gets it now.
        sys.stdout.flush()

    return say


def export_page(
    target: Annotated[
        str | None,
        typer.Argument(metavar="[RUN | ENTITY/PROJECT | URL]", help="What to copy."),
    ] = None,
    lake: LakeOption = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Directory to write to; new, or an earlier copy.")
    ] = Path("site"),
) -> None:
    """Write a static copy of pages, which needs no server and no account."""
    from runlake.errors import InvalidArgument
    from runlake.pages.export_page import export
    from runlake.pages.target import open_target

    if target is None and lake is None:
        raise InvalidArgument("Name a run or a project, or a directory with --lake.")
    copied = export(open_target(target, lake), output)
    typer.echo(
        f"{copied.n_pages:,} pages and {copied.n_files:,} files, {copied.n_bytes:,} bytes, are in "
        f"{str(output)!r}. Any web server can serve them: "
        f"python -m http.server -b 127.0.0.1 -d {output}"
    )
