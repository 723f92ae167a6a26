"""What a file system notes of a file: whoever else touched it leaves a trace there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from os import stat_result
from pathlib import Path
from typing import Any

from runlake.cache.disk.mounts import is_network


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it was when its content was known to be right.

    Parameters
    ----------
    n_bytes : int
        Its length.
    changed_ns : int
        When its content changed last; anybody can set that back.
    status : tuple of int, optional
        When the file system last noted any change, and the inode: nobody can set those back. Empty
        on a network file system, whose machines may see different ones. None where an older runlake
        noted neither: then the file is compared once.
    """

    n_bytes: int
    changed_ns: int
    status: tuple[int, ...] | None = None

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Look at a file; `OSError` where there is none."""
        found = path.stat()
        status = () if _is_on_network(path.parent) else _status(found)
        return cls(found.st_size, found.st_mtime_ns, status)

    def is_of(self, found: stat_result) -> bool:
        """Tell whether the file is as it was."""
        if (self.n_bytes, self.changed_ns) != (found.st_size, found.st_mtime_ns):
            return False
        return self.status is not None and self.status in ((), _status(found))

    def note(self) -> list[int] | None:
        """Return ``status`` for JSON."""
        return None if self.status is None else list(self.status)

    @classmethod
    def noted(cls, n_bytes: int, changed_ns: int, status: Any) -> FileState:
        """Read what `note` returned; None for what an older runlake noted."""
        return cls(n_bytes, changed_ns, None if status is None else tuple(map(int, status)))


@lru_cache(maxsize=1024)
def _is_on_network(directory: Path) -> bool:
    """Tell whether a directory is on a network file system; the table of mounts is long to read."""
    return is_network(directory)


def _status(found: stat_result) -> tuple[int, int]:
    return found.st_ctime_ns, found.st_ino
