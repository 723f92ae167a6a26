"""What was found of columns, kept by their identity."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from cachetools import LRUCache, cached

from runlake.history.plan.key_columns import Column

COLUMNS_IN_MEMORY = 1 << 16
Columns = tuple[Column, ...]
T = TypeVar("T")


def kept_by_identity(find: Callable[[Columns], T]) -> Callable[[Columns], T]:
    """Remember what a function found of columns; to compare a thousand costs as much as to look.

    Parameters
    ----------
    find : callable
        Given columns, returns what is to be remembered of them.

    Returns
    -------
    callable
        The same, for any thread; what it keeps is bounded.
    """

    @cached(
        LRUCache(COLUMNS_IN_MEMORY, getsizeof=lambda found: len(found[1]) + 1),
        key=id,
        lock=threading.Lock(),
    )
    def found(columns: Columns) -> tuple[T, Columns]:
        # The columns are kept too: else others may get their identity.
        return find(columns), columns

    return lambda columns: found(columns)[0]
