"""``runlake plot``: draw curves of runs in the terminal, or write them to a file."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from runlake.charts.chart import Chart
    from runlake.public.api import Api
    from runlake.public.runs.runs import Runs

PATH_FORM = "ENTITY/PROJECT/RUN or ENTITY/PROJECT, or URLs; several runs, or one project."
KEY_FORM = "Key to draw, or a glob such as 'val/*'; can be repeated."
SMOOTH_FORM = "Weight below 1 of a moving average, or number of points of a window mean."
BAND_FORM = "Band around the mean: std, sem, min-max, quantiles, ci95 or none."
OUTPUT_FORM = "File to write; its suffix selects the format: png, svg, pdf, html or txt."
MAX_WIDTH = 140
PIPE_SIZE = (76, 24)
PROJECT_PARTS = 2
# Lines of the terminal that are left for the prompt, the legend and the notes.
LINES_AROUND = 6


def plot(
    paths: Annotated[list[str], typer.Argument(help=PATH_FORM, metavar="PATH")],
    keys: Annotated[list[str], typer.Option("-k", "--key", help=KEY_FORM)],
    x: Annotated[str | None, typer.Option("--x", help="Key of the x axis.")] = None,
    by: Annotated[
        list[str] | None,
        typer.Option("--by", help="Mean of runs with equal values in a column, such as config.lr."),
    ] = None,
    band: Annotated[str | None, typer.Option("--band", help=BAND_FORM)] = None,
    smooth: Annotated[float | None, typer.Option("--smooth", help=SMOOTH_FORM)] = None,
    log: Annotated[bool, typer.Option("--log", help="Logarithmic y axis.")] = False,
    min_step: Annotated[int | None, typer.Option(help="First step, inclusive.")] = None,
    max_step: Annotated[int | None, typer.Option(help="Step to stop before.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help=OUTPUT_FORM)] = None,
) -> None:
    """Draw the curves of one or more keys, for one or more runs."""
    from runlake.charts.chart import checked_target
    from runlake.cli.answer import check_output
    from runlake.public.api import Api
    from runlake.public.plot_arguments import N_POINTS, PlotRequest

    how: dict[str, Any] = {
        "x": x,
        "smooth": smooth,
        "log": log,
        "min_step": min_step,
        "max_step": max_step,
    }
    # Wrong arguments are reported before the first request.
    PlotRequest.from_arguments(keys, points=N_POINTS, **how)
    if output is not None:
        checked_target(output)
        check_output(output)
    chart = _chart(Api(), paths, keys, by or None, band, how)
    if output is not None:
        chart.save(output)
        return
    sys.stdout.write(chart.text(*_size()) + "\n")


def _size() -> tuple[int, int]:
    if not sys.stdout.isatty():
        return PIPE_SIZE[0], PIPE_SIZE[1] - LINES_AROUND
    width, height = shutil.get_terminal_size(PIPE_SIZE)
    return min(width, MAX_WIDTH), max(height - LINES_AROUND, 1)


def _chart(
    api: Api,
    paths: list[str],
    keys: list[str],
    by: list[str] | None,
    band: str | None,
    how: dict[str, Any],
) -> Chart:
    from runlake.charts.chart import join_charts
    from runlake.cli.run import find_run
    from runlake.errors import InvalidArgument

    groups: dict[str, Any] = {"by": by, "band": band}
    if len(paths) == 1 and (project := _project(api, paths[0])) is not None:
        return project.plot(keys, **groups, **how)
    runs = [find_run(api, path) for path in dict.fromkeys(paths)]
    places = {(run.entity, run.project) for run in runs}
    if len(runs) > 1 and len(places) == 1:
        ids = [run.id for run in runs]
        listed = api.runs("/".join(places.pop()), {"name": {"$in": ids}})
        return listed.plot(keys, **groups, **how)
    if by or band:
        raise InvalidArgument("--by and --band need a project, or several runs of one project.")
    return join_charts([run.plot(keys, **how) for run in runs])


def _project(api: Api, path: str) -> Runs | None:
    """Return the runs of the project at a path; None if the path names a run."""
    from runlake.errors import ProjectNotFoundError, RunNotFoundError
    from runlake.values import is_url

    if is_url(path):
        return None if _is_run(path) else api.runs(path)
    if len([part for part in path.split("/") if part]) != PROJECT_PARTS:
        return None
    runs = api.runs(path)
    # The list is lazy: the first request shows whether the project exists.
    try:
        len(runs)
    except (ProjectNotFoundError, RunNotFoundError):
        # In the short form of a run's path, the entity is left out.
        return None
    return runs


def _is_run(url: str) -> bool:
    from runlake.errors import InvalidArgument
    from runlake.values import RunPath

    try:
        RunPath.parse(url)
    except InvalidArgument:
        return False
    return True
