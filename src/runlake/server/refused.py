"""The exception that is raised when the server refuses a request that it has begun to execute."""

from __future__ import annotations


class Refused(Exception):
    """A request is refused; the text of the exception is sent to the user."""
