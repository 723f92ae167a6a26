"""Refuse links, pipes, devices and directories in the place of the cache's files.

If several users share a cache, one user could create a link in it that makes other users overwrite
or delete their own files. A pipe or an endless device could make their processes hang or run out of
memory. runlake does not create links, pipes or devices, and neither follows nor reads them. Only
the root of the cache may be a link.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# Without this flag, opening a pipe would wait for a process that writes to the pipe.
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_CAN_TOUCH_LINKS = os.utime in os.supports_follow_symlinks


def refuse_links(root: Path, path: Path) -> None:
    """Raise `OSError` if a directory between the root and a path is a symbolic link.

    Parameters
    ----------
    root : Path
        Root of the cache.
    path : Path
        A path below the root; the path itself is not checked.

    Raises
    ------
    OSError
        If there is such a link; its ``errno`` is ELOOP.
    """
    # Strings instead of `Path`, for speed: a pull checks several directories for each run.
    top, below, place = str(root), str(path), os.path.dirname(path)  # noqa: PTH120
    while place not in {top, below}:
        if os.path.islink(place):  # noqa: PTH114
            raise OSError(errno.ELOOP, "a directory of the cache is a symbolic link", place)
        below, place = place, os.path.dirname(place)  # noqa: PTH120


def open_to_change(path: Path) -> int:
    """Open an existing file for reading and writing, unless it is a link; return a descriptor."""
    return os.open(path, os.O_RDWR | NO_LINK | NO_WAIT | _BINARY)


def read_small_file(path: Path, max_bytes: int) -> bytes:
    """Read a whole small file of the cache, which another user may have replaced.

    Parameters
    ----------
    path : Path
        Path below the cache root.
    max_bytes : int
        Maximum length of the file in bytes.

    Returns
    -------
    bytes
        The whole content.

    Raises
    ------
    OSError
        If the file is missing, longer, or not a regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | NO_LINK | NO_WAIT | _BINARY)
    try:
        refuse_special(descriptor, path)
        if os.fstat(descriptor).st_size > max_bytes:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(max_bytes)
    finally:
        os.close(descriptor)


def refuse_special(descriptor: int, path: Path) -> None:
    """Raise `OSError` if an open file is a pipe, a device or a directory."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "this is not a regular file", str(path))


def is_regular(path: Path) -> bool:
    """Return whether a path is a regular file, or a link to a regular file."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def set_times(path: Path, ns: tuple[int, int] | None = None) -> None:
    """Set access and modification time of a file, without following a link.

    The times are ``ns``, in nanoseconds, or the present time if ``ns`` is omitted.
    """
    is_followed = not _CAN_TOUCH_LINKS
    if ns is None:
        # Any user with write permission can set the present time; only the owner can set others.
        os.utime(path, follow_symlinks=is_followed)
    else:
        os.utime(path, ns=ns, follow_symlinks=is_followed)
