"""Remember, for the life of a client, which storage hosts do not support some ranges."""

from __future__ import annotations

import threading
from weakref import WeakKeyDictionary

from runlake.backend.http.client import Client


class RangeSupport:
    """Storage hosts of one client without range support, shared by all threads."""

    def __init__(self) -> None:
        self._without_suffixes: set[str] = set()
        self._without_ranges: set[str] = set()

    def is_without_suffixes(self, host: str) -> bool:
        """Return whether a host does not support ``bytes=-N``."""
        return host in self._without_suffixes

    def is_without_ranges(self, host: str) -> bool:
        """Return whether a host ignores ranges and sends the whole object."""
        return host in self._without_ranges

    def note_without_suffixes(self, host: str) -> None:
        """Remember that a host does not support ``bytes=-N``."""
        self._without_suffixes.add(host)

    def note_without_ranges(self, host: str) -> None:
        """Remember that a host ignores ranges."""
        self._without_ranges.add(host)


_guard = threading.Lock()
_known: WeakKeyDictionary[Client, RangeSupport] = WeakKeyDictionary()


def range_support(client: Client) -> RangeSupport:
    """Return the range support of a client's storage hosts."""
    with _guard:
        return _known.setdefault(client, RangeSupport())
