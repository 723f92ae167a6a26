"""Divide an export, without I/O, into slices that are decoded one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Slice:
    """Consecutive rows of a file.

    Parameters
    ----------
    offset : int
        Index of the first row in the file.
    n_rows : int
        Number of rows.
    """

    offset: int
    n_rows: int

    @property
    def stop(self) -> int:
        """Index of the row after the last row."""
        return self.offset + self.n_rows


def whole_groups(row_counts: Sequence[int], row_groups: Sequence[int]) -> list[Slice]:
    """Return a slice for each of the given row groups that has rows.

    Parameters
    ----------
    row_counts : sequence of int
        Number of rows of every row group of the file.
    row_groups : sequence of int
        Indices of the wanted row groups, ascending.

    Returns
    -------
    list of Slice
        One slice for each row group that has rows.

    Examples
    --------
    >>> whole_groups([10, 5, 7], [0, 2])
    [Slice(offset=0, n_rows=10), Slice(offset=15, n_rows=7)]
    """
    offsets = [0]
    for count in row_counts:
        offsets.append(offsets[-1] + count)
    return [Slice(offsets[i], row_counts[i]) for i in row_groups if row_counts[i]]


def joined(slices: Sequence[Slice]) -> list[Slice]:
    """Return slices, with adjacent slices joined to one.

    Examples
    --------
    >>> joined([Slice(0, 5), Slice(5, 5), Slice(20, 5)])
    [Slice(offset=0, n_rows=10), Slice(offset=20, n_rows=5)]
    """
    runs: list[Slice] = []
    for one in slices:
        if runs and runs[-1].stop == one.offset:
            runs[-1] = Slice(runs[-1].offset, runs[-1].n_rows + one.n_rows)
        else:
            runs.append(one)
    return runs


def cut_slices(
    groups: Sequence[Slice], first_rows: int, max_rows: int, whole_rows: int = 0
) -> Iterator[Slice]:
    """Divide row groups into slices to decode.

    Parameters
    ----------
    groups : sequence of Slice
        Row groups, ascending.
    first_rows, max_rows : int
        Maximum number of rows of the first slice, and of each other slice.
    whole_rows : int
        A row group of up to this many rows is one slice, even if it has more than ``max_rows``
        rows.

    Yields
    ------
    Slice
        Ascending. A row group is not divided if it fits in a slice, and adjacent small row groups
        share a slice. If a row group is divided, each of its slices has to decode the row group's
        pages from the start.

    Examples
    --------
    >>> groups = [Slice(0, 10), Slice(10, 10), Slice(20, 45)]
    >>> [(one.offset, one.n_rows) for one in cut_slices(groups, 4, 20)]
    [(0, 4), (4, 6), (10, 10), (20, 20), (40, 20), (60, 5)]
    >>> [(one.offset, one.n_rows) for one in cut_slices(groups, 4, 20, 45)]
    [(0, 4), (4, 6), (10, 10), (20, 45)]
    """
    limit = first_rows
    current: Slice | None = None
    for number, group in enumerate(groups):
        if current is not None:
            joined = current.n_rows + group.n_rows
            # The rest of the first row group is a slice of its own: the caller needs it soon.
            if number > 1 and current.stop == group.offset and joined <= limit:
                current = Slice(current.offset, joined)
                continue
            yield current
            limit = max_rows
        current = group
        # The first slice is small, however large its row group is.
        n_rows = limit if number == 0 else max(limit, whole_rows)
        while current.n_rows > n_rows:
            yield Slice(current.offset, n_rows)
            current = Slice(current.offset + n_rows, current.n_rows - n_rows)
            n_rows = max(max_rows, whole_rows)
            limit = max_rows
    if current is not None:
        yield current
