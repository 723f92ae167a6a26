"""Exceptions for wrong responses of storage hosts, which `storage_host` converts to errors."""

from __future__ import annotations

from runlake.backend.http.reply import Reply


class Failure(Exception):
    """A response does not contain the requested bytes; the message, if any, says why."""


class Incomplete(Failure):
    """Bytes are missing; if possible, the next try continues after the bytes that arrived."""


class Damaged(Failure):
    """The bytes are not the export's bytes; the cause is often a temporary fault of a proxy."""


class Replaced(Failure):
    """The bytes belong to another version of the export."""


class Refused(Failure):
    """The host refuses to send the export.

    Parameters
    ----------
    reply : Reply
        The host's response, whose status and ``Retry-After`` header are kept.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(f"HTTP {reply.status}")
        self.status = reply.status
        self.retry_after = reply.headers.get("retry-after")


class UnknownRange(Failure):
    """The host does not support the requested kind of range."""
