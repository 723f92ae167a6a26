"""The ``runlake lake`` commands."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from runlake.cli.run import JsonOption

app = typer.Typer(help="Maintain the lake: all pulled runs.", no_args_is_help=True)
RUNS_FORM = "ENTITY/PROJECT or ENTITY/PROJECT/RUN; all runs if there is none."


@app.callback()
def _root() -> None:
    pass


@app.command()
def pack(
    paths: Annotated[list[str] | None, typer.Argument(help=RUNS_FORM, metavar="[PATH]...")] = None,
    drop_exports: Annotated[
        bool, typer.Option("--drop-exports", help="Delete the exports of packed runs.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write pulled runs into packed tables, which make reads of few keys of many runs fast."""
    from runlake.lake.lake import Lake

    report = Lake().pack(paths or None, drop_exports=drop_exports)
    sys.stdout.write((report.to_json() if as_json else str(report)) + "\n")
