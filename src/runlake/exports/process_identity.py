"""Processes that leave their name in a file, and whether they are known to have ended."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
UNKNOWN_BOOT = "00000000"
START_FIELD = 19


@dataclass(frozen=True, slots=True)
class Machine:
    """Where process numbers mean something: host (and process namespace), and its last start.

    Parameters
    ----------
    host, boot : str
        Digests of 8 characters; ``boot`` is `UNKNOWN_BOOT` where the system does not tell.
    """

    host: str
    boot: str


@dataclass(frozen=True, slots=True)
class Process:
    """A process on some machine.

    Parameters
    ----------
    machine : Machine
        Where it runs, or ran.
    pid : int
        Its number there.
    started : int
        When it started, in a unit of the platform: tells it from a later process with the same
        number. 0 where the platform does not say, or nobody noted it.
    """

    machine: Machine
    pid: int
    started: int = 0

    @classmethod
    def current(cls) -> Process:
        """Return the process that asks."""
        return cls(this_machine(), os.getpid(), _start(os.getpid()))

    def is_gone(self) -> bool:
        """Tell whether it runs no more; False in doubt, as for every process of another machine."""
        here = this_machine()
        if self.machine.host != here.host:
            return False
        if self.machine.boot != here.boot:
            return UNKNOWN_BOOT not in {self.machine.boot, here.boot}
        if os.name != "posix":
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


def this_machine() -> Machine:
    """Return the machine that this process runs on."""
    return Machine(_host(), current_boot() or UNKNOWN_BOOT)


def current_boot() -> str | None:
    """Return which start of the machine this is; None where the system does not tell.

    A file holds something else than what was written to it if the machine stopped before the bytes
    had reached the disk. So those of this start are taken as they were written, and those of an
    earlier one only if somebody waited for the disk, which takes longer than a fast download.
    """
    return _boot(BOOT_ID)


@cache
def _boot(path: Path) -> str | None:
    with suppress(OSError):
        return _digest(path.read_text().strip())
    return None


@cache
def _host() -> str:
    namespace = ""
    with suppress(OSError):
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return _digest(f"{socket.gethostname()}\0{namespace}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _start(pid: int) -> int:
    """Return clock ticks from boot to the start of a process (Linux: proc_pid_stat(5))."""
    try:
        # The command's name may hold spaces and parentheses; the columns follow its last one.
        columns = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(columns[START_FIELD])
    except (OSError, ValueError, IndexError):
        return 0
