"""Reuse, revalidate, extend or fetch: one decision per export on offer (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from runlake.exports.manifest import Freshness, Manifest


class Decision(Enum):
    """What to do about an export on offer."""

    REUSE = "on disk, and the run did not move"
    REVALIDATE = "on disk, but the run moved"
    EXTEND = "on disk, but not all that is wanted of it"
    FETCH = "not on disk"


@dataclass(frozen=True, slots=True)
class Held:
    """What of an export is on disk.

    Parameters
    ----------
    is_usable : bool
        The file is there and holds what arrived.
    is_enough : bool
        It holds all that is wanted.
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
    """Decide for each export on offer.

    Parameters
    ----------
    offered : Manifest
        What the backend offers now.
    held : mapping of str to Held
        Objects in the stored manifest.
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
    >>> held = {"/a": Held(is_usable=True, is_enough=True)}
    >>> decide(offered, held, ("finished", "t1", 5), use_cache=True)
    {'/a': <Decision.REUSE: 'on disk, and the run did not move'>}
    """
    nothing = Held(is_usable=False, is_enough=False)
    decisions = {}
    for export in offered.exports:
        found = held.get(export.object, nothing)
        if not use_cache or not found.is_usable:
            decisions[export.object] = Decision.FETCH
        elif held_freshness != offered.freshness:
            decisions[export.object] = Decision.REVALIDATE
        elif not found.is_enough:
            decisions[export.object] = Decision.EXTEND
        else:
            decisions[export.object] = Decision.REUSE
    return decisions
