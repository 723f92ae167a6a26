"""Identify processes in file names and locks, and find out whether they have ended."""

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
START_FIELD = 19  # "starttime", counted from the field after the command's name


@dataclass(frozen=True, slots=True)
class Machine:
    """The scope of process ids: one boot of a host, and one process namespace on it.

    Parameters
    ----------
    host, boot : str
        Digests of 8 characters. ``host`` is the digest of the host name and the process namespace.
        ``boot`` is the digest of the boot id, or `UNKNOWN_BOOT` if the system has no boot id.
    """

    host: str
    boot: str


@dataclass(frozen=True, slots=True)
class Process:
    """A process on any machine.

    Parameters
    ----------
    machine : Machine
        Machine on which the process runs, or ran.
    pid : int
        Process id on ``machine``.
    started : int
        Start time, in a unit of the platform; 0 if unknown. It distinguishes the process from a
        later process with the same id.
    """

    machine: Machine
    pid: int
    started: int = 0

    @classmethod
    def current(cls) -> Process:
        """Return the process that runs this code."""
        return cls(this_machine(), os.getpid(), _start(os.getpid()))

    def is_gone(self) -> bool:
        """Return whether the process has ended; False if this is unknown.

        For example, this is unknown for a process on another machine.
        """
        here = this_machine()
        # Only a process of this machine can be looked for.
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
            # The process exists, but belongs to another user; or the id, which may be from a file
            # name, is not a possible one.
            return False
        # The system gives the id of a process that has ended to a new one.
        started = _start(self.pid)
        return bool(self.started and started) and self.started != started


def this_machine() -> Machine:
    """Return the machine that this process runs on."""
    return Machine(_host(), current_boot() or UNKNOWN_BOOT)


def current_boot() -> str | None:
    """Return a digest of the id of the current boot; None if the system has no boot ids.

    If the machine crashes before a file's bytes reach the disk, the file is damaged. A flush
    prevents this damage, but takes longer than a fast download. So files are written without a
    flush, and the digest is stored. If it is different when a file is used, the file is checked
    first.
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
        # The same number means different processes in two containers of one host.
        namespace = str(Path("/proc/self/ns/pid").readlink())
    return _digest(f"{socket.gethostname()}\0{namespace}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]


def _start(pid: int) -> int:
    """Return clock ticks from boot to the start of a process (proc_pid_stat(5)); 0 if unknown."""
    try:
        # The command's name may contain spaces and parentheses; split after its closing one.
        columns = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return int(columns[START_FIELD])
    except (OSError, ValueError, IndexError):
        return 0
