"""Finds the page and the data source that the argument of a command names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runlake.errors import InvalidArgument
from runlake.lake.lake import Lake
from runlake.pages.source import ApiSource, LakeSource, Source
from runlake.public.api import Api
from runlake.public.run.run import Run
from runlake.public.sweeps import Sweep
from runlake.settings import load_settings
from runlake.values import ProjectPath, is_url, url_parts


@dataclass(frozen=True, slots=True)
class Target:
    """The first page that a command shows, and the source of the data.

    Parameters
    ----------
    source : Source
        The source of the pages' data.
    path : tuple of str
        The parts of the address of the first page, not encoded.
    name : str
        A description of what is shown, for messages.
    """

    source: Source
    path: tuple[str, ...]
    name: str


def open_target(text: str | None, lake: Path | None) -> Target:
    """Return the first page and the data source for the argument of a command.

    Parameters
    ----------
    text : str or None
        ``entity/project``, a run path, or the URL of a page; all projects if None.
    lake : Path or None
        Directory of pulled runs. If None, the backend in the settings is used, or in offline mode
        the cache directory in the settings.

    Raises
    ------
    InvalidArgument
        If the text is not a path or URL, or the directory has no pulled runs.
    RunlakeError
        If the text names something that does not exist or cannot be read.
    """
    if lake is None and not load_settings().offline:
        return _of_backend(text)
    found = Lake() if lake is None else Lake(lake)
    if not found.path.is_dir():
        raise InvalidArgument(
            f"There are no pulled runs in {str(lake or found.path)!r}. Name the directory that "
            "'runlake pull' or Lake.pull wrote to, or the folder 'runlake' in it."
        )
    return _of_lake(text, found)


def _of_backend(text: str | None) -> Target:
    api = Api()
    source = ApiSource(api)
    if text is None:
        source.entities()
        return Target(source, (), f"the projects at {api.settings.base_url}")
    found = api.from_path(text)
    if isinstance(found, Run):
        return _run(source, found)
    if isinstance(found, Sweep):
        names = (found.entity, found.project, "sweeps", found.id)
        return Target(source, names, f"'{'/'.join(names)}'")
    # This read fails if the project does not exist, before a browser shows a page without runs.
    source.runs(found.entity, found.name, per_page=1)[:1]
    return _project(source, found.entity, found.name)


def _run(source: Source, run: Run) -> Target:
    names = (run.entity, run.project, run.id)
    return Target(source, (*names[:2], "runs", names[2]), f"'{'/'.join(names)}'")


def _project(source: Source, entity: str, project: str) -> Target:
    return Target(source, (entity, project, "workspace"), f"'{entity}/{project}'")


def _of_lake(text: str | None, lake: Lake) -> Target:
    source = LakeSource(lake)
    if text is None:
        return Target(source, (), f"the runs in {str(lake.path)!r}")
    if _can_be_project(text):
        path = ProjectPath.parse(text)
        for entity in [path.entity] if path.entity else source.entities():
            if len(source.runs(entity, path.project)):
                return _project(source, entity, path.project)
    return _run(source, lake.run(text))


def _can_be_project(text: str) -> bool:
    if is_url(text):
        return "runs" not in url_parts(text)[2:-1]
    return 1 <= len(text.strip().strip("/").split("/")) <= 2  # noqa: PLR2004 - entity, project
