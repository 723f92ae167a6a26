"""Check that downloads stay in their directory, and overwrite files only if requested."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path

from runlake.cache.artifacts.manifest import leads_out
from runlake.errors import InvalidArgument
from runlake.values.local_paths import check_length, path_text


def destination_of(root: str, name: str) -> Path:
    """Return the path of a file below a directory; refuse names that lead out of the directory.

    Parameters
    ----------
    root : path
        The directory.
    name : str
        The file's name with its folders, as the backend names it.

    Returns
    -------
    Path
        The path; no file or directory is created.

    Raises
    ------
    InvalidArgument
        If the name leads out of the directory, or the directory is not a path, or is a file.
    """
    if leads_out(name):
        raise InvalidArgument(f"The name {name!r} leads out of the directory {str(root)!r}.")
    return Path(directory_text(root), path_text(name, "The name of the file"))


def directory_text(root: str | os.PathLike[str], what: str = "root") -> str:
    """Check the path of an existing or new directory, and return it as a string, unchanged.

    Raises
    ------
    InvalidArgument
        If the argument is not a path, or is the path of a file, or is too long.
    """
    text = path_text(root, what)
    check_length(Path(text), what)
    try:
        is_free = stat.S_ISDIR(Path(text).stat().st_mode)
    except OSError:
        # A new directory does not exist yet.
        is_free = True
    if not is_free:
        raise InvalidArgument(f"{what} {text!r} is a file. Pass a directory, which may be new.")
    return text


def directory_or(root: str | os.PathLike[str] | None, default: Callable[[], str]) -> str:
    """Return a directory as a string, unchanged; for None or "", return ``default()``."""
    return default() if root is None or root == "" else directory_text(root)


def is_wanted(destination: Path, *, replace: bool, exist_ok: bool) -> bool:
    """Return whether to download a file: True if it does not exist, or if ``replace`` is True.

    Parameters
    ----------
    destination : Path
        Path to which the file would be downloaded.
    replace : bool
        Overwrite an existing file.
    exist_ok : bool
        Keep an existing file.

    Raises
    ------
    InvalidArgument
        If the file exists and neither ``replace`` nor ``exist_ok`` is set.
    """
    if replace or not destination.exists():
        return True
    if not exist_ok:
        raise InvalidArgument(
            f"File {str(destination)!r} already exists. Pass replace=True to overwrite it, or "
            "exist_ok=True to keep it."
        )
    return False


def open_text(root: str, name: str) -> TextIOWrapper:
    """Open a file below a directory for reading as text.

    Parameters
    ----------
    root : path
        The directory.
    name : str
        The file's name with its folders, relative to the directory.

    Returns
    -------
    file
        The open file, which the caller closes. As in the SDK, its ``name`` is the directory as
        given, then the file's name.

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
