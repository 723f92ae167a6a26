"""The command ``runlake pull``: download runs into the lake."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from runlake.cli.run import JsonOption, find_run

if TYPE_CHECKING:
    from runlake.lake.report import PullReport

PATH_FORM = "ENTITY/PROJECT, ENTITY/PROJECT/RUN, the URL of one, or a directory: ./wandb."
# How the paths of files and directories begin; the name of an entity or a project does not.
LOCAL_STARTS = (".", "/", "~")


def pull(
    paths: Annotated[list[str], typer.Argument(help=PATH_FORM, metavar="PATH")],
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Download all exports of a run again.")
    ] = False,
    files: Annotated[
        bool, typer.Option("--files", help="Also download media, tables and other files.")
    ] = False,
    artifacts: Annotated[
        bool, typer.Option("--artifacts", help="Also download logged and used artifacts.")
    ] = False,
    keys: Annotated[str | None, typer.Option(help="Keys to download, comma-separated.")] = None,
    since: Annotated[str | None, typer.Option(help="Only runs active since: 7d, a date.")] = None,
    filters: Annotated[str | None, typer.Option(help="Only runs that match, as JSON.")] = None,
    workers: Annotated[int | None, typer.Option(help="Runs to pull at the same time.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be downloaded.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Download runs, or all runs of projects, to the cache; unchanged runs are skipped."""
    from runlake.errors import CacheFull, InvalidArgument, ProjectNotFoundError
    from runlake.lake.lake import Lake

    options = {
        "filters": parsed_filters(filters),
        "keys": _names(keys),
        "since": since,
        "files": files,
        "artifacts": artifacts,
        "dry_run": dry_run,
        "workers": workers,
    }
    chosen = any(value not in (None, False) for value in options.values())
    if any(map(_is_local, paths)):
        _add_local(paths, chosen=chosen or refresh, as_json=as_json)
        return
    if len(paths) == 1 and not chosen and _is_run(paths[0]):
        _pull_run(paths[0], refresh=refresh, as_json=as_json)
        return
    if refresh:
        raise InvalidArgument("--refresh downloads one run again: name one run and nothing else.")
    lake = Lake()
    progress = lake.settings.progress and not dry_run
    reports = []
    for subject in _subjects(paths):
        try:
            report = lake.pull(subject, progress=progress, **options)
        except (CacheFull, KeyboardInterrupt) as error:
            # What was pulled before is reported, also after Ctrl-C.
            _show(getattr(error, "report", None), as_json=as_json)
            raise
        except ProjectNotFoundError:
            # The short path of a run has as many parts as the path of a project.
            if len(paths) > 1 or chosen or not _pull_short(paths[0], as_json=as_json):
                raise
            return
        _show(report, as_json=as_json)
        reports.append(report)
    if any(report.failed for report in reports):
        raise typer.Exit(1)


def _is_local(path: str) -> bool:
    return path.startswith(LOCAL_STARTS) or path.endswith(".wandb")


def _add_local(paths: list[str], *, chosen: bool, as_json: bool) -> None:
    """Add the runs in directories of the wandb SDK to the lake, and print reports."""
    from runlake.errors import InvalidArgument
    from runlake.lake.lake import Lake

    others = [path for path in paths if not _is_local(path)]
    if others:
        raise InvalidArgument(f"Pull directories and '{others[0]}' with two commands.")
    if chosen:
        raise InvalidArgument(
            "A directory is read whole, with all files: of the options, only --json can be used."
        )
    lake = Lake()
    reports = [lake.add(path) for path in paths]
    for report in reports:
        _show(report, as_json=as_json)
    if any(report.failed for report in reports):
        raise typer.Exit(1)


def _subjects(paths: list[str]) -> list[str | list[str]]:
    """Return what to pull: each project by itself, and all runs in one list."""
    runs = [path for path in paths if _is_run(path)]
    projects: list[str | list[str]] = [path for path in paths if not _is_run(path)]
    return [*projects, runs] if runs else projects


def _is_run(path: str) -> bool:
    from runlake.lake.pulling.request import names_run

    return names_run(path)


def _pull_run(path: str, *, refresh: bool, as_json: bool) -> None:
    from runlake.cli.output import show_facts
    from runlake.lake.lake import Lake
    from runlake.public.api import Api

    api = Api()
    run = find_run(api, path)
    result = run.pull(use_cache=not refresh, progress=api.settings.progress)
    # Adds what a read does not need: system metrics, metadata, and the pin.
    report = Lake().pull([run], progress=False)
    facts: dict[str, Any] = {
        "exports": result.n_exports,
        "downloaded": result.n_downloaded,
        "reused": result.n_reused,
        "bytes": result.n_bytes,
        "exported_rows": result.n_rows,
        "live_rows": result.n_live_rows,
        "directory": str(result.directory),
    }
    show_facts(facts | report.to_dict() if as_json else facts, as_json=as_json)
    if report.failed or report.incomplete:
        sys.stderr.write(f"{report}\n")
    if report.failed:
        raise typer.Exit(1)


def _pull_short(path: str, *, as_json: bool) -> bool:
    """Pull the run at a path without an entity; return False if there is no such run."""
    from runlake.errors import InvalidArgument, RunNotFoundError

    try:
        _pull_run(path, refresh=False, as_json=as_json)
    except (InvalidArgument, RunNotFoundError):
        return False
    return True


def _show(report: PullReport | None, *, as_json: bool) -> None:
    if report is not None:
        sys.stdout.write((report.to_json() if as_json else str(report)) + "\n")


def parsed_filters(filters: str | None) -> Any:
    """Return the filter in the JSON text of ``--filters``; None if the option is not given."""
    from runlake.errors import InvalidArgument

    if filters is None:
        return None
    try:
        found = json.loads(filters)
    except ValueError as error:
        raise InvalidArgument(
            f'--filters is no JSON ({error}). Write it as \'{{"state": "finished"}}\'.'
        ) from None
    if not isinstance(found, dict):
        raise InvalidArgument(f"--filters must be a JSON object, not {filters}.")
    return found


def _names(keys: str | None) -> list[str] | None:
    from runlake.errors import InvalidArgument

    if keys is None:
        return None
    names = [key.strip() for key in keys.split(",") if key.strip()]
    if not names:
        raise InvalidArgument("--keys names no key. Write --keys loss,acc, or leave it out.")
    return names
