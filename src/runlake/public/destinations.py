"""Where a file is downloaded to: below a directory, and over another file only if told so."""

from __future__ import annotations

import os
from io import TextIOWrapper
from pathlib import Path

from runlake.cache.artifact_manifest import leads_out
from runlake.errors import InvalidArgument, InvalidType


def destination_of(root: str, name: str) -> Path:
    """Return the path of a file below a directory.

    Parameters
    ----------
    root : path
        The directory.
    name : str
        The file's name with its folders, as the backend told it.

    Returns
    -------
    Path
        Nothing has been made or looked at yet.

    Raises
    ------
    InvalidArgument
        If the name leads out of the directory, or that is no path.
    """
    if leads_out(name):
        raise InvalidArgument(f"The name {name!r} leads out of the directory {str(root)!r}.")
    try:
        return Path(root) / name
    except TypeError as error:
        raise InvalidType(f"root must be a path, not {root!r}.") from error


def directory_text(root: str | os.PathLike[str]) -> str:
    """Return a directory as it was given.

    Raises
    ------
    InvalidType
        If it is no path.
    """
    try:
        return str(os.fspath(root))
    except TypeError as error:
        raise InvalidType(f"root must be a path, not {root!r}.") from error


def is_wanted(destination: Path, *, replace: bool, exist_ok: bool) -> bool:
    """Tell whether a file is to be downloaded: it is not there, or it is to be replaced.

    Parameters
    ----------
    destination : Path
        The file.
    replace : bool
        Overwrite a file that is there.
    exist_ok : bool
        Leave a file that is there as it is.

    Raises
    ------
    InvalidArgument
        If a file is there and neither flag is set.
    """
    if replace or not destination.exists():
        return True
    if not exist_ok:
        raise InvalidArgument(
            f"File {str(destination)!r} is there already. Pass replace=True to overwrite it, or "
            "exist_ok=True to leave it as it is."
        )
    return False


def open_text(root: str, name: str) -> TextIOWrapper:
    """Open a file below a directory for reading as text.

    Parameters
    ----------
    root : path
        The directory.
    name : str
        The file's name with its folders.

    Returns
    -------
    file
        Its ``name`` is the SDK's: the directory as it was given, then the name.

    Raises
    ------
    InvalidArgument
        If the file cannot be read.
    """
    path = os.path.join(os.fspath(root), name)  # noqa: PTH118 - a Path drops "./"
    try:
        return open(path, encoding="utf-8")  # noqa: PTH123 - the caller closes it
    except OSError as error:
        raise InvalidArgument(f"{path!r} cannot be read: {error}.") from error
