"""Store live rows, so that they are fetched only once; many rows go to a temporary file."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from functools import cached_property
from typing import IO, TYPE_CHECKING

from runlake.history.plan.key_columns import Column
from runlake.values import STEP, Row, StepRange

if TYPE_CHECKING:
    import pyarrow as pa

BYTES_IN_MEMORY = 16 << 20


class LiveRows:
    """The live rows of one read, which are in no export yet: in pages, ascending by step.

    Parameters
    ----------
    pages : iterator of list of dict
        The pages. Each page is taken from the iterator once, when it is first needed.
    """

    def __init__(self, pages: Iterator[list[Row]]) -> None:
        self._pages = pages
        # All threads that load pages share the file's position, which a seek by one thread would
        # change for the others.
        self._guard = threading.Lock()
        self._places: list[tuple[int, int, int]] = []

    def __iter__(self) -> Iterator[list[Row]]:
        """Yield all pages that have rows."""
        return self.between(StepRange())

    def between(self, steps: StepRange) -> Iterator[list[Row]]:
        """Yield the rows of a range of steps, in non-empty pages."""
        for page in self.places(steps):
            rows = self.load(page, steps)
            if rows:
                yield rows

    def places(self, steps: StepRange) -> Iterator[int]:
        """Yield the indices of the pages that can have rows in a range of steps."""
        number = 0
        while number < len(self._places) or self._fetch():
            first, last, _ = self._places[number]
            if steps.touches(first, last):
                yield number
            number += 1

    def load(self, page: int, steps: StepRange) -> list[Row]:
        """Return those rows of one page that are in a range of steps."""
        import pickle

        first, last, place = self._places[page]
        with self._guard:
            self._spool.seek(place)
            rows: list[Row] = pickle.load(self._spool)  # noqa: S301 - our own unnamed file
        return rows if steps.covers(first, last) else [r for r in rows if steps.holds(r[STEP])]

    @cached_property
    def _spool(self) -> IO[bytes]:
        """Temporary file with the rows; a caller must hold the lock.

        The file is created late, because most reads have no live rows.
        """
        import tempfile

        spool: IO[bytes] = tempfile.SpooledTemporaryFile(BYTES_IN_MEMORY)  # noqa: SIM115
        weakref.finalize(self, spool.close)
        return spool

    def columns(self) -> tuple[Column, ...]:
        """Return a column per key of the live rows, with a type that fits all values of the key."""
        # Imported late, because they import pyarrow, and most reads have no live rows.
        from runlake.history.live.columns import column_types, stored_type
        from runlake.history.plan.arrow_types import join

        dtypes: dict[str, dict[pa.DataType | None, None]] = {}
        for page in self:
            for key, dtype in column_types(page).items():
                dtypes.setdefault(key, {})[dtype] = None
        return tuple(
            Column.of(key, (key,), stored_type(join(list(held))))
            for key, held in dtypes.items()
            if key != STEP
        )

    def _fetch(self) -> bool:
        import pickle

        for page in self._pages:
            if page:
                with self._guard:
                    self._spool.seek(0, 2)
                    self._places.append((page[0][STEP], page[-1][STEP], self._spool.tell()))
                    pickle.dump(page, self._spool, pickle.HIGHEST_PROTOCOL)
                return True
        return False
