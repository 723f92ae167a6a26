"""A damage of a data directory, together with the function that repairs it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class NotRepairable(Exception):
    """A damage cannot be repaired; the text says what is lost, and what was done instead."""


@dataclass(frozen=True, slots=True)
class Damage:
    """A damage of a data directory.

    Parameters
    ----------
    text : str
        What is damaged, and how.
    repair : callable
        Repairs the damage and returns what was done, or raises `NotRepairable`.
    """

    text: str
    repair: Callable[[], str]
