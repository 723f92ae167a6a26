"""The command ``runlake push``: copy runs of the lake to a backend."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from runlake.cli.lake import RUNS_FORM
from runlake.cli.run import JsonOption


def push(
    base_url: Annotated[
        str, typer.Argument(metavar="URL", help="Address of the backend: http://HOST:PORT.")
    ],
    paths: Annotated[list[str] | None, typer.Argument(help=RUNS_FORM, metavar="PATH")] = None,
    entity: Annotated[str | None, typer.Option(help="Owner of the copies.")] = None,
    project: Annotated[str | None, typer.Option(help="Project of the copies.")] = None,
    filters: Annotated[str | None, typer.Option(help="Only runs that match, as JSON.")] = None,
    artifacts: Annotated[
        bool, typer.Option("--artifacts/--no-artifacts", help="Also send artifacts, with the SDK.")
    ] = True,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be sent.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy runs of the lake to a backend, and check each copy by reading it back."""
    from runlake.cli.pull import parsed_filters
    from runlake.errors import InvalidArgument
    from runlake.lake.lake import Lake

    chosen = parsed_filters(filters)
    if chosen is not None and paths:
        raise InvalidArgument("Name runs by paths or by --filters, not by both.")
    report = Lake().push(
        base_url,
        chosen or paths or None,
        entity=entity,
        project=project,
        dry_run=dry_run,
        artifacts=artifacts,
    )
    sys.stdout.write((report.to_json() if as_json else str(report)) + "\n")
    if report.failed or report.differing:
        raise typer.Exit(1)
