"""The machine that this process runs on, and which start of it this is."""

from __future__ import annotations

import hashlib
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
UNKNOWN_BOOT = "00000000"


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
