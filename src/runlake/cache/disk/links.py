"""Files below the cache root that are not what runlake made: links, pipes, devices, directories.

Whoever may write to a shared cache could put a link there, to make others overwrite or delete files
of their own, or a pipe or an endless device, to make them wait or run out of memory. runlake makes
none, writes through none and reads none. The root itself may be a link.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# To open a pipe waits for whoever writes to it, unless one says no.
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
_BINARY = getattr(os, "O_BINARY", 0)
_CAN_TOUCH_LINKS = os.utime in os.supports_follow_symlinks


def refuse_links(root: Path, path: Path) -> None:
    """Raise where a directory that leads from the root to a path is a link.

    Parameters
    ----------
    root : Path
        Root of the cache.
    path : Path
        Below it; itself not looked at.

    Raises
    ------
    OSError
        With the number of "too many levels of symbolic links".
    """
    for place in path.parents:
        if place == root:
            return
        if place.is_symlink():
            raise OSError(errno.ELOOP, "a directory of the cache is a symbolic link", str(place))


def open_to_change(path: Path) -> int:
    """Open a file that is there for reading and writing, unless it is a link; return its number."""
    return os.open(path, os.O_RDWR | NO_LINK | NO_WAIT | _BINARY)


def read_small_file(path: Path, max_bytes: int) -> bytes:
    """Read a file of a known kind that others may have replaced.

    Parameters
    ----------
    path : Path
        Below the cache root.
    max_bytes : int
        How long it may be.

    Returns
    -------
    bytes
        All of it.

    Raises
    ------
    OSError
        If it is not there, no regular file, or longer.
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
    """Raise `OSError` where an open file is a pipe, a device or a directory."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.EINVAL, "this is no regular file", str(path))


def is_regular(path: Path) -> bool:
    """Tell whether a path, or what a link there leads to, is a file that may be read to its end."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def set_times(path: Path, ns: tuple[int, int] | None = None) -> None:
    """Set access and change time of a file, or of the link that lies in its place, to now or ns."""
    is_followed = not _CAN_TOUCH_LINKS
    if ns is None:
        # Whoever may write a file may do this; to set another time one has to own it.
        os.utime(path, follow_symlinks=is_followed)
    else:
        os.utime(path, ns=ns, follow_symlinks=is_followed)
