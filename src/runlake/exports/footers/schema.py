"""Check the columns in a footer, and find their column chunks."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from cachetools import LRUCache

from runlake.exports.footers.soundness import check_file
from runlake.exports.footers.writers import all_kinds, kinds_in

# The exports of a run often have the same columns.
SCHEMAS_IN_MEMORY, MAX_PARTS_BYTES = 64, 1 << 16
# A type without fields has one leaf, except these: an empty struct has none; a dictionary or an
# extension type has the leaves of another type.
LEAVES_BY_OTHER_RULES = (pa.StructType, pa.DictionaryType, pa.BaseExtensionType)


class UnreadableExport(pa.ArrowInvalid):  # type: ignore[misc]
    """A Parquet file that cannot be read as an export; the message says why."""


@contextmanager
def refusing_unsound(file: Path | bytes | None) -> Iterator[bytes | None]:
    """While the context is open, convert errors from a wrong footer to `UnreadableExport`.

    First, the footer of ``file``, a path or the content of a file, is checked for contradictions,
    because some contradictions make pyarrow crash the process. Pass None for a file that was
    checked already. `OSError` and errors of pyarrow are raised unchanged.

    Yields
    ------
    bytes or None
        The parts of the footer that describe the columns; None if the footer was not checked.
    """
    try:
        yield None if file is None else check_file(file)
    except (pa.ArrowException, OSError):
        raise
    except UnicodeDecodeError as error:
        raise UnreadableExport(f"a column has the name {error.object!r}, not UTF-8") from error
    except (ValueError, LookupError, ArithmeticError, TypeError, RecursionError) as error:
        # UnsoundFooter, and errors of pyarrow when it converts strange values to Python objects.
        raise UnreadableExport(f"its footer is damaged: {error}") from error


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that a footer describes.

    Parameters
    ----------
    schema : pyarrow.Schema
        The result of `checked_schema`.
    leaves : mapping
        The result of `leaf_positions`.
    kinds : frozenset of DataType
        The types of the columns, and the types nested in these types.
    """

    schema: pa.Schema
    leaves: Mapping[str, tuple[int, int, int]]
    kinds: frozenset[pa.DataType]

    @classmethod
    def of(cls, schema: pa.Schema) -> Columns:
        """Build this object from a schema that `checked_schema` returned."""
        return cls(schema, leaf_positions(schema), all_kinds(schema))

    @classmethod
    def of_footer(cls, metadata: pq.FileMetaData, parts: bytes | None) -> Columns:
        """Return the columns of a footer, from memory if another footer had the same columns.

        Parameters
        ----------
        metadata : pyarrow.parquet.FileMetaData
            The footer.
        parts : bytes or None
            The parts of the footer that describe the columns, see `refusing_unsound`.
        """
        if parts is None or len(parts) > MAX_PARTS_BYTES:
            return cls.of(checked_schema(metadata))
        with _guard:
            known = _known.get(parts)
        if known is None:
            known = cls.of(checked_schema(metadata))
            with _guard:
                _known[parts] = known
        return known


_guard = threading.Lock()
_known: LRUCache[bytes, Columns] = LRUCache(SCHEMAS_IN_MEMORY)


def checked_schema(metadata: pq.FileMetaData) -> pa.Schema:
    """Return a footer's schema; raise `UnreadableExport` if column or field names are not unique.

    The error is also raised if the footer's Arrow schema and its Parquet schema differ in the
    number of leaf columns.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
        The footer.
    """
    schema = metadata.schema.to_arrow_schema()
    if doubles := _doubles(schema.names):
        raise UnreadableExport(f"two columns are named {doubles[0]!r}")
    for column in schema:
        for kind in kinds_in(column.type) if pa.types.is_nested(column.type) else ():
            fields = [field.name for field in kind] if pa.types.is_struct(kind) else []
            if doubles := _doubles(fields):
                raise UnreadableExport(
                    f"two fields of column {column.name!r} are named {doubles[0]!r}"
                )
    # The Arrow schema that a footer may contain can contradict its Parquet schema.
    n_leaves = sum(_n_leaves(column.type) for column in schema)
    if n_leaves != metadata.num_columns:
        raise UnreadableExport(
            f"it stores {metadata.num_columns:,} columns, but its Arrow schema has {n_leaves:,}"
        )
    return schema


def _doubles(names: list[str]) -> list[str]:
    if len(set(names)) == len(names):
        return []
    return [name for name, count in Counter(names).items() if count > 1]


def leaf_positions(schema: pa.Schema) -> dict[str, tuple[int, int, int]]:
    """Return for each top-level column: its first leaf, its last leaf + 1, and its schema index.

    Parquet stores a struct or a list as one column chunk per leaf, in the order of the schema. The
    paths of leaves are not used, because a struct ``a`` with a field ``b``, and a column named
    ``a.b``, have the same path.

    Examples
    --------
    >>> import pyarrow as pa
    >>> point = pa.struct([("x", pa.int64()), ("y", pa.int64())])
    >>> schema = pa.schema([("a", point), ("b", pa.int8())])
    >>> leaf_positions(schema)
    {'a': (0, 2, 0), 'b': (2, 3, 1)}
    """
    positions: dict[str, tuple[int, int, int]] = {}
    start = 0
    for place, column in enumerate(schema):
        stop = start + _n_leaves(column.type)
        positions.setdefault(column.name, (start, stop, place))
        start = stop
    return positions


def _n_leaves(kind: pa.DataType) -> int:
    if kind.num_fields == 0 and not isinstance(kind, LEAVES_BY_OTHER_RULES):
        return 1
    types = pa.types
    if types.is_struct(kind):
        return sum(_n_leaves(child.type) for child in kind)
    if types.is_map(kind):
        return _n_leaves(kind.key_type) + _n_leaves(kind.item_type)
    if isinstance(kind, pa.BaseExtensionType):
        return _n_leaves(kind.storage_type)
    if types.is_dictionary(kind) or (types.is_nested(kind) and not types.is_union(kind)):
        return _n_leaves(kind.value_type)
    return 1
