"""Find and read, without a backend, the files of runs that `Lake.pull` has stored on disk."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from runlake.cache.companions import FILES, read_rows
from runlake.cache.layout import RunDirectory
from runlake.cache.store import read_manifest
from runlake.errors import IncompleteWarning, NotCached
from runlake.errors.user_line import warn
from runlake.settings import Settings
from runlake.values import RunPath

# This entry of `Companion.asked` means that all files of the run were requested.
ALL_FILES = "*"


def list_stored_files(
    settings: Settings, run: RunPath, names: Iterable[str] = ()
) -> list[dict[str, Any]] | None:
    """Return the fields of those files of a run that are on disk.

    Parameters
    ----------
    settings : Settings
        Settings that name the cache directory and the backend.
    run : RunPath
        The run.
    names : iterable of str
        Names of the files to list; if empty, all files on disk are listed.

    Returns
    -------
    list of dict or None
        The fields of each file by the backend's names. ``url`` is None, and ``content`` is the path
        of the file's content on disk. None if no files of the run were ever pulled.

    Raises
    ------
    NotCached
        If a named file was not pulled.
    """
    directory = RunDirectory(settings.cache_dir, settings.base_url, run)
    rows = read_rows(directory, FILES)
    wanted = list(names)
    if rows is None:
        return None
    asked = read_manifest(directory).beside[FILES].asked
    known = {row["name"] for row in rows}
    missing = [name for name in wanted if name not in known and name not in asked]
    if missing and ALL_FILES not in asked:
        raise NotCached(
            f"The file {missing[0]!r} of '{run}' was not pulled. Pull it with "
            f"Lake.pull(..., files=[{missing[0]!r}]), or all files with files=True.",
            path=str(directory.path),
        )
    if not wanted and ALL_FILES not in asked:
        warn(
            f"Of the files of '{run}' only some were pulled ({', '.join(asked)}); "
            "Lake.pull(..., files=True) pulls all.",
            IncompleteWarning,
        )
    return [
        {**row, "url": None, "directUrl": None, "content": str(directory.path / row["content"])}
        for row in rows
        if not wanted or row["name"] in wanted
    ]


def count_stored_files(settings: Settings, run: RunPath) -> int:
    """Return the number of the run's files on disk."""
    directory = RunDirectory(settings.cache_dir, settings.base_url, run)
    return len(read_rows(directory, FILES) or ())


def read_stored_file(content: str, what: str) -> bytes:
    """Return the bytes of a stored file; raise `NotCached` if the file no longer exists."""
    try:
        return Path(content).read_bytes()
    except OSError as error:
        raise NotCached(
            f"{what} cannot be read from disk ({error.strerror or error}). Pull it again.",
            path=content,
        ) from error
