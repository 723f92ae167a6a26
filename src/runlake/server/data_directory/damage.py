"""A damage of a data directory, together with the function that repairs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class NotRepairable(Exception):
    """The damage cannot be repaired; the message says what was lost or done, or what to do."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A damage of a data directory, and the function that repairs the damage.

    Parameters
    ----------
    text : str
        What is damaged, and how.
    repair : callable
        Repairs the damage and returns what was done, or raises `NotRepairable`.
    """

    text: str
    repair: Callable[[], str]
