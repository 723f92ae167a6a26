"""The columns of one version of an export, and results that were computed from the columns."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TypeVar, TypeVarTuple, Unpack

from runlake.exports.footers.stored_types import StoredType

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")
Arguments = TypeVarTuple("Arguments")
_MISSING: Any = object()


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """The type, number of nulls, minimum and maximum of a column of an export.

    Parameters
    ----------
    stored : StoredType
        Type of the column in the file.
    n_nulls : int or None
        Number of nulls; None if the statistics do not contain this number, for example for structs
        and lists.
    minimum, maximum : float or None
        Lowest and highest number; None if the column is not numeric, or if the statistics of a row
        group lack these numbers.
    """

    stored: StoredType
    n_nulls: int | None = None
    minimum: float | None = None
    maximum: float | None = None

    @classmethod
    def of(
        cls,
        dtype: pa.DataType,
        n_nulls: int | None = None,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> ColumnFacts:
        """Build this object from the column's Arrow type, number of nulls, minimum and maximum."""
        return cls(StoredType.of(dtype), n_nulls, minimum, maximum)

    @property
    def type(self) -> pa.DataType:
        """The column's type, as a pyarrow object."""
        return self.stored.arrow


class Memo:
    """Base class for objects that cache the results of functions called with the object."""

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
        """Return the result stored under ``key``; if there is none, store and return ``make()``."""
        kept: dict[Any, T] = self.__dict__.setdefault("_kept", {})
        found: T = kept.get(key, _MISSING)
        return kept.setdefault(key, make()) if found is _MISSING else found

    def latest(self, function: Callable[[Self, Unpack[Arguments]], T], *arguments: *Arguments) -> T:
        """Return ``function(self, *arguments)``; store only the result of the latest arguments."""
        kept: dict[Any, tuple[Any, T]] = self.__dict__.setdefault("_kept", {})
        known = kept.get(function)
        if known is None or known[0] != arguments:
            known = kept[function] = (arguments, function(self, *arguments))
        return known[1]

    def __getstate__(self) -> dict[str, Any]:
        # Not pickled: some stored values are objects of an engine.
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}


class KnownColumns(Memo, dict[str, ColumnFacts]):
    """The columns of one version of an export, by name, in file order; never changed.

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
    def types(self) -> dict[str, StoredType]:
        """The type of each column in the file, in file order."""
        return {name: column.stored for name, column in self.items()}


def columns_for(keys: Iterable[str], types: Mapping[str, StoredType]) -> list[str]:
    """Return the columns of an export that can contain some keys.

    Parameters
    ----------
    keys : iterable of str
        Keys to read.
    types : mapping of str to StoredType
        The columns of the export.

    Returns
    -------
    list of str
        Columns with the names of keys, then struct columns that may contain a dotted key: the
        column ``a`` may contain the key ``a.b`` as its field ``b``.

    Examples
    --------
    >>> import pyarrow as pa
    >>> types = {"a": pa.struct([("b", pa.int64())]), "b": pa.int64()}
    >>> columns_for(["a.b", "c"], {name: StoredType.of(dtype) for name, dtype in types.items()})
    ['a']
    """
    found = dict.fromkeys(key for key in keys if key in types)
    for parent in parents_of(keys):
        if parent in types and types[parent].is_struct:
            found[parent] = None
    return list(found)


def parents_of(keys: Iterable[str]) -> list[str]:
    """Return the struct columns that may contain dotted keys: for ``a.b.c``, ``a`` and ``a.b``."""
    parts = (key.split(".") for key in keys)
    return list(dict.fromkeys(".".join(names[:n]) for names in parts for n in range(1, len(names))))
