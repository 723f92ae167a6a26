"""`TaskMark`: a file that exists in the lake while a process waits for its tasks."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from runlake.cache.layout import task_mark
from runlake.cache.upkeep.catch_up import is_process_gone, name_process
from runlake.errors import CacheError
from runlake.exports.process_identity import Process


@dataclass(frozen=True, slots=True)
class TaskMark:
    """A file in the lake that exists as long as a process waits for its tasks.

    A task runs in another process, perhaps on another machine. If the task does not find the file,
    it does not see the lake, or nobody waits for its result.

    Parameters
    ----------
    root : Path
        Root of the cache.
    token : str
        Name of the file.
    """

    root: Path
    token: str

    @property
    def is_standing(self) -> bool:
        """True if this process sees the lake, and the sender of the tasks still waits for them.

        A sender that was killed leaves the file behind, so this stays true after its end, until
        `standing_mark` is called again.
        """
        return task_mark(self.root, self.token).exists()

    def check(self) -> None:
        """Raise `CacheError` if this process does not see the lake, or the sender has ended."""
        if not self.is_standing:
            raise CacheError(
                f"The worker on {socket.gethostname()!r} does not see the lake at "
                f"{str(self.root)!r}, or the process that sent the task has ended. All workers "
                "need the same directory, under the same path, on a shared file system.",
                path=str(self.root),
            )


@contextmanager
def standing_mark(root: Path) -> Iterator[TaskMark]:
    """Create a `TaskMark`, yield it, and delete its file when the context ends.

    Marks that killed processes have left behind are deleted first.
    """
    mark = TaskMark(root, secrets.token_hex(8))
    path = task_mark(root, mark.token)
    path.parent.mkdir(parents=True, exist_ok=True)
    for old in path.parent.iterdir():
        with suppress(OSError, UnicodeDecodeError):
            # Race: another process may have created its mark, and not written it yet.
            text = old.read_text()
            if text and is_process_gone(text):
                old.unlink()
    path.write_text(name_process(Process.current()))
    try:
        yield mark
    finally:
        with suppress(OSError):
            path.unlink()
