"""The ``runlake lake`` commands."""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runlake.cli.run import JsonOption

if TYPE_CHECKING:
    import polars as pl

app = typer.Typer(help="Maintain the lake: all pulled runs.", no_args_is_help=True)
RUNS_FORM = "ENTITY/PROJECT or ENTITY/PROJECT/RUN; all runs if none is given."
# The states of runs that a pull, or a new snapshot, would mend.
WORSE = ("incomplete", "changed", "damaged")
NameArgument = Annotated[str, typer.Argument(help="Name of the snapshot.", metavar="NAME")]
AtOption = Annotated[str | None, typer.Option(help="Read the snapshot of this name.")]


class Secrets(Enum):
    """What ``publish`` does with values that look like keys or passwords."""

    REFUSE = "refuse"
    REDACT = "redact"
    ALLOW = "allow"


@app.callback()
def _root() -> None:
    pass


@app.command()
def pack(
    paths: Annotated[list[str] | None, typer.Argument(help=RUNS_FORM, metavar="PATH")] = None,
    drop_exports: Annotated[
        bool, typer.Option("--drop-exports", help="Delete the exports of packed runs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write pulled runs into packed tables, which make reads of few keys of many runs fast."""
    from runlake.lake.lake import Lake

    report = Lake().pack(paths or None, drop_exports=drop_exports)
    _write(report.to_json() if as_json else str(report))


@app.command()
def snapshot(name: NameArgument, as_json: JsonOption = False) -> None:
    """Make a snapshot of the lake's runs as they are now, and print the text that cites it."""
    from runlake.lake.lake import Lake

    _cite(Lake().snapshot(name), as_json=as_json)


@app.command()
def cite(name: NameArgument, as_json: JsonOption = False) -> None:
    """Print the runs of a snapshot with their digests, and the line that opens the snapshot."""
    from runlake.lake.lake import Lake

    _cite(Lake().cite(name), as_json=as_json)


@app.command()
def snapshots(as_json: JsonOption = False) -> None:
    """List the snapshots of the lake, the oldest first."""
    from runlake.lake.lake import Lake

    _show(Lake().snapshots(), as_json=as_json)


@app.command("delete-snapshot")
def delete_snapshot(name: NameArgument) -> None:
    """Delete a snapshot; files that the lake itself still uses are kept."""
    from runlake.lake.lake import Lake

    Lake().delete_snapshot(name)


@app.command()
def verify(
    name: Annotated[
        str | None,
        typer.Argument(help="A snapshot; without it, compare with the backend.", metavar="NAME"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the runs of the lake with the backend, or a snapshot with its digests."""
    from runlake.lake.lake import Lake

    found = Lake().verify(name)
    _show(found, as_json=as_json)
    if found["status"].is_in(WORSE).any():
        raise typer.Exit(1)


@app.command()
def publish(
    dest: Annotated[
        str, typer.Argument(metavar="DEST", help="A directory, or s3://BUCKET/PREFIX.")
    ],
    filters: Annotated[str | None, typer.Option(help="Only runs that match, as JSON.")] = None,
    at: AtOption = None,
    secrets: Annotated[
        Secrets, typer.Option(help="What to do with values that look like keys or passwords.")
    ] = Secrets.REFUSE,
    catalog: Annotated[
        str | None, typer.Option(help="URL of a catalog, if several people publish to one place.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Copy runs of the lake to a directory or a bucket, where others read them without runlake."""
    from runlake.cli.pull import parsed_filters
    from runlake.lake.lake import Lake

    chosen = parsed_filters(filters)
    lake = Lake(at=at)
    runs = lake if chosen is None else lake.where(chosen)
    report = runs.publish(dest, secrets.value, catalog=catalog)
    _write(report.to_json() if as_json else str(report))


def _cite(citation: Any, *, as_json: bool) -> None:
    from runlake.cli.cells import json_text

    facts = {name: getattr(citation, name) for name in ("name", "digest", "runs", "recipe")}
    _write(json_text(facts) if as_json else str(citation))


def _show(frame: pl.DataFrame, *, as_json: bool) -> None:
    from runlake.cli.output import show_rows

    show_rows(frame.columns, frame.rows(), as_json=as_json)


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
