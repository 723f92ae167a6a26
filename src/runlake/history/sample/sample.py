"""`Sample`: chosen rows of a history."""

from __future__ import annotations

from dataclasses import dataclass

from runlake.values import Row


@dataclass(frozen=True, slots=True)
class Sample:
    """Chosen rows of a history.

    Parameters
    ----------
    rows : list of dict
        Ascending by ``_step``.
    n_rows : int
        Number of rows from which the sample was chosen.
    """

    rows: list[Row]
    n_rows: int

    @property
    def is_partial(self) -> bool:
        """True if rows were left out."""
        return len(self.rows) < self.n_rows
