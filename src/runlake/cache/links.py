"""Symbolic links below the cache root: runlake makes none, and writes through none.

Whoever may write to a shared cache could put one there, to make others overwrite or delete files of
their own. The root itself may be a link.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
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
    return os.open(path, os.O_RDWR | NO_LINK | getattr(os, "O_BINARY", 0))


def set_times(path: Path, ns: tuple[int, int] | None = None) -> None:
    """Set access and change time of a file, or of the link that lies in its place, to now or ns."""
    is_followed = not _CAN_TOUCH_LINKS
    if ns is None:
        # Whoever may write a file may do this; to set another time one has to own it.
        os.utime(path, follow_symlinks=is_followed)
    else:
        os.utime(path, ns=ns, follow_symlinks=is_followed)
