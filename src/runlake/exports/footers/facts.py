"""Row groups, steps and columns of an export; `statistics` reads them from the file."""

from __future__ import annotations

from dataclasses import dataclass, field

from runlake.exports.footers.known_columns import KnownColumns
from runlake.values import StepRange


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group of an export: number of rows, lowest and highest step, both inclusive.

    The steps are None if no row of the group has a step.
    """

    n_rows: int
    first_step: int | None
    last_step: int | None


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """Row groups, steps and columns of an export: enough to plan a read without opening the file.

    Parameters
    ----------
    row_groups : tuple of RowGroup
        Row groups in file order.
    is_ascending : bool
        True if every row has a step, and each step is higher than the step before it.
    n_columns : int
        Number of top-level columns, including ``_step``.
    columns : KnownColumns
        The requested columns.
    is_as_stated : bool
        True if row counts, order and steps in the footer agree with the ``_step`` column.
    is_common : bool
        True if polars and DuckDB can read the file; see `runlake.exports.footers.writers`.
    """

    row_groups: tuple[RowGroup, ...]
    is_ascending: bool
    n_columns: int
    columns: KnownColumns = field(repr=False)
    is_as_stated: bool = True
    is_common: bool = True

    @property
    def n_rows(self) -> int:
        """Number of rows in the file."""
        return sum(group.n_rows for group in self.row_groups)

    @property
    def first_step(self) -> int | None:
        """Lowest step; None for a file without steps."""
        return min(
            (g.first_step for g in self.row_groups if g.first_step is not None), default=None
        )

    @property
    def last_step(self) -> int | None:
        """Highest step; None for a file without steps."""
        return max((g.last_step for g in self.row_groups if g.last_step is not None), default=None)

    @property
    def footer(self) -> bytes | None:
        """A footer with only the requested columns; None if reads use the export's own footer."""
        return self.columns.footer


def groups_in(facts: ExportFacts, steps: StepRange) -> tuple[int, ...]:
    """Return the indices of the row groups whose first to last step overlap a range."""
    return tuple(
        index
        for index, group in enumerate(facts.row_groups)
        if group.first_step is not None
        and group.last_step is not None
        and steps.touches(group.first_step, group.last_step)
    )
