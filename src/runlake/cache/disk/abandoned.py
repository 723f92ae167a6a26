"""Recognise unfinished files to which no process has written for a day."""

from __future__ import annotations

import time
from pathlib import Path

# Processes on other machines may write to the same directory, but none pauses for a day.
ABANDONED_SECONDS = 24 * 3600.0


def is_abandoned(path: Path) -> bool:
    """Return whether a file was last changed more than a day ago; False if it does not exist.

    Parameters
    ----------
    path : Path
        A file that a process, perhaps on another machine, may still be writing.

    Returns
    -------
    bool
        True if the file may be deleted without checking whether its process still runs.
    """
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except OSError:
        return False
