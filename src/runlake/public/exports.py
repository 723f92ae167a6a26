"""Copies of a run's exports in a directory of the user's."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from runlake.backend.client import Client
from runlake.cache.pull import pull_run
from runlake.errors import IncompleteRunHistoryError
from runlake.values import RunPath


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
    errors: dict[Path, str] | None


def download_history_exports(
    client: Client, run: RunPath, directory: Path, *, require_complete_history: bool
) -> DownloadHistoryResult:
    """Copy the exports of a run out of the cache, after a pull.

    Parameters
    ----------
    client : Client
        The backend.
    run : RunPath
        The run.
    directory : Path
        Where to; each file is copied aside and renamed.
    require_complete_history : bool
        Refuse a run with live rows.

    Returns
    -------
    DownloadHistoryResult
        With files named as the SDK names them.

    Raises
    ------
    IncompleteRunHistoryError
        If the run has live rows and they are not allowed; nothing was written to the directory.
    """
    pulled = pull_run(client, run)
    is_live = pulled.manifest.live_steps is None or bool(pulled.manifest.live_steps)
    if is_live and require_complete_history:
        raise IncompleteRunHistoryError(
            f"'{run}' has rows that are in no export yet. Wait for them to be exported, or pass "
            "require_complete_history=False.",
            run=str(run),
        )
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for index, export in enumerate(sorted(pulled.exports, key=lambda e: e.facts.first_step or 0)):
        name = "_".join((*run.quoted, str(index))) + ".runhistory.parquet"
        part = directory / f".{name}.part"
        shutil.copyfile(export.path, part)
        paths.append(part.replace(directory / name))
    return DownloadHistoryResult(paths, is_live, {})
