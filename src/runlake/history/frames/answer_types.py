"""Find the column type of each key from the key's types in all exports and live rows."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

from runlake.exports.footers.stored_types import StoredType
from runlake.history.plan.key_columns import Column, KeyColumns, check_names

if TYPE_CHECKING:
    import pyarrow as pa

Types: TypeAlias = Mapping[str, "pa.DataType | None"]


class AnswerTypes(Mapping[str, "pa.DataType | None"]):
    """A mapping from key to Arrow type; None for a key whose column must be JSON text.

    The types are the types of the columns that a read returns. Arrow types are created when they
    are first used. Most columns do not need one: see `simple_type`.

    Parameters
    ----------
    stored : mapping of str to sequence of StoredType
        For each key, its distinct types in exports and live rows. The sequence is empty for a key
        that none of them has.
    """

    def __init__(self, stored: Mapping[str, Sequence[StoredType]]) -> None:
        self._stored = stored

    @cached_property
    def _arrow(self) -> dict[str, pa.DataType | None]:
        import pyarrow as pa

        from runlake.history.plan.arrow_types import unify

        return {
            key: unify([one.arrow for one in same]) if same else pa.null()
            for key, same in self._stored.items()
        }

    def __getitem__(self, key: str) -> pa.DataType | None:
        return self._arrow[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stored)

    def __len__(self) -> int:
        return len(self._stored)

    def items(self) -> ItemsView[str, pa.DataType | None]:
        """Return pairs of key and Arrow type."""
        return self._arrow.items()

    def simple(self, key: str) -> StoredType | None:
        """Return a key's stored type if all sources share it and polars reads it unchanged.

        None in all other cases.
        """
        same = self._stored[key]
        return same[0] if len(same) == 1 and same[0].simple is not None else None


def simple_type(types: Types, key: str) -> StoredType | None:
    """Return the stored type of a key if all sources share this type and polars reads it unchanged.

    None in all other cases, and if this cannot be decided without importing pyarrow. The caller
    then compares Arrow types.
    """
    return types.simple(key) if isinstance(types, AnswerTypes) else None


def answer_types(sources: Iterable[Sequence[Column]], keys: Sequence[str] | None) -> Types:
    """Return the type of each key's column in the result of a read.

    Parameters
    ----------
    sources : iterable of sequences of Column
        The columns of each export and of the live rows.
    keys : sequence of str or None
        Keys of the result; None means all keys of the sources, in the order of the sources.

    Returns
    -------
    mapping of str to pyarrow.DataType or None
        The type of each key. None if a key has no common type; its column is then JSON text.
    """
    check_names(keys or ())
    distinct = list(distinct_columns(sources))
    if keys is None and len(distinct) == 1 and isinstance(distinct[0], KeyColumns):
        # Always the same object: by its identity, `_typed_export` recognises the own types of the
        # columns, and uses cached expressions.
        return distinct[0].once(own_types)
    return _unified(distinct, keys)


def own_types(columns: KeyColumns) -> Types:
    """Return the type of each key's column if a read needs no columns besides ``columns``."""
    return _unified([columns], None)


def _unified(sources: Iterable[Sequence[Column]], keys: Sequence[str] | None) -> Types:
    held: dict[str, dict[StoredType, None]] = {key: {} for key in keys or ()}
    for columns in sources:
        for column in columns:
            if keys is None or column.key in held:
                held.setdefault(column.key, {})[column.stored] = None
    return AnswerTypes({key: tuple(same) for key, same in held.items()})


def distinct_columns(sources: Iterable[Sequence[Column]]) -> Iterator[Sequence[Column]]:
    """Yield sequences of columns, without those that are equal to an earlier sequence."""
    seen = set()
    for columns in sources:
        if isinstance(columns, KeyColumns):
            if columns.fingerprint in seen:
                continue
            seen.add(columns.fingerprint)
        yield columns
