"""The iterable that scans of a run return."""

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


class HistoryScan:
    """Rows of a run's history, ascending by step.

    Each ``iter()`` starts from the beginning, and several may run at once; ``next()`` on the scan
    itself goes on where it was, as on the SDK's.

    Parameters
    ----------
    reading : Reading
        What to read, as of the moment of the call.
    page_size : int
        Rows in the first batch at most: a hint, no limit.
    """

    def __init__(self, reading: Reading, page_size: int) -> None:
        self._reading = reading
        self._rows: Iterator[Row] | None = None
        self.page_size = page_size

    @property
    def keys(self) -> list[str] | None:
        """Keys asked for besides ``_step``; None means every key."""
        keys = self._reading.plan.projection.keys
        return None if keys is None else list(keys)

    @property
    def min_step(self) -> int:
        """First step, inclusive."""
        return self._reading.plan.steps.start

    @property
    def max_step(self) -> int:
        """Highest step that can come out, as in the SDK."""
        last = self._reading.pulled.manifest.last_step
        stop = self._reading.plan.steps.stop
        return last if stop is None else min(last, stop - 1)

    def to_polars(self) -> pl.DataFrame:
        """Return the rows as a polars frame: `Run.frame` of the same arguments."""
        return self._reading.frame()

    def to_arrow(self) -> pa.Table:
        """Return the rows as an Arrow table: `Run.arrow` of the same arguments, read to its end."""
        return self._reading.arrow().read_all()

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame: `Run.pandas` of the same arguments."""
        return frame_to_pandas(self._reading.frame())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Stream the rows to whoever speaks Arrow's PyCapsule interface, from the beginning."""
        return self._reading.arrow().__arrow_c_stream__(requested_schema)

    def __iter__(self) -> Iterator[Row]:
        return self._reading.iter_rows(self.page_size)

    def __next__(self) -> Row:
        if self._rows is None:
            self._rows = iter(self)
        return next(self._rows)

    def __repr__(self) -> str:
        return line_for_screen(
            f"<HistoryScan of {self._reading.plan.run}, steps {self._reading.plan.steps}>"
        )
