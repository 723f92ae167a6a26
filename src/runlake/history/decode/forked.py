"""Whether polars can be used: a process forked from one that used it hangs at its first query.

Its pool of threads does not live on in the child. pyarrow makes its own anew, and serves there.
"""

from __future__ import annotations

import os
import sys


class _Fork:
    has_lost_polars = False


def polars_is_usable() -> bool:
    """Tell whether this process may run a polars query."""
    return not _Fork.has_lost_polars


def _notice() -> None:
    _Fork.has_lost_polars = _Fork.has_lost_polars or "polars" in sys.modules


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_notice)
