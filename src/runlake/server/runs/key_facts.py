"""Caches the parsed facts about the history keys of runs that are logging.

The facts say, for each key, how many values of each type it has, what its last number is, and
whether its numbers never descend. GraphQL answers the field ``historyKeys`` from them. The database
keeps the facts of a run as one JSON text. For a run with many keys, this text has hundreds of
kilobytes, and each request that has history lines of the run replaces the whole text.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from cachetools import LRUCache

from runlake.server.store.long_json import loads_objects

# A key takes about 600 bytes of memory.
KEYS_IN_MEMORY = 100_000


class KeyFacts:
    """Caches, for each run, the parsed facts about its history keys, such as types and counts."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._parsed: LRUCache[int, tuple[str, dict[str, Any]]] = LRUCache(
            KEYS_IN_MEMORY, getsizeof=lambda held: 1 + len(held[1])
        )

    def take(self, run_id: int, text: str) -> dict[str, Any]:
        """Return the facts about a run's keys, and remove them from the cache.

        If the cache has no facts of the run, or has them for another text than ``text``, they are
        parsed from ``text``. The caller may change the returned dict.
        """
        with self._guard:
            held = self._parsed.pop(run_id, None)
        if held is not None and held[0] == text:
            return held[1]
        facts: dict[str, Any] = loads_objects(text)
        return facts

    def keep(self, run_id: int, text: str, facts: dict[str, Any]) -> None:
        """Cache the facts about a run's keys, as JSON (``text``) and parsed (``facts``).

        The caller must not change the dict later.
        """
        with self._guard:
            if 1 + len(facts) <= KEYS_IN_MEMORY:
                self._parsed[run_id] = (text, facts)
