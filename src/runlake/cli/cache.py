"""The ``runlake cache`` commands."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from runlake.cli.run import RUN_FORM
from runlake.errors.screen import without_controls

app = typer.Typer(help="Maintain the cache.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def _root() -> None:
    pass


@app.command()
def path() -> None:
    """Print the directory of the cache."""
    from runlake.settings import load_settings

    typer.echo(without_controls(str(load_settings().cache_dir)))


@app.command("list")
def list_runs(as_json: AsJson = False) -> None:
    """List the runs in the cache, with size and time of the last read."""
    from runlake.cache.upkeep.tree import walk_runs
    from runlake.cli.output import show_rows
    from runlake.settings import load_settings

    names = ("run", "backend", "state", "exports", "rows", "bytes", "used", "pinned")
    rows = [
        (
            str(run.directory.run),
            run.directory.base_url,
            run.manifest.offer.state if run.manifest.offer else None,
            len(run.manifest.exports),
            run.n_rows,
            run.n_bytes,
            datetime.fromtimestamp(run.used_at, UTC).isoformat(timespec="seconds"),
            run.manifest.is_pinned,
        )
        # From the directories, because the catalog may lack runs.
        for run in walk_runs(load_settings().cache_dir)
    ]
    show_rows(names, rows, as_json=as_json)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Compare every file with its checksum; the next read downloads damaged files again."""
    from runlake.cache.upkeep.check import verify_cache
    from runlake.cli.output import show_facts
    from runlake.settings import load_settings

    settings = load_settings()
    checked = list(
        verify_cache(settings.cache_dir, settings.lock_timeout, locking=settings.locking)
    )
    damaged = [str(file) for one in checked for file in one.damaged]
    show_facts(
        {
            "runs": len(checked),
            "exports": sum(one.n_exports for one in checked),
            "damaged": damaged,
        },
        as_json=as_json,
    )
    if damaged:
        raise typer.Exit(1)


@app.command()
def repair(as_json: AsJson = False) -> None:
    """Rebuild the catalog from the files, and delete remains of interrupted downloads."""
    from runlake.cache.upkeep.check import repair_catalog
    from runlake.cli.output import show_facts
    from runlake.settings import load_settings

    settings = load_settings()
    started = time.monotonic()
    n_runs = repair_catalog(settings.cache_dir, settings.lock_timeout, locking=settings.locking)
    show_facts({"runs": n_runs, "seconds": time.monotonic() - started}, as_json=as_json)


@app.command()
def prune(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUNS", help="ENTITY, ENTITY/PROJECT or ENTITY/PROJECT/RUN, with *."
        ),
    ] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Bytes to keep, such as 20GB.")] = None,
    max_age: Annotated[
        str | None, typer.Option(help="Evict runs that were not read for this time, such as 7d.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the runs.")] = False,
    as_json: AsJson = False,
) -> None:
    """Evict runs that are named, were not read for long, or take too much space.

    If runs are named together with a limit, only those of them that exceed the limit are evicted.
    """
    from runlake.cache.upkeep.evict import prune_cache
    from runlake.cache.upkeep.prune import Policy
    from runlake.cli.output import show_rows
    from runlake.settings import load_settings
    from runlake.values import parse_age, parse_bytes

    policy = Policy(
        None if max_bytes is None else parse_bytes(max_bytes, "--max-bytes"),
        None if max_age is None else parse_age(max_age, "--max-age"),
        tuple(runs or ()),
    )
    pruning = prune_cache(load_settings(), policy, dry_run=dry_run)
    rows = [
        (str(one.entry.run), len(one.files), one.n_bytes, one.reason) for one in pruning.releases
    ]
    show_rows(("run", "files", "bytes", "why"), rows, as_json=as_json)
    if not pruning.is_enough:
        typer.echo("Error: The pinned runs alone take more than that; unpin some.", err=True)
        raise typer.Exit(1)


@app.command()
def pin(run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_FORM)]) -> None:
    """Protect a run from being pruned."""
    _pin(run, is_pinned=True)


@app.command()
def unpin(run: Annotated[str, typer.Argument(metavar="RUN", help=RUN_FORM)]) -> None:
    """End the protection of a run, so that it can be pruned."""
    _pin(run, is_pinned=False)


def _pin(run: str, *, is_pinned: bool) -> None:
    from runlake.cache.upkeep.evict import pin_run
    from runlake.settings import load_settings
    from runlake.values import RunPath

    settings = load_settings()
    path = RunPath.parse(run, entity=settings.entity, project=settings.project)
    pin_run(settings, path, is_pinned=is_pinned)
