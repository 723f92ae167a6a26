"""Refuse footers that would make pyarrow crash the process.

pyarrow aborts if a column chunk or its statistics do not fit the schema: the C++ exception passes
through functions declared ``noexcept``. So the assumptions of pyarrow are checked before pyarrow
reads the footer: types, lengths of minimums and maximums, and numbers of columns and of values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from runlake.exports.footers.forms import Forms, Rules
from runlake.exports.footers.narrow import read_footer
from runlake.exports.footers.thrift import BINARY, I32, I64, LIST, STRUCT, UnknownType, Walker

SCHEMA, ROW_GROUPS, N_ROWS, KEY_VALUES = 2, 4, 3, 5
MAX_DEPTH = 64
# Limits against absurd sizes. Many values per byte are possible, because delta and run-length
# encodings store a value in a few bits. Numbers up to those "always allowed" do no harm.
VALUES_PER_BYTE = 1_000
VALUES_ALWAYS_ALLOWED = 1 << 24
BYTES_PER_BYTE = 1_000
BYTES_ALWAYS_ALLOWED = 1 << 29
# Parquet's physical types, by number: BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE.
BYTES_OF_TYPE = {0: 1, 1: 4, 2: 8, 3: 12, 4: 4, 5: 8}
BYTE_ARRAY, FIXED_BYTE_ARRAY = 6, 7
REQUIRED, OPTIONAL, REPEATED = 0, 1, 2
N_CODECS = 8
# Field ids of a schema element: type 1, length 2, repetition 3, name 4, number of children 5.
ELEMENT = Rules(same=frozenset({(1,), (2,), (3,), (5,)}), free=frozenset({(4,)}))
# Field ids of a column chunk's metadata (3): type 1, path 3, codec 4, number of values 5, lengths 6
# and 7, offsets 9 and 11.
CHUNK = Rules(
    same=frozenset({(3, 1), (3, 4)}),
    counts=frozenset({(3, 7), (3, 9), (3, 11)}),
    small=frozenset({(3, 6)}),
    captured=(3, 5),
    free=frozenset({(3, 3)}),
)
BOUNDS = frozenset({(3, 12, 1), (3, 12, 2), (3, 12, 5), (3, 12, 6)})
TEXT_CHUNK = replace(CHUNK, free=CHUNK.free | BOUNDS)
# Type, length, repetition and number of children.
_Element = tuple[int | None, int | None, int, int]
_elements_seen: Forms[_Element] = Forms(ELEMENT)
# Number of schemas to remember, and length of the longest: exports of a run often share a schema.
MAX_SCHEMAS, MAX_SCHEMA_BYTES = 8, 1 << 16


class UnsoundFooter(ValueError):
    """A footer contradicts itself; the message says where."""


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A leaf column: its type, its value length, its highest repetition and definition level."""

    type: int
    n_bytes: int | None
    n_repeated: int
    n_defined: int
    forms: Forms[None]


_schemas_seen: list[tuple[bytes, list[_Leaf]]] = []
# For footers seen before: the bytes after the row groups, which were skipped without an error, and
# the parts found in these bytes.
_ends_seen: list[tuple[bytes, list[bytes]]] = []


def check_footer(footer: bytes, n_file_bytes: int) -> bytes:
    """Raise `UnsoundFooter` if a footer could crash a reader.

    Parameters
    ----------
    footer : bytes
        The footer without its length and magic bytes.
    n_file_bytes : int
        Length of the whole file.

    Returns
    -------
    bytes
        The parts of the footer that describe the columns; files with equal parts have equal
        columns.

    Raises
    ------
    UnsoundFooter
        If the footer cannot be parsed, the schema is nested too deeply, a column chunk does not fit
        the schema, or the footer states more values than a file of this length can contain.
    """
    try:
        return _check(_Fields(footer), n_file_bytes)
    except (IndexError, KeyError, OverflowError, RecursionError, UnknownType) as error:
        raise UnsoundFooter("the footer cannot be read") from error


class _Fields(Walker):
    """Walks through a footer, reads integers, and checks lengths against the footer's end."""

    def number(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def binary_length(self) -> int:
        """Skip a byte string and return its length."""
        length = self.varint()
        self.at += length
        if self.at > len(self.content):
            raise UnsoundFooter("a text of the footer is longer than the footer")
        return length

    def count(self, kind: int) -> int:
        """Read a list's header, require elements of type ``kind``, and return the list's length."""
        length, inner = self.list_header()
        if length and inner != kind:
            raise UnsoundFooter("a list of the footer is of the wrong type")
        if length > len(self.content):
            raise UnsoundFooter("a list of the footer is longer than the footer")
        return length


def _check(fields: _Fields, n_file_bytes: int) -> bytes:
    leaves: list[_Leaf] | None = None
    parts: list[bytes] = []
    last = n_rows = 0
    while (field := fields.field(last)) is not None:
        last, kind = field
        start = fields.at
        if (last, kind) == (SCHEMA, LIST):
            leaves = _leaves_of(fields)
            parts += (b"schema", fields.content[start : fields.at])
        elif (last, kind) == (ROW_GROUPS, LIST):
            for _ in range(fields.count(STRUCT)):
                n_rows += _check_row_group(fields, leaves or [], n_file_bytes)
            if leaves is not None:
                parts += _parts_of_end(fields)
                break
        elif last in (SCHEMA, ROW_GROUPS):
            raise UnsoundFooter("the schema or the row groups are not a list")
        else:
            fields.skip(kind)
            if last == KEY_VALUES:
                parts += (b"key values", fields.content[start : fields.at])
    if leaves is None:
        raise UnsoundFooter("it has no schema")
    _refuse_absurd(n_rows, "rows", n_file_bytes)
    return b"".join(parts)


def _parts_of_end(fields: _Fields) -> list[bytes]:
    """Parse the end of a footer, after the row groups; return the part that describes the columns.

    This part is the field ``key_value_metadata``, which may contain the Arrow schema. Footers of
    one writer often end with the same bytes, so the results for the last ends are remembered.
    """
    global _ends_seen  # noqa: PLW0603 - replaced, because other threads iterate over the old one
    end = fields.content[fields.at :]
    for known, parts in _ends_seen:
        if known == end:
            return parts
    parts, last = [], ROW_GROUPS
    while (field := fields.field(last)) is not None:
        last, kind = field
        start = fields.at
        if last in (SCHEMA, ROW_GROUPS):
            raise UnsoundFooter("the schema or the row groups are not in order")
        fields.skip(kind)
        if last == KEY_VALUES:
            parts += (b"key values", fields.content[start : fields.at])
    if len(end) <= MAX_SCHEMA_BYTES:
        _ends_seen = [(end, parts), *_ends_seen][:MAX_SCHEMAS]
    return parts


def _refuse_absurd(n_values: int, what: str, n_file_bytes: int) -> None:
    if n_values > max(VALUES_ALWAYS_ALLOWED, n_file_bytes * VALUES_PER_BYTE):
        raise UnsoundFooter(f"it states {n_values:,} {what} in {n_file_bytes:,} bytes")


def _leaves_of(fields: _Fields) -> list[_Leaf]:
    """Return the leaf columns of the schema, from memory if an equal schema was checked before."""
    global _schemas_seen  # noqa: PLW0603 - replaced, because other threads iterate over the old one
    content, start = fields.content, fields.at
    for schema, leaves in _schemas_seen:
        if content.startswith(schema, start):
            fields.at += len(schema)
            return leaves
    leaves = _leaves(fields)
    schema = content[start : fields.at]
    if len(schema) <= MAX_SCHEMA_BYTES:
        _schemas_seen = [(schema, leaves), *_schemas_seen][:MAX_SCHEMAS]
    return leaves


def _leaves(fields: _Fields) -> list[_Leaf]:
    """Return the leaf columns of the schema."""
    leaves: list[_Leaf] = []
    # For each open level: number of children not read yet, repetition and definition level.
    levels: list[tuple[int, int, int]] = []
    for place, element in enumerate(_elements(fields)):
        kind, length, repetition, n_children = element
        if place == 0:
            levels.append((n_children, 0, 0))
            continue
        while levels and not levels[-1][0]:
            levels.pop()
        if not levels or repetition not in (REQUIRED, OPTIONAL, REPEATED):
            raise UnsoundFooter("the schema is not a tree of columns")
        left, n_repeated, n_defined = levels[-1]
        levels[-1] = left - 1, n_repeated, n_defined
        n_repeated += repetition == REPEATED
        n_defined += repetition != REQUIRED
        if n_children:
            if len(levels) > MAX_DEPTH:
                raise UnsoundFooter(f"columns are nested more than {MAX_DEPTH} deep")
            levels.append((n_children, n_repeated, n_defined))
        elif kind is not None:
            leaves.append(_leaf(kind, length, n_repeated, n_defined))
    if any(left for left, _, _ in levels):
        raise UnsoundFooter("the schema has fewer elements than it states children")
    return leaves


@lru_cache(maxsize=1024)
def _leaf(kind: int, length: int | None, n_repeated: int, n_defined: int) -> _Leaf:
    forms: Forms[None] = Forms(TEXT_CHUNK if kind == BYTE_ARRAY else CHUNK)
    return _Leaf(kind, _n_bytes(kind, length), n_repeated, n_defined, forms)


def _n_bytes(kind: int, length: int | None) -> int | None:
    if kind == FIXED_BYTE_ARRAY:
        if length is None or length <= 0:
            raise UnsoundFooter("a column of fixed length states no length")
        return length
    if kind != BYTE_ARRAY and kind not in BYTES_OF_TYPE:
        raise UnsoundFooter(f"a column has the type {kind}")
    return BYTES_OF_TYPE.get(kind)


def _elements(fields: _Fields) -> Iterator[_Element]:
    """Yield the elements of the schema."""
    for _ in range(fields.count(STRUCT)):
        start = fields.at
        if seen := _elements_seen.match(fields.content, start):
            found, element = seen
            fields.at = found.end()
        else:
            element = _element(fields)
            _elements_seen.note(fields.content, start, element)
        yield element


def _element(fields: _Fields) -> _Element:
    """Return type, length, repetition and number of children of a schema element."""
    values: dict[int, int] = {}
    last = 0
    while (field := fields.field(last)) is not None:
        last, kind = field
        if last in (1, 2, 3, 5):
            if kind != I32:
                raise UnsoundFooter("a column of the schema has a field of the wrong type")
            values[last] = fields.number()
        elif kind == BINARY:
            fields.binary_length()
        else:
            fields.skip(kind)
    n_children = values.get(5, 0)
    if n_children < 0:
        raise UnsoundFooter("a column has a negative number of fields")
    return values.get(1), values.get(2), values.get(3, -1), n_children


def _check_row_group(fields: _Fields, leaves: list[_Leaf], n_file_bytes: int) -> int:
    """Check a row group; return the number of rows that it states."""
    last = n_rows = 0
    has_columns = False
    flat: set[int] = set()
    while (field := fields.field(last)) is not None:
        last, kind = field
        if (last, kind) == (1, LIST):
            has_columns = True
            n_chunks = fields.count(STRUCT)
            if n_chunks != len(leaves):
                raise UnsoundFooter(
                    f"a row group has {n_chunks:,} columns, the schema {len(leaves):,}"
                )
            flat = _check_chunks(fields, leaves, n_file_bytes)
        elif (last, kind) == (N_ROWS, I64):
            n_rows = fields.number()
        elif last in (1, N_ROWS):
            raise UnsoundFooter("a row group has a field of the wrong type")
        else:
            fields.skip(kind)
    if n_rows < 0 or not has_columns:
        raise UnsoundFooter("a row group has no columns, or a negative number of rows")
    n_values = max(flat, default=0)
    if n_values > n_rows:
        raise UnsoundFooter(
            f"a column has {n_values:,} values, but its row group states {n_rows:,} rows"
        )
    return n_rows


def _check_chunks(fields: _Fields, leaves: Sequence[_Leaf], n_file_bytes: int) -> set[int]:
    """Check a row group's column chunks; return the value counts of all columns but lists."""
    # Pairs: for columns with one value per row, and for lists.
    stated: tuple[set[bytes], set[bytes]] = (set(), set())
    counts: tuple[set[int], set[int]] = (set(), set())
    for leaf in leaves:
        start = fields.at
        is_list = leaf.n_repeated > 0
        if seen := leaf.forms.match(fields.content, start):
            fields.at = seen[0].end()
            stated[is_list].add(seen[0][1])
            continue
        counts[is_list].add(_check_chunk(fields, leaf, n_file_bytes))
        leaf.forms.note(fields.content, start, None)
    for some, texts in zip(counts, stated, strict=True):
        some.update(_Fields(count).number() for count in texts)
    _refuse_absurd(max(counts[True], default=0), "values of a list column", n_file_bytes)
    return counts[False]


def _check_chunk(fields: _Fields, leaf: _Leaf, n_file_bytes: int) -> int:
    last = 0
    n_values: int | None = None
    while (field := fields.field(last)) is not None:
        last, kind = field
        if (last, kind) == (3, STRUCT):
            n_values = _check_metadata(fields, leaf, n_file_bytes)
        elif last in (3, 8):  # 3 with another type than a structure; 8 is crypto_metadata
            raise UnsoundFooter("a column is encrypted or has no metadata")
        elif kind == BINARY:
            fields.binary_length()
        else:
            fields.skip(kind)
    if n_values is None:
        raise UnsoundFooter("a column chunk has no metadata")
    return n_values


def _check_metadata(fields: _Fields, leaf: _Leaf, n_file_bytes: int) -> int:
    last = 0
    numbers: dict[int, int] = {}
    while (field := fields.field(last)) is not None:
        last, kind = field
        if last in (1, 4, 5, 6, 7, 9, 10, 11):
            if kind not in (I32, I64):
                raise UnsoundFooter("a column chunk has a field of the wrong type")
            numbers[last] = fields.number()
        elif (last, kind) == (12, STRUCT):
            _check_statistics(fields, leaf)
        elif (last, kind) == (16, STRUCT):
            _check_sizes(fields, leaf)
        elif last in (12, 16):
            raise UnsoundFooter("statistics are not a structure")
        else:
            fields.skip(kind)
    return _n_values(numbers, leaf, n_file_bytes)


def _n_values(numbers: dict[int, int], leaf: _Leaf, n_file_bytes: int) -> int:
    """Check that a column chunk fits its column and the file; return its number of values."""
    if numbers.get(1) != leaf.type or not 0 <= numbers.get(4, -1) < N_CODECS:
        raise UnsoundFooter("a column chunk has another type than its column, or no known codec")
    if min(numbers.get(name, -1) for name in (5, 6, 7)) < 0:
        raise UnsoundFooter("a column chunk has no length")
    # Some writers set the dictionary offset to 0 if there is no dictionary.
    starts = [numbers.get(9, -1), numbers.get(11) or numbers.get(9, -1)]
    if min(starts) < 0 or min(starts) + numbers[7] > n_file_bytes:
        raise UnsoundFooter("a column chunk ends after the end of the file")
    if numbers[6] > max(BYTES_ALWAYS_ALLOWED, numbers[7] * BYTES_PER_BYTE):
        raise UnsoundFooter(f"a column chunk unpacks {numbers[7]:,} bytes to {numbers[6]:,}")
    return numbers[5]


def _check_statistics(fields: _Fields, leaf: _Leaf) -> None:
    last = 0
    while (field := fields.field(last)) is not None:
        last, kind = field
        if last in (1, 2, 5, 6):
            if kind != BINARY:
                raise UnsoundFooter("statistics have a bound of the wrong type")
            length = fields.binary_length()
            if leaf.n_bytes is not None and length != leaf.n_bytes and length:
                raise UnsoundFooter(f"a bound has {length} bytes, but its type {leaf.n_bytes}")
        else:
            fields.skip(kind)


def _check_sizes(fields: _Fields, leaf: _Leaf) -> None:
    last = 0
    while (field := fields.field(last)) is not None:
        last, kind = field
        if (last, kind) in ((2, LIST), (3, LIST)):
            length = fields.count(I64)
            highest = leaf.n_repeated if last == 2 else leaf.n_defined  # noqa: PLR2004
            if length not in (0, highest + 1):
                raise UnsoundFooter("the size statistics do not fit the schema")
            for _ in range(length):
                fields.skip(I64)
        elif last in (2, 3) or (last == 1 and leaf.type != BYTE_ARRAY):
            raise UnsoundFooter("the size statistics have a field of the wrong type")
        else:
            fields.skip(kind)


def check_file(file: Path | bytes) -> bytes:
    """Raise `UnsoundFooter` if the footer of a file could crash a reader; see `check_footer`.

    ``file`` is a path, or the whole content of a file.
    """
    size = len(file) if isinstance(file, bytes) else file.stat().st_size
    return check_footer(read_footer(file), size)
