"""Which storage hosts do not know some ranges: remembered as long as the client lives."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

from runlake.backend.http.client import Client


class RangeSupport:
    """What is known of the storage hosts of one client, for all threads."""

    def __init__(self) -> None:
        self._without_suffixes: set[str] = set()
        self._without_ranges: set[str] = set()

    def is_without_suffixes(self, host: str) -> bool:
        """Tell whether a host does not know ``bytes=-N``."""
        return host in self._without_suffixes

    def is_without_ranges(self, host: str) -> bool:
        """Tell whether a host sends the whole object whatever range it is asked for."""
        return host in self._without_ranges

    def note_without_suffixes(self, host: str) -> None:
        """Remember that a host did not know ``bytes=-N``."""
        self._without_suffixes.add(host)

    def note_without_ranges(self, host: str) -> None:
        """Remember that a host ignored a plain range."""
        self._without_ranges.add(host)


_guard = threading.Lock()
_known: WeakKeyDictionary[Client, RangeSupport] = WeakKeyDictionary()


def range_support(client: Client) -> RangeSupport:
    """Return what is known of the storage hosts of a client."""
    with _guard:
        return _known.setdefault(client, RangeSupport())
