"""Reuse, revalidate or fetch: one decision per export on offer (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from runlake.exports.manifest import Freshness, Manifest


class Decision(Enum):
    """What to do about an export on offer."""

    REUSE = "on disk, and the run did not move"
    REVALIDATE = "on disk, but the run moved"
    FETCH = "not on disk"


def decide(
    offered: Manifest,
    held: Mapping[str, bool],
    held_freshness: Freshness | None,
    *,
    use_cache: bool,
) -> dict[str, Decision]:
    """Decide for each export on offer.

    Parameters
    ----------
    offered : Manifest
        What the backend offers now.
    held : mapping of str to bool
        Objects in the stored manifest; True where the file is on disk.
    held_freshness : tuple or None
        `Manifest.freshness` of the last time all exports were current.
    use_cache : bool
        False fetches all again.

    Returns
    -------
    dict of str to Decision
        By object, for every export on offer.

    Examples
    --------
    >>> from runlake.exports.manifest import Export
    >>> from runlake.values import RunPath
    >>> offered = Manifest(
    ...     RunPath("e", "p", "r"), "finished", "t1", 5, 4, {}, (Export("http://s/a?sig=1"),), ()
    ... )
    >>> decide(offered, {"http://s/a": True}, ("finished", "t1", 5), use_cache=True)
    {'http://s/a': <Decision.REUSE: 'on disk, and the run did not move'>}
    """
    decisions = {}
    for export in offered.exports:
        if not use_cache or not held.get(export.object, False):
            decisions[export.object] = Decision.FETCH
        elif held_freshness == offered.freshness:
            decisions[export.object] = Decision.REUSE
        else:
            decisions[export.object] = Decision.REVALIDATE
    return decisions
