"""Recognise unfinished files that nobody has written to for a day."""

from __future__ import annotations

import time
from pathlib import Path

# Writers on other machines share the directory; none of them pauses for a day.
ABANDONED_SECONDS = 24 * 3600.0


def is_abandoned(path: Path) -> bool:
    """Return whether a file was last written to more than a day ago; False if it is gone.

    Parameters
    ----------
    path : Path
        A file that may still be under way in another process, or on another machine.

    Returns
    -------
    bool
        Whether the file may be deleted without a look at its writer.
    """
    try:
        return time.time() - path.stat().st_mtime > ABANDONED_SECONDS
    except OSError:
        return False
