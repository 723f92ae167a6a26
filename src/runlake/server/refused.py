"""The one way in which a request of a logged-in user fails."""

from __future__ import annotations


class Refused(Exception):
    """A request that cannot be met; the text goes to the user."""
