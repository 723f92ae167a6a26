"""The checked arguments of a pull."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

from runlake.cache.stored_files import ALL_FILES
from runlake.errors import InvalidArgument, InvalidType
from runlake.exports.progress import Progress, Silence
from runlake.lake.backend_settings import is_of_lake
from runlake.lake.clusters.executors import checked_executor
from runlake.public.lists.attributes import client_of
from runlake.public.lists.filters import checked_filters
from runlake.public.progress import check_progress, progress_of
from runlake.public.run.run import Run
from runlake.public.runs.runs import Runs
from runlake.settings import Settings, load_settings
from runlake.values import (
    DEFAULT_ORDER,
    ProgressOption,
    ProjectPath,
    Question,
    RunPath,
    check_count,
    is_url,
    parse_age,
    url_parts,
)

METADATA_FILE = "wandb-metadata.json"
Since: TypeAlias = str | date | timedelta | None
Subject: TypeAlias = str | Run | Runs | Iterable[str | Run]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which runs of one project to pull.

    Parameters
    ----------
    entity : str or None
        None means the default entity of the API key's user.
    project : str
        The project.
    filters : mapping
        Conditions in the language of `Api.runs`.
    order : str
        The order of the runs, as for `Api.runs`.
    run_ids : tuple of str
        The ids of the runs; empty means all runs that match the filters.
    """

    entity: str | None
    project: str
    filters: Mapping[str, Any]
    order: str = DEFAULT_ORDER
    run_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PullRequest:
    """What to pull, and how.

    Parameters
    ----------
    selections : tuple of Selection
        Which runs to pull.
    question : Question
        Keys and steps of the history to pull.
    files : tuple of str
        Names and patterns of the files to pull.
    artifacts : tuple of str
        Names and patterns of the artifacts whose files to pull. If empty, only the artifacts that
        an earlier pull of the run requested are pulled again.
    dry_run : bool
        Download nothing, and estimate the pull.
    n_workers : int or None
        Maximum number of runs that are pulled at the same time; None means the default.
    executor : Executor or None
        Pulls the runs; None uses threads of this process.
    progress : Progress or None
        Shows the downloads.
    """

    selections: tuple[Selection, ...]
    question: Question
    files: tuple[str, ...]
    artifacts: tuple[str, ...] = ()
    dry_run: bool = False
    n_workers: int | None = None
    executor: Executor | None = None
    progress: Progress | None = None


def check_pull(
    settings: Settings,
    path_or_runs: Subject,
    filters: Mapping[str, Any] | None = None,
    keys: list[str] | None = None,
    since: Since = None,
    files: bool | str | Sequence[str] = False,
    artifacts: bool | str | Sequence[str] = False,
    dry_run: bool = False,
    workers: int | None = None,
    executor: Executor | None = None,
    progress: ProgressOption = None,
) -> PullRequest:
    """Check the arguments of `Lake.pull`, and return them as a `PullRequest`.

    Parameters
    ----------
    settings : Settings
        Source of the entity and the project that a path leaves out.
    path_or_runs, filters, keys, since, files, artifacts, dry_run, workers, executor, progress
        As for `Lake.pull`.

    Raises
    ------
    InvalidArgument
        If an argument is wrong.
    """
    conditions = [one for one in (checked_filters(filters), _since_filter(since)) if one]
    executor = checked_executor(executor)
    check_progress(progress)
    if not isinstance(dry_run, bool):
        raise InvalidType(f"dry_run must be True or False, not {dry_run!r}.")
    return PullRequest(
        tuple(_selections(settings, path_or_runs, conditions)),
        # Later reads may ask for any of the keys, so the pull must not require all of them.
        Question.from_arguments(keys, "any"),
        _files(files),
        _artifacts(artifacts),
        dry_run,
        None if workers is None else check_count(workers, "workers"),
        executor,
        Silence() if dry_run else progress_of(settings, progress),
    )


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Return whether a name is one of ``patterns``, or matches a pattern among them."""
    return any(
        name == pattern
        or (_is_pattern(pattern) and re.fullmatch(_expression(pattern), name) is not None)
        for pattern in patterns
    )


def _expression(pattern: str) -> str:
    # W&B's patterns of file names are those of SQL, with a percent sign for any characters.
    # `fnmatch.fnmatch` would ignore case on Windows.
    return fnmatch.translate(pattern.replace("%", "*"))


def _is_pattern(text: str) -> bool:
    return any(character in text for character in "%*?[")


def _selections(
    settings: Settings, subject: Subject, conditions: list[dict[str, Any]]
) -> Iterable[Selection]:
    if isinstance(subject, Runs):
        both = _all_of([subject.filters, *conditions])
        yield Selection(subject.entity, subject.project, both, subject.order)
        return
    if isinstance(subject, str) and not subject.strip():
        raise InvalidArgument("The path of a project must not be empty: write 'entity/project'.")
    if isinstance(subject, str) and not names_run(subject):
        found = ProjectPath.parse(subject, entity=settings.entity, project=settings.project)
        yield Selection(found.entity, found.project, _all_of(conditions))
        return
    if isinstance(subject, (str, Run)):
        subject = [subject]
    if isinstance(subject, (bytes, Mapping)) or not isinstance(subject, Iterable):
        raise InvalidType(
            "Pull a path 'entity/project' or 'entity/project/run_id', a list of runs from "
            f"Api.runs, or a list of run paths, not {subject!r}."
        )
    by_project: dict[tuple[str, str], dict[str, None]] = {}
    for one in subject:
        run = _run_path(settings, one)
        by_project.setdefault((run.entity, run.project), {})[run.run_id] = None
    for (entity, project), ids in by_project.items():
        yield Selection(entity, project, _all_of(conditions), run_ids=tuple(ids))


def _run_path(settings: Settings, one: object) -> RunPath:
    if isinstance(one, Run):
        return RunPath(one.entity, one.project, one.id)
    if not isinstance(one, str):
        raise InvalidType(f"A run is named by a path 'entity/project/run_id', not {one!r}.")
    return RunPath.parse(one, entity=settings.entity, project=settings.project)


def listed_once(subject: Subject) -> Subject:
    """Return ``subject``, with a list in place of any other iterable of runs.

    A list can be read twice, an iterator only once.
    """
    is_one = isinstance(subject, (str, bytes, Mapping, Run, Runs))
    return subject if is_one or not isinstance(subject, Iterable) else list(subject)


def settings_for(settings: Settings, subject: Subject) -> Settings:
    """Return the settings for pulling runs from their backend into a lake.

    The settings of `Run` objects and of `Runs` lists replace those of the lake, except the cache
    directory. Offline mode is on if the settings of the lake or those of the runs turn it on. Paths
    name no backend, so for paths the settings of the lake are returned. Runs that a lake in the
    same directory returned are always offline, which does not count; they only name their backend.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    subject : str, Run, Runs or list
        What to pull, as `listed_once` returns it.

    Raises
    ------
    InvalidArgument
        If the runs are from several backends.
    """
    several = isinstance(subject, list)
    objects = [one for one in (subject if several else [subject]) if isinstance(one, (Run, Runs))]
    every = [client_of(each).settings for each in objects]
    backends = sorted({one.base_url for one in every})
    if len(backends) > 1:
        raise InvalidArgument(f"The runs are from several backends: {', '.join(backends)}.")
    for theirs in every:
        if not is_of_lake(theirs, settings.cache_dir):
            is_offline = settings.offline or theirs.offline
            return replace(theirs, cache_dir=settings.cache_dir, offline=is_offline)
    if not backends or backends == [settings.base_url]:
        return settings
    found = load_settings({"base_url": backends[0]}, offline=settings.offline)
    return replace(found, cache_dir=settings.cache_dir)


def names_run(path: str) -> bool:
    """Return whether a path names a run; a path with one or two parts names a project."""
    if is_url(path):
        return "runs" in url_parts(path)[2:-1]
    parts = [part for part in re.split(r"[/:]", path.strip().strip("/")) if part]
    return len(parts) > 2  # noqa: PLR2004 - entity, project


def _all_of(conditions: list[Mapping[str, Any]] | list[dict[str, Any]]) -> dict[str, Any]:
    filled = [dict(one) for one in conditions if one]
    if len(filled) <= 1:
        return filled[0] if filled else {}
    return {"$and": filled}


def _since_filter(since: Since) -> dict[str, Any]:
    """Return the filter for runs that were active after a time; an empty filter for None."""
    if since is None:
        return {}
    return checked_filters({"heartbeatAt": {"$gte": _moment(since)}})


def _moment(since: object) -> datetime:
    if isinstance(since, timedelta):
        return datetime.now(UTC) - since
    # Before `date`, because a datetime is a date too.
    if isinstance(since, datetime):
        return since
    if isinstance(since, date):
        return datetime(since.year, since.month, since.day, tzinfo=UTC)
    if not isinstance(since, str):
        raise InvalidType(
            "since must be a time, a date, a timedelta, or text such as '7d' or '2026-01-31', not "
            f"{since!r}."
        )
    try:
        return datetime.fromisoformat(since)
    except ValueError:
        pass
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_age(since, "since"))
    except (InvalidArgument, OverflowError):
        raise InvalidArgument(
            f"since must be an age such as '7d' or a time such as '2026-01-31', not {since!r}."
        ) from None


def _files(files: object) -> tuple[str, ...]:
    # The metadata file belongs to every pulled run.
    if isinstance(files, bool):
        return (ALL_FILES,) if files else (METADATA_FILE,)
    return tuple(dict.fromkeys([*_names(files, "files", "media/*"), METADATA_FILE]))


def _artifacts(artifacts: object) -> tuple[str, ...]:
    if isinstance(artifacts, bool):
        return (ALL_FILES,) if artifacts else ()
    return tuple(_names(artifacts, "artifacts", "model-*"))


def _names(names: object, argument: str, example: str) -> list[str]:
    found = [names] if isinstance(names, str) else names
    if not isinstance(found, (list, tuple, set, frozenset)) or not all(
        isinstance(name, str) and name for name in found
    ):
        raise InvalidType(
            f"{argument} must be True, False, or names and patterns such as {example!r}, not "
            f"{names!r}."
        )
    return sorted(found)
