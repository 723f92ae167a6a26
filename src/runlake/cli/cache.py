"""Commands about the cache."""

from __future__ import annotations

import typer

from runlake.settings import load_settings

app = typer.Typer(help="Look after the cache.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    pass


@app.command()
def path() -> None:
    """Print the directory of the cache."""
    typer.echo(str(load_settings().cache_dir))
