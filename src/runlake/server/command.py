"""The commands ``runlake serve`` and ``runlake server``, which an entry point declares."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from runlake.server.data_directory.copies import Copied
    from runlake.server.serve import Address
    from runlake.server.store.database import Database

DEFAULT_DIRECTORY = Path("runlake-data")
DataDir = Annotated[Path, typer.Option(help="Directory that holds everything.")]

FAILED = 1
SWITCH_SECONDS = 0.0005

app = typer.Typer(
    help="Maintain an embedded backend.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
users = typer.Typer(help="Users.", no_args_is_help=True)
app.add_typer(users, name="user")
keys = typer.Typer(help="API keys; each command works while the server runs.", no_args_is_help=True)
app.add_typer(keys, name="key")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the API; 0 picks one.")
    ] = 8765,
    storage_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the files; 0 picks one.")
    ] = 0,
    data_dir: DataDir = DEFAULT_DIRECTORY,
    user: Annotated[str, typer.Option(help="Name of the first user.")] = "local",
    export_rows: Annotated[
        int | None,
        typer.Option(min=1, help="Rows per Parquet export; by default they grow with the run."),
    ] = None,
    drop_exported_lines: Annotated[
        bool,
        typer.Option(
            "--drop-exported-lines",
            help="Drop history lines once they are exported; otherwise they are compressed.",
        ),
    ] = False,
    url_expiry: Annotated[float, typer.Option(min=1, help="Seconds a URL is good for.")] = 3600,
    crash_after: Annotated[
        float, typer.Option(min=1, help="Seconds of silence that mean a crash.")
    ] = 300,
    max_body: Annotated[
        int, typer.Option(min=1, help="MB of a GraphQL or file-stream request, unpacked.")
    ] = 32,
    max_upload: Annotated[int, typer.Option(min=1, help="MB of an uploaded file.")] = 50_000,
    max_connections: Annotated[
        int, typer.Option(min=1, help="Open connections; the oldest idle one is closed.")
    ] = 500,
    header_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds for the headers of a request.")
    ] = 15,
    body_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds without progress of a body or an answer.")
    ] = 60,
    query_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds for which a GraphQL request is executed.")
    ] = 60,
    accept_loss: Annotated[
        bool, typer.Option("--accept-loss", help="Start where the database is lost or too old.")
    ] = False,
    storage_region: Annotated[
        list[str], typer.Option(help="Region that artifacts may name; can be repeated.")
    ] = ["minio-local"],  # noqa: B006 - typer copies it
    access_log: Annotated[Path | None, typer.Option(help="File for a line per request.")] = None,
    ready_file: Annotated[
        Path | None, typer.Option(help="File to write once the server answers.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Serve a W&B backend that the wandb SDK logs to, until Ctrl-C."""
    from runlake.server.serve import Options, ServeError, exit_on_sigterm, prepare_server
    from runlake.server.store.accounts import AccountError

    options = Options(
        data_dir=data_dir,
        host=host,
        port=port,
        storage_port=storage_port,
        user=user,
        export_rows=export_rows,
        drop_exported_lines=drop_exported_lines,
        url_expiry=url_expiry,
        crash_after=crash_after,
        max_body=max_body,
        max_upload=max_upload,
        max_connections=max_connections,
        header_timeout=header_timeout,
        body_timeout=body_timeout,
        query_timeout=query_timeout,
        accept_loss=accept_loss,
        storage_regions=tuple(storage_region),
        access_log=access_log,
        ready_file=ready_file,
    )
    try:
        with (
            exit_on_sigterm() as termination,
            prepare_server(options) as (address, server, sockets),
        ):
            termination.stops(server)
            if not quiet:
                _announce(address, data_dir)
            # While a thread parses long lines, a request waits this long for each of its turns.
            sys.setswitchinterval(SWITCH_SECONDS)
            server.run(sockets=sockets)
    except AccountError as error:
        _fail(str(error), error.exit_code)
    except ServeError as error:
        _fail(str(error))


@users.command("add")
def add(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the user, and of the entity.")
    ],
    api_key: Annotated[str | None, typer.Option(help="Key to use, 40 characters or more.")] = None,
    data_dir: DataDir = DEFAULT_DIRECTORY,
) -> None:
    """Add a user; the server may be running."""
    from runlake.server.store.accounts import add_user

    with _opened(data_dir) as database:
        key = add_user(database, name, api_key)
    typer.echo(f"export WANDB_ENTITY={name} WANDB_API_KEY={key}")


@users.command("list")
def list_all(data_dir: DataDir = DEFAULT_DIRECTORY) -> None:
    """List the users."""
    from runlake.server.store.accounts import list_users

    with _opened(data_dir) as database:
        names = list_users(database)
    for name in names:
        typer.echo(name)


@keys.command("new")
def new_key(
    user: Annotated[str, typer.Argument(metavar="USER", help="Name of the user.")],
    data_dir: DataDir = DEFAULT_DIRECTORY,
) -> None:
    """Create another API key for a user and print it; revoke lost keys with 'key revoke'."""
    from runlake.server.store.accounts import add_key

    with _opened(data_dir) as database:
        key = add_key(database, user)
    typer.echo(f"export WANDB_ENTITY={user} WANDB_API_KEY={key}")


@keys.command("list")
def list_of_keys(
    user: Annotated[
        str | None, typer.Argument(metavar="USER", help="Name of the user; all if omitted.")
    ] = None,
    data_dir: DataDir = DEFAULT_DIRECTORY,
) -> None:
    """List the ids of the API keys; the keys themselves are not stored."""
    from runlake.server.store.accounts import list_keys

    with _opened(data_dir) as database:
        found = list_keys(database, user)
    for key in found:
        typer.echo(f"{key.id}\t{key.user}\t{key.created or 'unknown'}")


@keys.command("revoke")
def revoke(
    key: Annotated[
        str,
        typer.Argument(metavar="KEY", help="Id of the key, from 'key list', or the key itself."),
    ],
    data_dir: DataDir = DEFAULT_DIRECTORY,
) -> None:
    """Revoke an API key; a running server refuses it immediately."""
    from runlake.server.store.accounts import revoke_key

    with _opened(data_dir) as database:
        gone = revoke_key(database, key)
    typer.echo(f"Revoked {gone.id} of {gone.user}.")


@app.command("check")
def check(
    repair: Annotated[
        bool, typer.Option("--repair", help="Repair what can be; the server must be stopped.")
    ] = False,
    backup: Annotated[Path | None, typer.Option(help="Backup to take intact files from.")] = None,
    data_dir: DataDir = DEFAULT_DIRECTORY,
) -> None:
    """Check the database and the digests of all files; the server may be running."""
    from runlake.server.data_directory.check import check_directory, repair_directory

    if not data_dir.is_dir():
        _fail(f"There is no backend in {str(data_dir)!r}.")
    n_open, n_found = 0, 0
    with _explained(data_dir):
        found = repair_directory(data_dir, backup) if repair else check_directory(data_dir)
        for finding in found:
            typer.echo(f"{finding.text} {finding.outcome or ''}".rstrip())
            n_found += 1
            n_open += not finding.is_repaired
    if n_open:
        advice = "" if repair else "; 'runlake server check --repair' repairs what can be"
        _fail(f"{n_found:,} damages were found, {n_open:,} of them are not repaired{advice}.")
    typer.echo("Everything is intact." if not n_found else f"{n_found:,} damages were repaired.")


@app.command("backup")
def backup(
    destination: Annotated[
        Path, typer.Argument(metavar="DESTINATION", help="New directory, or an earlier backup.")
    ],
    link: Annotated[
        bool, typer.Option("--link", help="Hard-link files of objects instead of copying them.")
    ] = False,
    data_dir: DataDir = DEFAULT_DIRECTORY,
) -> None:
    """Back up a data directory; the server may be running. Later backups copy only new files."""
    from runlake.server.data_directory.copies import back_up

    with _explained(data_dir):
        copied = back_up(data_dir, destination, link=link)
    _say_what_was_copied("Backed up", copied, destination)


@app.command("restore")
def restore(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Directory of a backup.")],
    data_dir: DataDir = DEFAULT_DIRECTORY,
) -> None:
    """Restore a backup to a new data directory."""
    from runlake.server.data_directory.copies import restore as restore_backup

    with _explained(source):
        copied = restore_backup(source, data_dir)
    _say_what_was_copied("Restored", copied, data_dir)


def _say_what_was_copied(done: str, copied: Copied, place: Path) -> None:
    n_copied, megabytes = copied.n_copied, copied.n_bytes / 1e6
    typer.echo(
        f"{done} the database and {copied.n_objects:,} objects to {str(place)!r}; "
        f"{n_copied:,} of them ({megabytes:,.1f} MB) were copied now."
    )
    if copied.damaged:
        for name in copied.damaged:
            typer.echo(f"damaged: {name}", err=True)
        _fail(
            f"{len(copied.damaged):,} objects are lost or damaged and were not copied; "
            "'runlake server check' says more."
        )


@contextlib.contextmanager
def _explained(data_dir: Path) -> Iterator[None]:
    """Exit with an error message if the block cannot use a data directory, the disk or SQLite."""
    import sqlite3

    from runlake.server.data_directory.custody import DirectoryError

    try:
        yield
    except DirectoryError as error:
        _fail(str(error))
    except (OSError, sqlite3.Error) as error:
        _fail(f"The directory {str(data_dir)!r} cannot be used: {error}.")


@contextlib.contextmanager
def _opened(data_dir: Path) -> Iterator[Database]:
    import sqlite3

    from runlake.server.store.accounts import AccountError
    from runlake.server.store.database import Database

    file = data_dir / "runlake.sqlite"
    if not file.is_file():
        _fail(f"There is no backend in {str(data_dir)!r}; start one with 'runlake serve'.")
    try:
        yield Database(file)
    except AccountError as error:
        _fail(str(error), error.exit_code)
    except sqlite3.Error as error:
        _fail(f"The data directory {str(data_dir)!r} cannot be used: {error}.")


def _announce(address: Address, data_dir: Path) -> None:
    typer.echo(f"runlake serves {address.base_url} (files at {address.storage_url})")
    if address.api_key is not None:
        typer.echo("")
        typer.echo(f"export WANDB_BASE_URL={address.base_url} WANDB_API_KEY={address.api_key}")
    typer.echo("")
    place = "" if data_dir == DEFAULT_DIRECTORY else f" --data-dir {shlex.quote(str(data_dir))}"
    shown = (
        "Keys were shown when they were made"
        if address.api_key is None
        else "The key is shown this once"
    )
    typer.echo(f"{shown}; 'runlake server key new {address.entity}{place}' prints a new one.")


def _fail(message: str, code: int = FAILED) -> NoReturn:
    sys.stderr.write(f"Error: {message}\n")
    raise typer.Exit(code)
