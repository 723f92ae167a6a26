"""Copy a run's exports from the cache to a directory that the user chooses."""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from runlake.backend.http.client import Client
from runlake.backend.http.transfer import make_directory
from runlake.cache.pull import pull_run
from runlake.cache.pull_result import PullResult
from runlake.errors import FileTransferError, IncompleteRunHistoryError
from runlake.exports.manifest import fetch_manifest
from runlake.exports.progress import Progress
from runlake.values import Question, RunPath
from runlake.values.local_paths import path_text

# Characters that would lead to another directory, or that file names must not have.
UNFIT = re.compile(r"[/\\\x00-\x1f\x7f]")


@dataclass(frozen=True)
class DownloadHistoryResult:
    """The result of copying a run's exports to a directory.

    Parameters
    ----------
    paths : list of Path
        The files, ordered by first step.
    contains_live_data : bool
        True if the run has live rows; the copied files do not contain live rows.
    errors : dict of Path to str
        Always empty, because a failure raises an error; the SDK has this field.
    """

    paths: list[Path]
    contains_live_data: bool
    errors: dict[Path, str] | None = None


def download_history_exports(
    client: Client,
    run: RunPath,
    directory: Path | str,
    *,
    require_complete_history: bool,
    progress: Progress,
) -> DownloadHistoryResult:
    """Pull the exports of a run, and copy them to a directory.

    Parameters
    ----------
    client : Client
        Client of the backend.
    run : RunPath
        The run whose exports are copied.
    directory : path
        Created if it does not exist. Each file is copied under a temporary name, then renamed, so
        that an interrupted copy leaves no partial export.
    require_complete_history : bool
        Raise an error if the run has live rows.
    progress : Progress
        Reports the progress of the download.

    Returns
    -------
    DownloadHistoryResult
        The copied files; they have the same names as with the SDK.

    Raises
    ------
    InvalidArgument
        If the directory is not a path; this is checked before any request.
    IncompleteRunHistoryError
        If the run has live rows and ``require_complete_history`` is True; usually raised before
        anything is downloaded.
    FileTransferError
        If a file cannot be written to the directory.
    """
    directory = path_text(directory, "download_dir")
    # Check before the pull, to fail early, and after it, because the run may have logged meanwhile.
    if require_complete_history and not client.settings.offline:
        _check_complete(run, is_whole=fetch_manifest(client, run).live_steps == ())
    pulled = pull_run(client, run, Question(), progress=progress)
    if require_complete_history:
        _check_complete(run, is_whole=pulled.is_whole_history)
    try:
        paths = _copy(pulled, run, Path(directory))
    except OSError as error:
        raise FileTransferError(
            f"The exports of '{run}' cannot be copied to {str(directory)!r}: {error}."
        ) from error
    return DownloadHistoryResult(paths, not pulled.is_whole_history, {})


def _copy(pulled: PullResult, run: RunPath, directory: Path) -> list[Path]:
    make_directory(directory)
    paths = []
    for index, export in enumerate(sorted(pulled.exports, key=lambda e: e.facts.first_step or 0)):
        name = f"{_file_name(run)}_{index}.runhistory.parquet"
        aside = directory / f".{secrets.token_hex(8)}.part"
        try:
            shutil.copyfile(export.path, aside)
            paths.append(aside.replace(directory / name))
        finally:
            aside.unlink(missing_ok=True)
    return paths


def _file_name(run: RunPath) -> str:
    """Return the start of the copied files' names, which is the same as in the SDK."""
    names = f"{run.entity}_{run.project}_{run.run_id}"
    return UNFIT.sub(lambda found: quote(found[0], safe=""), names)


def _check_complete(run: RunPath, *, is_whole: bool) -> None:
    if not is_whole:
        raise IncompleteRunHistoryError(
            f"'{run}' has rows that are in no export yet. Wait until the backend has exported "
            "them, or pass require_complete_history=False to copy the exports without them.",
            run=str(run),
        )
