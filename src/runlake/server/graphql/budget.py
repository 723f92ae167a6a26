"""Limits the execution time of a GraphQL request and the length of the response."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from runlake.server.refused import Refused

MAX_ANSWER = 256 << 20
DEFAULT_SECONDS = 60.0
BYTES_OF_CELL = 24


class Budget:
    """Limits the response size of one request, and its time from the creation of this object.

    Parameters
    ----------
    seconds : float
        How long the request may be executed.
    max_answer : int
        Maximum length of the response in bytes.

    Attributes
    ----------
    n_bytes : int
        Estimated length of the response so far, in bytes.
    """

    def __init__(self, seconds: float = DEFAULT_SECONDS, max_answer: int = MAX_ANSWER) -> None:
        self.seconds = seconds
        self.n_bytes = 0
        self._deadline = time.monotonic() + seconds
        self._max_answer = max_answer
        self._guard = Lock()
        self._connection: sqlite3.Connection | None = None

    @property
    def left(self) -> float:
        """Seconds that remain for the request; 0 once its time is over."""
        return max(0.0, self._deadline - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether the time of the request is over."""
        return time.monotonic() >= self._deadline

    def spend(self, value: Any) -> None:
        """Add the length of a value, which becomes part of the response, to `n_bytes`.

        Raises
        ------
        Refused
            If the response is too long, or the time is over.
        """
        if isinstance(value, str):
            self.n_bytes += len(value)
        elif isinstance(value, list):
            self.n_bytes += sum(len(item) for item in value if isinstance(item, str))
        elif isinstance(value, dict):
            lists = [item for item in value.values() if isinstance(item, list) and item]
            self.n_bytes += sum(map(_size_of_rows, lists))
        if self.n_bytes > self._max_answer:
            raise Refused("the answer is too large; ask for fewer runs or rows at once")
        self.check()

    def check(self) -> None:
        """Raise `Refused` if the time of the request is over."""
        if self.is_over:
            raise Refused(self.reason)

    @property
    def reason(self) -> str:
        """The error message for a client whose request took too long."""
        return f"the request took more than {self.seconds:g} seconds"

    @contextmanager
    def interrupting(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Let `interrupt` end the SQL statements that a connection executes during the block."""
        with self._guard:
            self._connection = connection
        try:
            yield
        finally:
            # The thread uses its connection again: an interrupt after the block would end a
            # statement of another request.
            with self._guard:
                self._connection = None

    def interrupt(self) -> None:
        """End the SQL statement of the request; another thread calls this at the deadline."""
        with self._guard:
            if self._connection is not None:
                self._connection.interrupt()


def _size_of_rows(rows: list[Any]) -> int:
    """Estimate the length of rows as JSON from the first row: most rows have the same keys."""
    n_cells = len(rows[0]) if isinstance(rows[0], dict) else 1
    return BYTES_OF_CELL * n_cells * len(rows)
