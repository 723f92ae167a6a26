"""Find, without I/O, the columns of an export that contain a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING

from runlake.errors import CommError
from runlake.exports.footers.known_columns import KnownColumns, Memo
from runlake.exports.footers.stored_types import StoredType
from runlake.values import STEP

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export, or a field of a struct column, that contains the values of a key.

    Parameters
    ----------
    key : str
        The key as users see it: dotted if it was logged in a nested dict.
    path : tuple of str
        Name of the Parquet column, then the names of the struct fields that lead to the values.
    stored : StoredType
        Stored type of the values.
    """

    key: str
    path: tuple[str, ...]
    stored: StoredType

    @classmethod
    def of(cls, key: str, path: tuple[str, ...], dtype: pa.DataType) -> Column:
        """Return a column whose type is given as an Arrow type."""
        return cls(key, path, StoredType.of(dtype))

    @property
    def dtype(self) -> pa.DataType:
        """Stored type of the values, as an Arrow type."""
        return self.stored.arrow

    @property
    def name(self) -> str:
        """Name of the Parquet column."""
        return self.path[0]

    @property
    def is_whole(self) -> bool:
        """True if the values are a whole Parquet column, not a field of a struct column."""
        return len(self.path) == 1


class KeyColumns(Memo, tuple[Column, ...]):  # noqa: SLOT001 - caches values derived from it
    """The columns of an export that contain the requested keys, in the order of the keys."""

    @property
    def fingerprint(self) -> bytes:
        """A 16-byte digest of the keys, names and types of the columns, in their order."""
        return self.once(_fingerprint)

    def of_keys(self, keys: frozenset[str]) -> KeyColumns:
        """Return only the columns whose key is in ``keys``."""
        return self.once(_of_keys, keys)


def _fingerprint(columns: KeyColumns) -> bytes:
    texts = [repr((column.key, column.path, str(column.stored))) for column in columns]
    return blake2b("\n".join(texts).encode(errors="surrogatepass"), digest_size=16).digest()


def _of_keys(columns: KeyColumns, keys: frozenset[str]) -> KeyColumns:
    return KeyColumns(column for column in columns if column.key in keys)


def key_columns(columns: KnownColumns, keys: tuple[str, ...] | None) -> KeyColumns:
    """Return the columns of an export that contain the given keys; see `find_columns`.

    The result is cached.
    """
    return columns.once(_find, keys)


def _find(columns: KnownColumns, keys: tuple[str, ...] | None) -> KeyColumns:
    return KeyColumns(find_columns(columns.types, keys))


def find_columns(
    types: Mapping[str, StoredType], keys: tuple[str, ...] | None
) -> tuple[Column, ...]:
    """Return the columns of an export that contain the given keys.

    Parameters
    ----------
    types : mapping of str to StoredType
        The columns of the export, in file order.
    keys : tuple of str or None
        Keys to find; None means every key except ``_step``.

    Returns
    -------
    tuple of Column
        In the order of ``keys``, or of the file if ``keys`` is None. A key has several columns if
        an export has both a dotted column and a field of a struct for the same key. The dotted
        column is first. In rows where both have a value, the value of the dotted column is used.

    Examples
    --------
    >>> import pyarrow as pa
    >>> types = {"_step": pa.int64(), "val": pa.struct({"acc": pa.float64()})}
    >>> stored = {name: StoredType.of(dtype) for name, dtype in types.items()}
    >>> find_columns(stored, ("val.acc", "loss"))
    (Column(key='val.acc', path=('val', 'acc'), stored=<StoredType double>),)
    """
    if keys is None:
        every = [
            column
            for name, stored in types.items()
            if name != STEP
            for column in _columns_in(name, stored)
        ]
        if all(column.is_whole for column in every):
            return tuple(every)
        by_key: dict[str, list[Column]] = {}
        for column in every:
            by_key.setdefault(column.key, []).append(column)
        return tuple(
            column for held in by_key.values() for column in sorted(held, key=_path_length)
        )
    return tuple(column for key in keys for column in _holders(types, key))


def check_names(keys: Iterable[str]) -> None:
    """Raise an error if a key cannot be the name of a column.

    Raises
    ------
    CommError
        If a key has a lone surrogate, which JSON allows and UTF-8 does not.
    """
    for key in keys:
        try:
            key.encode()
        except UnicodeEncodeError:
            raise CommError(
                f"The key {key!r} is no Unicode text, so it cannot be the name of a column. Read "
                "rows with run.scan_history(), or name the keys to read."
            ) from None


def _path_length(column: Column) -> int:
    return len(column.path)


def _columns_in(name: str, stored: StoredType) -> Iterator[Column]:
    """Yield a Parquet column, or, if it is a struct of nested keys, a column per nested key."""
    if _has_keys(stored):
        yield from _leaves((name,), stored.arrow)
    else:
        yield Column(name, (name,), stored)


def _has_keys(stored: StoredType) -> bool:
    if not stored.is_struct:
        return False
    # Imported late, because it imports pyarrow, and most exports have no structs.
    from runlake.history.plan.arrow_types import is_nested

    return is_nested(stored.arrow)


def _leaves(path: tuple[str, ...], dtype: pa.DataType) -> Iterator[Column]:
    from runlake.history.plan.arrow_types import is_nested

    if not is_nested(dtype):
        yield Column.of(".".join(path), path, dtype)
        return
    for field in dtype:
        yield from _leaves((*path, field.name), field.type)


def _holders(types: Mapping[str, StoredType], key: str) -> Iterator[Column]:
    """Yield the columns that contain a key; less deeply nested columns come first."""
    stored = types.get(key)
    if stored is not None and not _has_keys(stored):
        yield Column(key, (key,), stored)
    if "." not in key:
        return
    found: list[Column] = []
    for end, letter in enumerate(key):
        outer = types.get(key[:end]) if letter == "." else None
        if outer is not None and _has_keys(outer):
            found += _inside((key[:end],), outer.arrow, key[end + 1 :], key)
    yield from sorted(found, key=_path_length)


def _inside(path: tuple[str, ...], dtype: pa.StructType, rest: str, key: str) -> Iterator[Column]:
    from runlake.history.plan.arrow_types import is_nested

    index = dtype.get_field_index(rest)
    if index >= 0 and not is_nested(dtype.field(index).type):
        yield Column.of(key, (*path, rest), dtype.field(index).type)
    for end, letter in enumerate(rest):
        index = dtype.get_field_index(rest[:end]) if letter == "." else -1
        if index >= 0 and is_nested(dtype.field(index).type):
            yield from _inside((*path, rest[:end]), dtype.field(index).type, rest[end + 1 :], key)
