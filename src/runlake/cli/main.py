"""The command tree: words in, a table or JSON out."""

from __future__ import annotations

import os
import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from runlake import __version__
from runlake.cli import cache
from runlake.cli.demo import demo
from runlake.cli.run import pull, query, show
from runlake.errors import MissingExtra, RunlakeError

ENTRY_POINTS = "runlake.commands"


class FoundCommands(TyperGroup):
    """Adds commands that other packages offer by entry point, each loaded when it is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of our own commands and of the found ones."""
        return sorted({*super().list_commands(ctx), *_found()})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; a found one is imported now."""
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        found = _found().get(cmd_name)
        return None if found is None else _load(found)


def _found() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}


def _load(entry: EntryPoint) -> Any:
    try:
        loaded = entry.load()
    except ImportError as error:
        raise MissingExtra(
            f"'runlake {entry.name}' needs a package that is not installed ({error.name}). "
            "Install it with: pip install 'runlake[server]'.",
            extra="server",
        ) from error
    if not isinstance(loaded, typer.Typer):
        command = typer.Typer(add_completion=False)
        command.command(entry.name)(loaded)
        loaded = command
    built = get_command(loaded)
    built.name = entry.name
    return built


app = typer.Typer(
    cls=FoundCommands,
    help="Read experiment history, fast.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


for _command in (pull, show, query, demo):
    app.command()(_command)
app.add_typer(cache.app, name="cache")


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"runlake {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show it.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    del version, debug


def main() -> None:
    """Run the command line; one message and exit code 1 for every error of ours."""
    try:
        app()
    except RunlakeError as error:
        if "--debug" in sys.argv:
            raise
        typer.echo(f"Error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        _flush()


def _flush() -> None:
    """Write what is waiting; if nobody reads it any more, Python shall not complain at its end."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
