"""`HistoryScan`, the iterable of rows that scans of a run return."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from runlake.errors.screen import line_for_screen
from runlake.history.reader import Reading
from runlake.public.pandas_frame import frame_to_pandas
from runlake.values import Row

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from runlake.history.runs.stitched import Stitched


class HistoryScan:
    """Rows of a run's history, ascending by step.

    Each ``iter()`` returns a new iterator that starts at the first row; several iterators may be in
    use. ``next()`` on the scan itself returns row after row, as in the SDK.

    Parameters
    ----------
    reading : Reading or Stitched
        The opened history, as it was when the scan was created.
    page_size : int
        Maximum number of rows in the first batch. This is only a hint: later batches may be larger.
    """

    def __init__(self, reading: Reading | Stitched, page_size: int) -> None:
        self._reading = reading
        self._rows: Iterator[Row] | None = None
        self.page_size = page_size

    @property
    def keys(self) -> list[str] | None:
        """The requested keys besides ``_step``; None means every key."""
        keys = self._reading.plan.projection.keys
        return None if keys is None else list(keys)

    @property
    def min_step(self) -> int:
        """First step that the scan can return, inclusive."""
        return self._reading.step_bounds[0]

    @property
    def max_step(self) -> int:
        """Highest step that the scan can return, inclusive as in the SDK."""
        return self._reading.step_bounds[1]

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars frame, like `Run.frame`."""
        return self._reading.frame()

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table: all batches of `Run.arrow`."""
        return self._reading.arrow().read_all()

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame, like `Run.pandas`."""
        return frame_to_pandas(self._reading.frame())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Stream all rows through Arrow's PyCapsule interface."""
        return self._reading.arrow().__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[Row]:
        return self._reading.iter_rows(self.page_size)

    def __next__(self) -> Row:
        if self._rows is None:
            self._rows = iter(self)
        return next(self._rows)

    def _repr_html_(self) -> str:
        from runlake.public.cards.others import show_scan

        return show_scan(self, self._reading)

    def __repr__(self) -> str:
        return line_for_screen(
            f"<HistoryScan of {self._reading.plan.run}, steps {self._reading.plan.steps}>"
        )
