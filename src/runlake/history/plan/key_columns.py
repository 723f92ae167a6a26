"""Find, without I/O, the columns of an export that contain a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

import pyarrow as pa

from runlake.errors import CommError
from runlake.exports.footers.known_columns import KnownColumns, Memo
from runlake.history.plan.arrow_types import is_nested
from runlake.values import STEP


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an export, or a field of a struct column, that contains a key.

    Parameters
    ----------
    key : str
        The key as users see it: dotted if it was logged nested.
    path : tuple of str
        Name of the Parquet column, then the names of the struct fields that lead to the values.
    dtype : pyarrow.DataType
        Stored type of the values.
    """

    key: str
    path: tuple[str, ...]
    dtype: pa.DataType

    @property
    def name(self) -> str:
        """Name of the Parquet column."""
        return self.path[0]

    @property
    def is_whole(self) -> bool:
        """True if the key is the whole Parquet column, not a field of it."""
        return len(self.path) == 1


class KeyColumns(Memo, tuple[Column, ...]):  # noqa: SLOT001 - caches values derived from it
    """The columns of an export that contain the keys of a read, in the order of the keys."""

    @property
    def fingerprint(self) -> bytes:
        """16 bytes; equal for columns of equal keys, names and types in the same order."""
        return self.once(_fingerprint)

    def of_keys(self, keys: frozenset[str]) -> KeyColumns:
        """Return the columns that contain some of the keys."""
        return self.once(_of_keys, keys)


def _fingerprint(columns: KeyColumns) -> bytes:
    texts = [repr((column.key, column.path, str(column.dtype))) for column in columns]
    return blake2b("\n".join(texts).encode(errors="surrogatepass"), digest_size=16).digest()


def _of_keys(columns: KeyColumns, keys: frozenset[str]) -> KeyColumns:
    return KeyColumns(column for column in columns if column.key in keys)


def key_columns(columns: KnownColumns, keys: tuple[str, ...] | None) -> KeyColumns:
    """Return the result of `find_columns` for an export; it is cached."""
    return columns.once(_find, keys)


def _find(columns: KnownColumns, keys: tuple[str, ...] | None) -> KeyColumns:
    return KeyColumns(find_columns(columns.schema, keys))


def find_columns(schema: pa.Schema, keys: tuple[str, ...] | None) -> tuple[Column, ...]:
    """Find the columns that contain keys.

    Parameters
    ----------
    schema : pyarrow.Schema
        The schema of the export.
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
    >>> schema = pa.schema({"_step": pa.int64(), "val": pa.struct({"acc": pa.float64()})})
    >>> find_columns(schema, ("val.acc", "loss"))
    (Column(key='val.acc', path=('val', 'acc'), dtype=DataType(double)),)
    """
    if keys is None:
        every = [
            column
            for name, dtype in zip(schema.names, schema.types, strict=True)
            if name != STEP
            for column in _leaves((name,), dtype)
        ]
        if all(column.is_whole for column in every):
            return tuple(every)
        by_key: dict[str, list[Column]] = {}
        for column in every:
            by_key.setdefault(column.key, []).append(column)
        return tuple(
            column for held in by_key.values() for column in sorted(held, key=_path_length)
        )
    return tuple(column for key in keys for column in _holders(schema, key))


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


def _leaves(path: tuple[str, ...], dtype: pa.DataType) -> Iterator[Column]:
    if not is_nested(dtype):
        yield Column(".".join(path), path, dtype)
        return
    for field in dtype:
        yield from _leaves((*path, field.name), field.type)


def _holders(schema: pa.Schema, key: str) -> Iterator[Column]:
    """Yield the columns that contain a key; less deeply nested columns come first."""
    index = schema.get_field_index(key)
    if index >= 0 and not is_nested(schema.field(index).type):
        yield Column(key, (key,), schema.field(index).type)
    if "." not in key:
        return
    found: list[Column] = []
    for end, letter in enumerate(key):
        index = schema.get_field_index(key[:end]) if letter == "." else -1
        if index >= 0 and is_nested(schema.field(index).type):
            found += _inside((key[:end],), schema.field(index).type, key[end + 1 :], key)
    yield from sorted(found, key=_path_length)


def _inside(path: tuple[str, ...], dtype: pa.StructType, rest: str, key: str) -> Iterator[Column]:
    index = dtype.get_field_index(rest)
    if index >= 0 and not is_nested(dtype.field(index).type):
        yield Column(key, (*path, rest), dtype.field(index).type)
    for end, letter in enumerate(rest):
        index = dtype.get_field_index(rest[:end]) if letter == "." else -1
        if index >= 0 and is_nested(dtype.field(index).type):
            yield from _inside((*path, rest[:end]), dtype.field(index).type, rest[end + 1 :], key)
