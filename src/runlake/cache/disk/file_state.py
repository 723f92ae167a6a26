"""The size, times and inode of a file, to detect that another program changed the file."""

from __future__ import annotations

import os
from dataclasses import dataclass
from os import stat_result
from pathlib import Path
from typing import Any

from runlake.cache.disk.mounts import is_network_directory


@dataclass(frozen=True, slots=True)
class FileState:
    """The state of a file when its content was last verified.

    Parameters
    ----------
    n_bytes : int
        Length of the file.
    changed_ns : int
        Modification time in nanoseconds. Any program can set this time back.
    status : tuple of int, optional
        Status change time (ctime) in nanoseconds, and inode; no program can set them back. Empty on
        a network file system, because machines may see different values there. None if an older
        version of runlake wrote the stored manifest; the file is then verified once.
    """

    n_bytes: int
    changed_ns: int
    status: tuple[int, ...] | None = None

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Return the current state of a file; raise `OSError` if it is missing."""
        found = path.stat()
        directory = os.path.dirname(path)  # noqa: PTH120 - much faster
        # Machines that share a network file system may see different inodes.
        status = () if is_network_directory(directory) else _status(found)
        return cls(found.st_size, found.st_mtime_ns, status)

    def is_of(self, found: stat_result) -> bool:
        """Return whether a file still has this state, according to its present ``stat`` result."""
        if (self.n_bytes, self.changed_ns) != (found.st_size, found.st_mtime_ns):
            return False
        return self.status is not None and self.status in ((), _status(found))

    def note(self) -> list[int] | None:
        """Return ``status`` in a form for JSON, which `noted` reads back."""
        return None if self.status is None else list(self.status)

    @classmethod
    def noted(cls, n_bytes: int, changed_ns: int, status: Any) -> FileState:
        """Build a state from a stored manifest; ``status`` is the result of `note`, or None."""
        return cls(n_bytes, changed_ns, None if status is None else tuple(map(int, status)))


def _status(found: stat_result) -> tuple[int, int]:
    return found.st_ctime_ns, found.st_ino
