"""Keeps the parsed facts about the keys of the runs that are logging.

The facts of a run are one JSON text in the database, from which ``historyKeys`` is made. The text
of a wide run has hundreds of kilobytes, and each request of the run replaces the whole text.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from cachetools import LRUCache

from runlake.server.store.long_json import loads_objects

# A key takes about 600 bytes of memory.
KEYS_IN_MEMORY = 100_000


class KeyFacts:
    """A cache of the parsed facts of runs."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._parsed: LRUCache[int, tuple[str, dict[str, Any]]] = LRUCache(
            KEYS_IN_MEMORY, getsizeof=lambda held: 1 + len(held[1])
        )

    def take(self, run_id: int, text: str) -> dict[str, Any]:
        """Return the facts in a text and drop them here, because the caller may change them."""
        with self._guard:
            held = self._parsed.pop(run_id, None)
        if held is not None and held[0] == text:
            return held[1]
        facts: dict[str, Any] = loads_objects(text)
        return facts

    def keep(self, run_id: int, text: str, facts: dict[str, Any]) -> None:
        """Keep the parsed facts of a text; the caller must not change them afterwards."""
        with self._guard:
            if 1 + len(facts) <= KEYS_IN_MEMORY:
                self._parsed[run_id] = (text, facts)
