"""`WideRows`: rows with many numeric keys, made one by one from a frame."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from runlake.history.decode.batches import WideFrame
from runlake.history.plan import sizes
from runlake.history.rows.merge import iter_batches
from runlake.values import STEP, Row

if TYPE_CHECKING:
    import polars as pl


class WideRows:
    """An iterable over rows with many numeric keys; each dict is made when it is requested.

    Every cell has a number. If a caller drops a row before the next one is made, the next row gets
    the same memory, which is still in the processor's cache. A list of rows with many keys would
    not fit into this cache.

    Parameters
    ----------
    wide : WideFrame
        The frame with the numbers of all rows.
    """

    def __init__(self, wide: WideFrame) -> None:
        self._wide = wide

    @property
    def last_step(self) -> int:
        """The step of the last row."""
        step: int = self._wide.frame[STEP][-1]
        return step

    def __len__(self) -> int:
        return len(self._wide.frame)

    def __iter__(self) -> Iterator[Row]:
        typed = self._wide.typed
        parts = [self._wide.frame[names] for names in typed]
        empty = dict.fromkeys(self._wide.names)

        def row_of(*numbers: memoryview) -> Row:
            # A copy has its final size, while a new dict grows several times as it is filled.
            row: Row = empty.copy()
            for keys, cells in zip(typed, numbers, strict=True):
                row.update(zip(keys, cells, strict=True))
            return row

        def rows_from(start: int) -> Iterator[Row]:
            return map(row_of, *(_views(part[start : start + n_rows]) for part in parts))

        # No generator: it would be resumed for each row, and keep a row while the next one is made.
        n_rows = sizes.ROWS_PER_MATRIX
        return chain.from_iterable(map(rows_from, range(0, len(self), n_rows)))

    def lists(self) -> Iterator[list[Row]]:
        """Yield the rows in lists of dicts."""
        return iter_batches(self, sizes.MIN_BUILD_ROWS)


def _views(frame: pl.DataFrame) -> Iterator[memoryview]:
    """Return the numbers of each row of a frame whose columns have one type."""
    # The numbers of a row must be contiguous in memory.
    matrix = frame.to_numpy(order="c")
    # A memoryview cannot iterate over 16-bit floats; as 32-bit floats they have the same values.
    return map(memoryview, matrix.astype(np.float32) if matrix.dtype == np.float16 else matrix)
