"""List what a copy of a run lacks, because the protocol cannot send it or the lake lacks it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runlake.cache.companions import FILES
from runlake.cache.layout import RunDirectory
from runlake.cache.run_facts import incomplete_reason
from runlake.cache.store import StoredManifest
from runlake.cache.stored_files import ALL_FILES
from runlake.lake.pushing.stored_config import branch_point_of

# The states that a push can set, with an exit code.
KEPT_STATES = {"finished", "failed"}
OF_EVERY_RUN = ("the times of its creation and of its last sign of life", "its console output")


def losses_of(directory: RunDirectory, stored: StoredManifest) -> Iterable[str]:
    """Yield a description of each part, except artifacts, that the copy of a run will lack.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory.
    stored : StoredManifest
        The run's stored manifest.
    """
    attrs: Mapping[str, Any] = stored.attrs or {}
    yield from OF_EVERY_RUN
    if attrs.get("user"):
        yield "its user"
    if attrs.get("sweepName"):
        yield f"its sweep {attrs['sweepName']!r}"
    if attrs.get("description"):
        yield "its description"
    state = stored.offer.state if stored.offer else None
    if state not in KEPT_STATES:
        yield f"its state {state!r}"
    point = branch_point_of(directory.run, attrs)
    if point is not None:
        yield f"that it was forked from {point}"
    lack = incomplete_reason(stored)
    if lack is not None:
        yield f"rows that the lake does not have: {lack}"
    files = stored.beside.get(FILES)
    if files is None or ALL_FILES not in files.asked:
        yield "files that were not pulled (pull with files=True)"
    elif not files.is_whole:
        yield "files that could not be pulled"
