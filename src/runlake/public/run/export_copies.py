"""Copies of a run's exports in a directory of the user's."""

from __future__ import annotations

import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from runlake.backend.http.client import Client
from runlake.backend.http.transfer import make_directory
from runlake.cache.pull import pull_run
from runlake.cache.pull_result import PullResult
from runlake.errors import FileTransferError, IncompleteRunHistoryError
from runlake.exports.manifest import fetch_manifest
from runlake.public.lists.destinations import path_text
from runlake.public.progress import visible_progress
from runlake.values import Question, RunPath


@dataclass(frozen=True)
class DownloadHistoryResult:
    """What a download of exports brought.

    Parameters
    ----------
    paths : list of Path
        The files, ordered by first step.
    contains_live_data : bool
        The run has rows that are in no export yet.
    errors : dict of Path to str
        Empty: a failure raises.
    """

    paths: list[Path]
    contains_live_data: bool
    errors: dict[Path, str] | None = None


def download_history_exports(
    client: Client, run: RunPath, directory: Path | str, *, require_complete_history: bool
) -> DownloadHistoryResult:
    """Copy the exports of a run out of the cache, after a pull that shows its progress.

    Parameters
    ----------
    client : Client
        The backend.
    run : RunPath
        The run.
    directory : path
        Where to; each file is copied aside and renamed.
    require_complete_history : bool
        Refuse a run with live rows.

    Returns
    -------
    DownloadHistoryResult
        With files named as the SDK names them.

    Raises
    ------
    InvalidArgument
        If the directory is no path; nothing has been sent then.
    IncompleteRunHistoryError
        If the run has live rows and they are not allowed; nothing has been downloaded then.
    FileTransferError
        If the directory cannot be written to.
    """
    directory = path_text(directory, "download_dir")
    if require_complete_history and not client.settings.offline:
        _check_complete(run, is_whole=fetch_manifest(client, run).live_steps == ())
    progress = visible_progress(is_wanted=client.settings.progress)
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
        name = "_".join((*run.quoted, str(index))) + ".runhistory.parquet"
        aside = directory / f".{secrets.token_hex(8)}.part"
        try:
            shutil.copyfile(export.path, aside)
            paths.append(aside.replace(directory / name))
        finally:
            aside.unlink(missing_ok=True)
    return paths


def _check_complete(run: RunPath, *, is_whole: bool) -> None:
    if not is_whole:
        raise IncompleteRunHistoryError(
            f"'{run}' has rows that are in no export yet. Wait for them to be exported, or pass "
            "require_complete_history=False.",
            run=str(run),
        )
