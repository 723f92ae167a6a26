"""Processes that leave their name on disk, and whether they are provably gone."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_START_FIELD = 19


@dataclass(frozen=True, slots=True)
class Owner:
    """A process on some machine.

    Parameters
    ----------
    pid : int
        Its number there.
    host : str
        Name of the machine.
    started : int
        When it started, in a unit of the platform: tells it from a later process with the same
        number. 0 where the platform does not say.
    """

    pid: int
    host: str
    started: int = 0

    @classmethod
    def current(cls) -> Owner:
        """Return the process that asks."""
        return cls(os.getpid(), socket.gethostname(), _start(os.getpid()))

    def is_gone(self) -> bool:
        """Tell whether it runs no more; False in doubt, as for every process of another machine."""
        if self.host != socket.gethostname() or os.name != "posix":
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except (OSError, OverflowError):
            # It exists, but is not ours to signal.
            return False
        started = _start(self.pid)
        return bool(self.started and started) and self.started != started

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def _start(pid: int) -> int:
    """Return clock ticks from boot to the start of a process (Linux: proc_pid_stat(5))."""
    try:
        # The command's name may hold spaces and parentheses; the columns follow its last one.
        columns = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(columns[_START_FIELD])
    except (OSError, ValueError, IndexError):
        return 0
