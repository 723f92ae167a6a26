"""The commands ``runlake view`` and ``runlake export-page``, declared as entry points."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from runlake.pages.target import Target

DEFAULT_PORT = 8766
LAKE = "--lake"
LakeOption = Annotated[
    Path | None,
    typer.Option(
        LAKE,
        help="Directory of pulled runs, to read without a network; that of the settings if only "
        "'--lake' is written.",
    ),
]


class WithLake(TyperCommand):
    """A command whose option ``--lake`` needs no value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments; without a value, ``--lake`` gets the cache directory of the settings."""
        for place, word in enumerate(args):
            following = args[place + 1 : place + 2]
            if word == LAKE and (not following or following[0].startswith("-")):
                from runlake.settings import load_settings

                args = [*args[: place + 1], str(load_settings().cache_dir), *args[place + 1 :]]
                break
        return super().parse_args(ctx, args)


def _app() -> typer.Typer:
    return typer.Typer(add_completion=False, rich_markup_mode=None)


view_app, export_app = _app(), _app()


@view_app.command("view", cls=WithLake)
def view(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="ENTITY/PROJECT | RUN | URL", help="What to open; all projects if omitted."
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
    no_token: Annotated[
        bool,
        typer.Option(
            "--no-token",
            help="Show the pages to every user of this machine, not only to browsers that opened "
            "the printed address with the token in it.",
        ),
    ] = False,
) -> None:
    """Show projects and runs in the browser, until Ctrl-C."""
    from runlake.pages.serving import serve_pages
    from runlake.pages.target import open_target

    shown = open_target(target, lake)
    ports = (DEFAULT_PORT, 0) if port is None else (port,)
    serve_pages(
        shown.source,
        shown.path,
        ports,
        open_browser=open_browser,
        has_token=not no_token,
        say=_say(shown),
    )


def _say(shown: Target) -> Callable[[str], None]:
    def say(address: str) -> None:
        typer.echo(f"runlake shows {shown.name} at {address}")
        typer.echo("Ctrl-C ends it.")
        # A script that reads the address gets it now.
        sys.stdout.flush()

    return say


@export_app.command("export-page", cls=WithLake)
def export_page(
    target: Annotated[
        str | None,
        typer.Argument(metavar="RUN | ENTITY/PROJECT | URL", help="What to copy."),
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
    from runlake.values.counted import counted

    if target is None and lake is None:
        raise InvalidArgument("Name a run or a project, or a directory with --lake.")
    copied = export(open_target(target, lake), output)
    for address in copied.failed:
        typer.echo(f"not copied: {address}", err=True)
    typer.echo(
        f"{counted(copied.n_pages, 'page')} and {counted(copied.n_files, 'file')}, "
        f"{copied.n_bytes:,} bytes, are in "
        f"{str(output)!r}. Any web server can serve them: "
        f"python -m http.server -b 127.0.0.1 -d {output}"
    )
