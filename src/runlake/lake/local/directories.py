"""Find the ``.wandb`` files of directories of the W&B SDK."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runlake.errors import InvalidArgument, InvalidType, LocalFileNotFoundError
from runlake.values.local_paths import local_path

SUFFIX = ".wandb"


@dataclass(frozen=True, slots=True)
class Source:
    """One ``.wandb`` file, with the size and change time that it had when it was found.

    Parameters
    ----------
    path : Path
        Absolute path of the file.
    size, mtime_ns : int
        Size in bytes, and time of the last change in nanoseconds since 1970.
    """

    path: Path
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Source:
        """Return the `Source` of a file, with the present size and change time of the file."""
        found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns)

    @property
    def name(self) -> str:
        """The last two parts of the path: the name of the directory and the name of the file.

        This name stays the same if the run's directory is moved.
        """
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def in_order(self) -> str:
        """The sort key of the file, which begins with ``run-`` and the time of the run's start.

        If a run starts again in the same second, the SDK adds a number to the name of the
        directory, such as ``run-20260101_000000-id-1``. This number is at the end of the sort key.
        If the files were sorted by directory, later starts would come before the first one, and
        the tenth start before the second.
        """
        name = self.name.removeprefix("offline-")
        run_id = re.escape(self.path.stem.removeprefix("run-"))
        again = re.fullmatch(rf"(run-\d+_\d+-{run_id})-(\d+)/(.+)", name, re.DOTALL)
        return f"{again[1]}/{again[3]}~{int(again[2]):06}" if again else name

    @property
    def files(self) -> Path:
        """The directory with the files of the run."""
        return self.path.parent / "files"

    def noted(self) -> dict[str, str | int]:
        """Return what the lake stores about the file, as values that JSON can represent."""
        return {"path": str(self.path), "size": self.size, "mtime_ns": self.mtime_ns}


def find_sources(path: object) -> list[Source]:
    """Return the ``.wandb`` files of a path, ordered by the time at which their runs started.

    Parameters
    ----------
    path : path
        A ``wandb`` directory, the directory that has it, the directory of a run, or a file.

    Raises
    ------
    InvalidType
        If ``path`` is not a path.
    LocalFileNotFoundError
        If ``path`` does not exist.
    InvalidArgument
        If ``path`` has no runs, is another file than a ``.wandb`` file, or cannot be a path.
    """
    named: object = path
    if not isinstance(named, (str, os.PathLike)) or not str(named):
        raise InvalidType(f"path must be a directory or a .wandb file, not {path!r}.")
    root = Path(os.path.abspath(local_path(named, "path")))  # noqa: PTH100 - keeps links
    if not root.exists():
        raise LocalFileNotFoundError(f"There is no file or directory {str(named)!r}.")
    if root.is_file():
        if root.suffix != SUFFIX:
            raise InvalidArgument(f"{str(named)!r} is no {SUFFIX} file.")
        return [Source.of(root)]
    found = _of_directory(root) or _of_directory(root / "wandb")
    if not found:
        raise InvalidArgument(
            f"{str(named)!r} has no runs. Name a 'wandb' directory of the SDK, a directory "
            f"'run-...' or 'offline-run-...' in it, or a {SUFFIX} file."
        )
    return found


def _of_directory(root: Path) -> list[Source]:
    files = {file for at in ("", "*run-*/") for file in root.glob(f"{at}*{SUFFIX}")}
    # "latest-run" is a link to the directory of a run.
    real = [one for one in files if one.is_file() and (one.parent == root or _is_own(one.parent))]
    return in_order(map(Source.of, real))


def in_order(sources: Iterable[Source]) -> list[Source]:
    """Sort files by the start time of their runs, which is in the names of the directories."""
    return sorted(sources, key=lambda one: one.in_order)


def _is_own(directory: Path) -> bool:
    return not (directory.is_symlink() and directory.name == "latest-run")
