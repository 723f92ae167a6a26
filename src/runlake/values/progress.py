"""`ProgressUpdate`: how far a download, or a read of many runs, has got."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProgressUpdate:
    """How far a download, or a read of many runs, has got.

    Parameters
    ----------
    done : int
        Number of finished units.
    total : int or None
        Number of all units; None while unknown.
    unit : str
        "B" for bytes, or "runs".
    what : str
        What is read or downloaded, such as "3 exports".

    Examples
    --------
    >>> ProgressUpdate(3, 12, "runs", "12 runs of 'local/sweep'").fraction
    0.25
    """

    done: int
    total: int | None
    unit: str
    what: str

    @property
    def fraction(self) -> float | None:
        """The finished share, from 0 to 1; None if the total is unknown or 0."""
        return min(1.0, self.done / self.total) if self.total else None


ProgressOption = bool | Callable[[ProgressUpdate], object] | None
