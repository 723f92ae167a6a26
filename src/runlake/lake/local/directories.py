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
    """One ``.wandb`` file, with its size and time when its state was read.

    Parameters
    ----------
    path : Path
        The file, absolute.
    size, mtime_ns : int
        Length and time of change.
    """

    path: Path
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Source:
        """Read size and time of a file."""
        found = path.stat()
        return cls(path, found.st_size, found.st_mtime_ns)

    @property
    def name(self) -> str:
        """Name of the run's directory and of the file; it stays if the directory is moved."""
        return f"{self.path.parent.name}/{self.path.name}"

    @property
    def in_order(self) -> str:
        """The name by which files are sorted: it begins with the time at which the run began.

        If a run starts again in the same second, the SDK adds a number to its directory, such as
        ``run-20260101_000000-id-1``. It follows the name here: by the directories alone, the later
        starts would be sorted before the first one, and the tenth before the second.
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
        """Return the description of the file that the lake stores, as values for JSON."""
        return {"path": str(self.path), "size": self.size, "mtime_ns": self.mtime_ns}


def find_sources(path: object) -> list[Source]:
    """Return the ``.wandb`` files of a path, in the order in which their runs began.

    Parameters
    ----------
    path : path
        A ``wandb`` directory, the directory that has it, the directory of a run, or a file.

    Raises
    ------
    InvalidType
        If ``path`` is not a path.
    LocalFileNotFoundError
        If it does not exist.
    InvalidArgument
        If it has no runs.
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
    """Return files in the order in which their runs began, which is in the directories' names."""
    return sorted(sources, key=lambda one: one.in_order)


def _is_own(directory: Path) -> bool:
    return not (directory.is_symlink() and directory.name == "latest-run")
