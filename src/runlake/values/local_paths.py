"""Check a caller's paths before the file system is used, and report errors of writing."""

from __future__ import annotations

import errno
import os
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runlake.errors import FileTransferError, InvalidArgument, InvalidType, RunlakeError


def path_text(path: str | os.PathLike[str], what: str) -> str:
    """Return a path as an unchanged string; the file system is not accessed.

    Parameters
    ----------
    path : path
        A path from a caller.
    what : str
        Name of the argument in the error message.

    Raises
    ------
    InvalidArgument
        If the argument is not a path, or has characters that no file system allows.
    """
    try:
        text = os.fspath(path)
    except TypeError as error:
        raise InvalidType(f"{what} must be a path, not {reprlib.repr(path)}.") from error
    if not isinstance(text, str):
        raise InvalidType(f"{what} must be a path of type str, not {reprlib.repr(path)}.")
    try:
        is_nameable = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        is_nameable = False
    if not is_nameable:
        raise InvalidArgument(
            f"{what} {text!r} is not a path: it holds a NUL, or half of a character."
        )
    return text


def local_path(path: str | os.PathLike[str], what: str) -> Path:
    """Return a caller's path with ``~`` replaced by the home directory; the path need not exist.

    Parameters
    ----------
    path : path
        A path from a caller.
    what : str
        Name of the argument in the error message.

    Raises
    ------
    InvalidArgument
        If the file system allows no such path.
    """
    named = Path(path_text(path, what))
    try:
        found = named.expanduser()
    except RuntimeError as error:
        raise InvalidArgument(f"{what} {str(named)!r} names a user that is not known.") from error
    return check_length(found, what)


def check_length(path: Path, what: str) -> Path:
    """Return a path; raise `InvalidArgument` if a name in it is too long for the file system.

    For such a path, `Path.exists` and similar methods raise an error.
    """
    try:
        path.lstat()
    except ValueError:
        pass  # no path has a NUL or a lone surrogate: `Path.exists` is False
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidArgument(
                f"{what} {reprlib.repr(str(path))} is not a path: a name in it is too long."
            ) from error
    return path


@contextmanager
def writing_to(place: str | os.PathLike[str]) -> Iterator[None]:
    """Within the context, convert errors of writing a local file to `FileTransferError`.

    Parameters
    ----------
    place : path
        The file or directory that the error names.
    """
    try:
        yield
    except OSError as error:
        # Some errors of runlake are OSErrors too, and have a message of their own.
        if isinstance(error, RunlakeError):
            raise
        reason = error.strerror or str(error)
        raise FileTransferError(
            f"{str(place)!r} cannot be written ({reason}). Name another place, or make room."
        ) from error
