"""The exception for every request of a logged-in user that the server refuses."""

from __future__ import annotations


class Refused(Exception):
    """A request is refused; the text of the exception is sent to the user."""
