"""Rows that stand for more rows."""

from __future__ import annotations

from dataclasses import dataclass

from runlake.values import Row


@dataclass(frozen=True, slots=True)
class Sample:
    """Rows that stand for more rows.

    Parameters
    ----------
    rows : list of dict
        Ascending by ``_step``.
    n_rows : int
        How many rows they were chosen from.
    """

    rows: list[Row]
    n_rows: int

    @property
    def is_partial(self) -> bool:
        """Rows were left out."""
        return len(self.rows) < self.n_rows
