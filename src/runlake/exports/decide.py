"""Decide, without I/O, for each export whether its file on disk can be used.

A file is reused, revalidated, extended (missing columns are downloaded), or downloaded whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from runlake.exports.manifest import Freshness, Manifest


class Decision(Enum):
    """What to do about an export that the backend lists."""

    REUSE = "on disk, and the run is unchanged"
    REVALIDATE = "on disk, but the run has changed"
    EXTEND = "on disk, but not all requested columns"
    FETCH = "not on disk"


@dataclass(frozen=True, slots=True)
class Held:
    """Whether an export is on disk, and whether its file contains what a read needs.

    Parameters
    ----------
    is_usable : bool
        The file exists and is intact.
    is_enough : bool
        The file contains all columns and row groups that the read needs.
    """

    is_usable: bool
    is_enough: bool


def decide(
    offered: Manifest,
    held: Mapping[str, Held],
    held_freshness: Freshness | None,
    *,
    use_cache: bool,
) -> dict[str, Decision]:
    """Decide for each listed export whether its file on disk can be used; see `Decision`.

    Parameters
    ----------
    offered : Manifest
        The backend's manifest: its list of exports now.
    held : mapping of str to Held
        The state on disk of each export in the stored manifest; the keys are `Export.object`.
    held_freshness : Freshness or None
        The run's `Manifest.freshness` at the last time when all files on disk were up to date.
    use_cache : bool
        False downloads every export again.

    Returns
    -------
    dict of str to Decision
        One decision per listed export; the keys are `Export.object`.

    Examples
    --------
    >>> from runlake.exports.manifest import Export
    >>> from runlake.values import RunPath
    >>> offered = Manifest(
    ...     RunPath("e", "p", "r"), "finished", "t1", 5, 4, {}, (Export("http://s/a?sig=1"),), ()
    ... )
    >>> held = {"/a": Held(is_usable=True, is_enough=True)}
    >>> decide(offered, held, ("finished", "t1", 5), use_cache=True)
    {'/a': <Decision.REUSE: 'on disk, and the run is unchanged'>}
    """
    nothing = Held(is_usable=False, is_enough=False)
    is_unchanged = held_freshness == offered.freshness
    decisions = {}
    for export in offered.exports:
        found = held.get(export.object, nothing)
        if not use_cache or not found.is_usable:
            decisions[export.object] = Decision.FETCH
        # Before EXTEND: columns may only be added to the version that is on disk.
        elif not is_unchanged:
            decisions[export.object] = Decision.REVALIDATE
        elif not found.is_enough:
            decisions[export.object] = Decision.EXTEND
        else:
            decisions[export.object] = Decision.REUSE
    return decisions
