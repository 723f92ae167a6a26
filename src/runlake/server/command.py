"""The commands ``runlake serve`` and ``runlake server``, found by entry point."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from runlake.server.accounts import AccountError, add_user, list_users
from runlake.server.database import Database
from runlake.server.serve import Address, Options, ServeError, prepare_server

DEFAULT_DIRECTORY = Path("runlake-data")
DataDir = Annotated[Path, typer.Option(help="Directory that holds everything.")]

app = typer.Typer(help="Look after an embedded backend.", no_args_is_help=True)
users = typer.Typer(help="Users and their API keys.", no_args_is_help=True)
app.add_typer(users, name="user")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the API; 0 picks one.")] = 8765,
    storage_port: Annotated[int, typer.Option(help="Port of the files; 0 picks one.")] = 0,
    data_dir: DataDir = DEFAULT_DIRECTORY,
    user: Annotated[str, typer.Option(help="Name of the first user.")] = "local",
    export_rows: Annotated[int, typer.Option(min=1, help="Rows per Parquet export.")] = 10_000,
    url_expiry: Annotated[float, typer.Option(min=1, help="Seconds a URL is good for.")] = 3600,
    crash_after: Annotated[
        float, typer.Option(min=1, help="Seconds of silence that mean a crash.")
    ] = 300,
    access_log: Annotated[Path | None, typer.Option(help="File for a line per request.")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="File to write once the server answers.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Serve a W&B backend that the wandb SDK logs to, until Ctrl-C."""
    options = Options(
        data_dir=data_dir,
        host=host,
        port=port,
        storage_port=storage_port,
        user=user,
        export_rows=export_rows,
        url_expiry=url_expiry,
        crash_after=crash_after,
        access_log=access_log,
        ready_file=ready_file,
    )
    try:
        with prepare_server(options) as (address, server, sockets):
            if not quiet:
                _announce(address)
            server.run(sockets=sockets)
    except (ServeError, AccountError) as error:
        _fail(str(error))


@users.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Name of the user, and of the entity.")],
    api_key: Annotated[str | None, typer.Option(help="Key to use, 40 characters or more.")] = None,
    data_dir: DataDir = DEFAULT_DIRECTORY,
) -> None:
    """Add a user; works while the server runs."""
    with _opened(data_dir) as database:
        key = add_user(database, name, api_key)
    typer.echo(f"export WANDB_ENTITY={name} WANDB_API_KEY={key}")


@users.command("list")
def list_all(data_dir: DataDir = DEFAULT_DIRECTORY) -> None:
    """List the users."""
    with _opened(data_dir) as database:
        names = list_users(database)
    for name in names:
        typer.echo(name)


@contextlib.contextmanager
def _opened(data_dir: Path) -> Iterator[Database]:
    file = data_dir / "runlake.sqlite"
    if not file.is_file():
        _fail(f"There is no backend in {str(data_dir)!r}; start one with 'runlake serve'.")
    try:
        yield Database(file)
    except AccountError as error:
        _fail(str(error))
    except sqlite3.Error as error:
        _fail(f"The data directory {str(data_dir)!r} cannot be used: {error}.")


def _announce(address: Address) -> None:
    typer.echo(f"runlake serves {address.base_url} (files at {address.storage_url})")
    if address.api_key is not None:
        typer.echo("")
        typer.echo(f"export WANDB_BASE_URL={address.base_url} WANDB_API_KEY={address.api_key}")
        typer.echo("")
        typer.echo("The key is shown this once; 'runlake server user add NAME' makes another.")


def _fail(message: str) -> NoReturn:
    typer.echo(f"Error: {message}", err=True)
    raise typer.Exit(1)
