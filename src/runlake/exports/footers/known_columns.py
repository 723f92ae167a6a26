"""Columns of one version of an export, with all that was worked out from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeVar, TypeVarTuple, Unpack

import pyarrow as pa

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """A column of an export.

    Parameters
    ----------
    type : pyarrow.DataType
        As stored.
    n_nulls : int or None
        None where the statistics do not tell, as for structs and lists.
    minimum, maximum : float or None
        Of the finite numbers, as far as the statistics of every row group tell.
    """

    type: pa.DataType
    n_nulls: int | None = None
    minimum: float | None = None
    maximum: float | None = None


class Memo:
    """A value that keeps what functions return for it; both are dropped at the same time."""

    def once(self, function: Callable[[Self, Unpack[Arguments]], T], *arguments: *Arguments) -> T:
        """Return what a function returns for this value and some arguments; it is called once.

        Threads that ask at the same moment may call it twice, and are given the same object.
        """
        kept: dict[Any, T] = self.__dict__.setdefault("_kept", {})
        key = (function, *arguments)
        # One look: of a thousand keys the hash and the comparison are what it costs.
        found: T = kept.get(key, _MISSING)
        if found is _MISSING:
            return kept.setdefault(key, function(self, *arguments))
        return found

    def __getstate__(self) -> dict[str, Any]:
        # Another process works it out for itself: some of it belongs to an engine.
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}


class KnownColumns(Memo, dict[str, ColumnFacts]):
    """Columns of one version of an export, in the order of the file; they do not change.

    Parameters
    ----------
    columns : mapping of str to ColumnFacts
        Those that were asked for.
    footer : bytes or None
        A footer of these columns alone, where the export's own is long.
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
