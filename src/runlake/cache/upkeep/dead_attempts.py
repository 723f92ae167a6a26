"""What dead attempts left in a run's directory: their bytes are used, then they are deleted."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from runlake.exports.download.attempt_file import AttemptFile, AttemptName, is_under_way
from runlake.exports.process_identity import UNKNOWN_BOOT, this_machine

ABANDONED_SECONDS = 24 * 3600.0


def find_dead_attempts(attempt: AttemptFile) -> Sequence[Path]:
    """Find the files from which a new attempt may copy.

    Parameters
    ----------
    attempt : AttemptFile
        In the directory of a run, whose lock the caller holds.

    Returns
    -------
    sequence of Path
        Those for that object whose version is known. After a power cut a file may hold blocks that
        were never written, and of another host we know as little; those are used only where the
        storage host promises a digest of the whole.
    """
    found = []
    for path in attempt.directory.iterdir():
        if not path.name.startswith(attempt.object_digest):
            continue
        name = AttemptName.parse(path.name)
        if name is None or name.version is None or is_under_way(path):
            continue
        machine = name.process.machine
        is_of_this_boot = machine == this_machine() and machine.boot != UNKNOWN_BOOT
        is_usable = _is_dead(name) if is_of_this_boot else name.version.promises_digest
        if is_usable:
            found.append(path)
    return found


def sweep_attempts(directory: Path) -> None:
    """Delete what dead attempts left.

    Parameters
    ----------
    directory : Path
        Of the run, whose lock the caller holds. A lock can lie, hence only files of processes
        that are known to be dead, or of yesterday, are deleted.
    """
    for path in directory.glob("*.part"):
        name = AttemptName.parse(path.name)
        if (name is not None and not is_under_way(path) and _is_dead(name)) or _is_old(path):
            with suppress(OSError):
                path.unlink()


def _is_dead(name: AttemptName) -> bool:
    # What this process has under way its own memory knows.
    return name.process.pid == os.getpid() or name.process.is_gone()


def _is_old(path: Path) -> bool:
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except OSError:
        return False
