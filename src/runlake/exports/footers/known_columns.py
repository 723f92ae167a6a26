"""Columns of one version of an export, with stored results that were computed from them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar, TypeVarTuple, Unpack

import pyarrow as pa

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """Facts of a column of an export.

    Parameters
    ----------
    type : pyarrow.DataType
        Stored type.
    n_nulls : int or None
        Number of nulls; None if the statistics do not contain this number, for example for structs
        and lists.
    minimum, maximum : float or None
        Lowest and highest number; None if the statistics of a row group lack these numbers.
    """

    type: pa.DataType
    n_nulls: int | None = None
    minimum: float | None = None
    maximum: float | None = None


class Memo:
    """An object that stores the results of functions that are called with it."""

    def once(self, function: Callable[[Self, Unpack[Arguments]], T], *arguments: *Arguments) -> T:
        """Return ``function(self, *arguments)``, computed at the first call and then stored.

        Concurrent first calls may compute the result twice, but all return the same object.
        """
        kept: dict[Any, T] = self.__dict__.setdefault("_kept", {})
        key = (function, *arguments)
        # Look up only once: with a thousand keys in `arguments`, hashing and comparing them is
        # the main cost.
        found: T = kept.get(key, _MISSING)
        if found is _MISSING:
            return kept.setdefault(key, function(self, *arguments))
        return found

    def stored(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of ``make()``, which the first call with this ``key`` stores."""
        kept: dict[Any, T] = self.__dict__.setdefault("_kept", {})
        found: T = kept.get(key, _MISSING)
        return kept.setdefault(key, make()) if found is _MISSING else found

    def latest(self, function: Callable[[Self, Unpack[Arguments]], T], *arguments: *Arguments) -> T:
        """Return ``function(self, *arguments)``, which is stored until the arguments differ."""
        kept: dict[Any, tuple[Any, T]] = self.__dict__.setdefault("_kept", {})
        known = kept.get(function)
        if known is None or known[0] != arguments:
            known = kept[function] = (arguments, function(self, *arguments))
        return known[1]

    def __getstate__(self) -> dict[str, Any]:
        # Not pickled: some stored values are objects of an engine.
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}


class KnownColumns(Memo, dict[str, ColumnFacts]):
    """Columns of one version of an export, in file order; never changed.

    Parameters
    ----------
    columns : mapping of str to ColumnFacts
        The requested columns.
    footer : bytes or None
        A footer with only these columns, if the export's own footer is long.
    """

    def __init__(
        self,
        columns: Mapping[str, ColumnFacts] | Iterable[tuple[str, ColumnFacts]] = (),
        footer: bytes | None = None,
    ) -> None:
        super().__init__(columns)
        self.footer = footer

    @property
    def schema(self) -> pa.Schema:
        """The columns as an Arrow schema."""
        return pa.schema([(name, column.type) for name, column in self.items()])
