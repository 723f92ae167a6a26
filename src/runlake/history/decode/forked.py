"""Detect forked processes in which polars would hang at its first query.

The thread pool of polars does not exist in the child process. pyarrow creates a new pool, so child
processes use pyarrow.
"""

from __future__ import annotations

import os
import sys


class _Fork:
    has_lost_polars = False


def polars_is_usable() -> bool:
    """Return whether this process can run polars queries without hanging."""
    return not _Fork.has_lost_polars


def _notice() -> None:
    _Fork.has_lost_polars = _Fork.has_lost_polars or "polars" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_notice)
