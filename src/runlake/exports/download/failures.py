"""What can be wrong with one answer of a storage host; `storage_host` decides what comes of it."""

from __future__ import annotations

from runlake.backend.http.reply import Reply


class Failure(Exception):
    """An answer brought something else than what was asked for; the text says what."""


class Incomplete(Failure):
    """Bytes are missing: another try goes on behind those that arrived."""


class Damaged(Failure):
    """The bytes are not those of the export: often a passing fault of a proxy."""


class Replaced(Failure):
    """The bytes are those of another version of the object."""


class Refused(Failure):
    """The host does not send the object.

    Parameters
    ----------
    reply : Reply
        Its answer.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"HTTP {reply.status}")
        self.status = reply.status
        self.retry_after = reply.headers.get("retry-after")


class UnknownRange(Failure):
    """The host does not know ranges of the kind that it was asked for."""
