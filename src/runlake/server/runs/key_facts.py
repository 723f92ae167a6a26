"""Keeps the parsed facts about the keys of the runs that log at the moment.

The facts of a run are one JSON text in the database, from which ``historyKeys`` is made. A wide run
has hundreds of kilobytes of it, and each of its requests changes all of it.
"""

from __future__ import annotations

from threading import Lock
from typing import Any

from cachetools import LRUCache

from runlake.server.store.long_json import loads_objects

# A key takes about 600 bytes of memory.
KEYS_IN_MEMORY = 100_000


class KeyFacts:
    """Parsed facts by run."""

    def __init__(self) -> None:
        self._guard = Lock()
        self._parsed: LRUCache[int, tuple[str, dict[str, Any]]] = LRUCache(
            KEYS_IN_MEMORY, getsizeof=lambda held: 1 + len(held[1])
        )

    def take(self, run_id: int, text: str) -> dict[str, Any]:
        """Return the facts in a text; the caller may change them, so they are not kept here."""
        with self._guard:
            held = self._parsed.pop(run_id, None)
        if held is not None and held[0] == text:
            return held[1]
        facts: dict[str, Any] = loads_objects(text)
        return facts

    def keep(self, run_id: int, text: str, facts: dict[str, Any]) -> None:
        """Keep the facts of a text, which must not be changed any more."""
        with self._guard:
            if 1 + len(facts) <= KEYS_IN_MEMORY:
                self._parsed[run_id] = (text, facts)
