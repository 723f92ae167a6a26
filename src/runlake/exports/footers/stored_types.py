"""Arrow types of columns as bytes, which can be compared without importing pyarrow.

Importing pyarrow, and numpy with it, takes as long as all other imports of a short script together.
So the types that most columns have are recognised here, from the bytes alone. pyarrow is imported
when a caller needs the type as a pyarrow object.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

TYPES_IN_MEMORY = 4096
# Arrow's definitions (Schema.fbs): numbers of types, and positions of the fields of tables.
INTEGER, FLOAT = 2, 3
SIMPLE_BY_NUMBER = {5: "string", 6: "bool", 20: "large_string"}
FLOAT_BY_PRECISION = {1: "float", 2: "double"}
HEADER = 2  # of a message: the schema
FIELDS = 1  # of a schema
MEMBER, DETAILS, DICTIONARY, METADATA = 2, 3, 4, 6  # of a field
WIDTH, IS_SIGNED = 0, 1  # of an integer
PRECISION = 0  # of a float
PREFIX_BYTES = 8  # before a message: a mark and the message's length
OFFSET_BYTES = 4


@dataclass(frozen=True)
class StoredType:
    """The type of a column of an export; types with equal ``content`` are equal.

    Parameters
    ----------
    content : bytes
        A serialized Arrow schema with one field, which has this type.
    """

    content: bytes

    @classmethod
    def of(cls, dtype: pa.DataType) -> StoredType:
        """Return the `StoredType` for an Arrow type."""
        return _of_arrow(dtype)

    @cached_property
    def simple(self) -> str | None:
        """Arrow's name of an integer, boolean, string, 32-bit or 64-bit float type.

        None for all other types.
        """
        try:
            return _simple_name(self.content)
        except (struct.error, LookupError):
            return None

    @property
    def is_number_or_boolean(self) -> bool:
        """True for integers, booleans, 32-bit floats and 64-bit floats."""
        return self.simple is not None and not self.simple.endswith("string")

    @property
    def is_struct(self) -> bool:
        """True for a struct type."""
        return self.simple is None and self._is_in("is_struct")

    @property
    def is_null(self) -> bool:
        """True for Arrow's null type, in whose columns every cell is null."""
        return self.simple is None and self._is_in("is_null")

    @property
    def is_date(self) -> bool:
        """True for a date type."""
        return self.simple is None and self._is_in("is_date")

    def _is_in(self, predicate: str) -> bool:
        import pyarrow as pa

        return bool(getattr(pa.types, predicate)(self.arrow))

    @cached_property
    def arrow(self) -> pa.DataType:
        """The type as a pyarrow object; this imports pyarrow.

        Raises
        ------
        ValueError
            If ``content`` is not a type.
        """
        import pyarrow as pa

        try:
            return pa.ipc.read_schema(pa.BufferReader(self.content)).field(0).type
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"these bytes are not a type: {error}") from error

    def checked(self) -> StoredType:
        """Return this object; raise ValueError if its ``content`` is not a type."""
        if self.simple is None:
            _ = self.arrow
        return self

    def __str__(self) -> str:
        """Return Arrow's name of the type."""
        return self.simple or str(self.arrow)

    def __repr__(self) -> str:
        return f"<StoredType {self}>"

    def __reduce__(self) -> tuple[object, ...]:
        return stored_type, (self.content,)


@lru_cache(maxsize=TYPES_IN_MEMORY)
def stored_type(content: bytes) -> StoredType:
    """Return the `StoredType` with this content; for recent contents, it is taken from memory."""
    return StoredType(content)


@lru_cache(maxsize=TYPES_IN_MEMORY)
def _of_arrow(dtype: pa.DataType) -> StoredType:
    import pyarrow as pa

    return stored_type(bytes(pa.schema([("", dtype)]).serialize()))


def _simple_name(content: bytes) -> str | None:
    """Return `StoredType.simple` for the type of the only field in a serialized Arrow schema."""
    (first,) = struct.unpack_from("<I", content, PREFIX_BYTES)
    schema = _Table(content, PREFIX_BYTES + first).table(HEADER)
    field = schema.only_item(FIELDS)
    if field.has(DICTIONARY) or field.has(METADATA):
        return None  # the type of the field is not the type of the column
    member, details = field.number("<B", MEMBER), field.table(DETAILS)
    if member == INTEGER:
        sign = "" if details.number("<B", IS_SIGNED) else "u"
        return f"{sign}int{details.number('<i', WIDTH)}"
    if member == FLOAT:
        return FLOAT_BY_PRECISION.get(details.number("<h", PRECISION))
    return SIMPLE_BY_NUMBER.get(member)


@dataclass(frozen=True, slots=True)
class _Table:
    """A table in a FlatBuffer; the buffer contains the offsets of the table's fields.

    Methods raise `struct.error` or `LookupError` if the content is damaged.
    """

    content: bytes
    start: int

    def has(self, field: int) -> bool:
        """Return whether the table stores a field; a field with its default value is left out."""
        return self._place(field) is not None

    def number(self, layout: str, field: int) -> int:
        """Return the number in a field; 0, the default, if the table does not store the field."""
        place = self._place(field)
        return 0 if place is None else self._read(layout, place)

    def table(self, field: int) -> _Table:
        """Return the flatbuffers table to which a field of this table refers."""
        return _Table(self.content, self._target(field))

    def only_item(self, field: int) -> _Table:
        """Return the only table in the list of tables to which a field refers."""
        items = self._target(field)
        if self._read("<I", items) != 1:
            raise LookupError("the list does not have exactly one item")
        first = items + OFFSET_BYTES
        return _Table(self.content, first + self._read("<I", first))

    def _target(self, field: int) -> int:
        place = self._place(field)
        if place is None:
            raise LookupError(f"the table has no field {field}")
        return place + self._read("<I", place)

    def _place(self, field: int) -> int | None:
        layout = self.start - self._read("<i", self.start)
        place = OFFSET_BYTES + 2 * field
        if place >= self._read("<H", layout):
            return None
        offset = self._read("<H", layout + place)
        return self.start + offset if offset else None

    def _read(self, layout: str, place: int) -> int:
        (number,) = struct.unpack_from(layout, self.content, place)
        return int(number)
