"""Parse repeated structures of a footer quickly, with one regular expression per form.

The column chunks of ten thousand columns have only a few forms. A form is a set of structures with
the same fields, whose lists and byte strings have the same lengths; `Rules` names exceptions, and
integers that must be equal. One structure is parsed field by field (walked). From it, this module
builds an expression that matches exactly the structures of its form. A match takes a tenth of the
time of a walk.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from runlake.exports.footers.thrift import (
    BINARY,
    FIXED_BYTES,
    I16,
    I32,
    I64,
    LIST,
    SET,
    STRUCT,
    Walker,
)

T = TypeVar("T")
Match = Callable[[bytes, int], "re.Match[bytes] | None"]
Path = tuple[int, ...]
# Possessive (``+`` after a repetition): the two sets of bytes are disjoint, so going back to fewer
# bytes could never lead to a match.
NUMBER = rb"[\x80-\xff]{0,9}+[\x00-\x7f]"
# A structure is walked if a byte string in `Rules.free` has this length or more.
FREE_LENGTHS = 64
# Each structure is tried against all forms, so more forms would cost more than they save.
MAX_FORMS = 16
# Compiling an expression takes as long as about a hundred walks.
WALKS_BEFORE_FORM = 128


def _one_of(values: range) -> bytes:
    return b"[" + b"".join(re.escape(bytes([value])) for value in values) + b"]"


# Thrift's zigzag encoding maps non-negative numbers to even ones.
COUNT, SMALL = (
    b"(?:%s|%s[\x80-\xff]{0,%d}+[\x00-\x7f])"
    % (_one_of(range(0, 0x80, 2)), _one_of(range(0x80, 0x100, 2)), n_more)
    for n_more in (8, 2)
)
FREE_TEXT = b"(?:%s)" % b"|".join(
    b"%s.{%d}" % (re.escape(bytes([length])), length) for length in range(FREE_LENGTHS)
)


@dataclass(frozen=True, slots=True)
class Rules:
    """Which fields may differ between structures of one form.

    A field is given by its path: field ids from the outermost structure to the field.

    Parameters
    ----------
    same : frozenset of tuple of int
        Integers that must be equal.
    counts, small : frozenset of tuple of int
        ``counts`` are integers that must not be negative; ``small`` are integers that must also be
        below 2 ** 27. Integers in none of the three sets may have any value.
    captured : tuple of int
        Path of a field with a non-negative integer; this integer is group 1 of a match.
    free : frozenset of tuple of int
        Byte strings that may have any length below `FREE_LENGTHS`; all other byte strings must have
        equal lengths.
    """

    same: frozenset[Path] = frozenset()
    counts: frozenset[Path] = frozenset()
    small: frozenset[Path] = frozenset()
    captured: Path = ()
    free: frozenset[Path] = frozenset()


class Forms(Generic[T]):
    """The known forms of a kind of structure, each with a value that the caller stored.

    A form is a set of structures with the same fields, see the module's docstring.

    Parameters
    ----------
    rules : Rules
        Which fields may differ within a form.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._known: list[tuple[Match, T]] = []
        self._n_walked = 0

    def match(self, content: bytes, start: int) -> tuple[re.Match[bytes], T] | None:
        """Match the structure at offset ``start`` with the known forms.

        Return the match, and the value that `note` stored with the form; None if no form matches.
        """
        for form, value in self._known:
            if found := form(content, start):
                return found, value
        return None

    def note(self, content: bytes, start: int, value: T) -> None:
        """Note that the caller has parsed a structure field by field.

        Every `WALKS_BEFORE_FORM`-th call adds the structure's form to the known forms, together
        with ``value``, unless the structure has byte strings that are too long for a form.
        """
        self._n_walked += 1
        if self._n_walked % WALKS_BEFORE_FORM:
            return
        pattern = _FormWalker(content, start, self._rules).pattern()
        if pattern is not None:
            form: Match = re.compile(pattern, re.DOTALL).match
            # A new list instead of a change, because other threads iterate over the old one.
            self._known = [(form, value), *self._known][:MAX_FORMS]


class _FormWalker(Walker):
    """Walks through a structure, and builds the regular expression for structures of its form."""

    def __init__(self, content: bytes, start: int, rules: Rules) -> None:
        super().__init__(content)
        self.at = start
        self._rules = rules
        self._parts: list[bytes] = []
        self._has_long_text = False

    def pattern(self) -> bytes | None:
        """Return the regular expression.

        Return None if a byte string of the structure, whose length may differ within the form, has
        `FREE_LENGTHS` bytes or more.
        """
        self._fields(())
        return None if self._has_long_text else b"".join(self._parts)

    def _literal(self, start: int) -> None:
        self._parts.append(re.escape(self.content[start : self.at]))

    def _fields(self, path: Path) -> None:
        last = 0
        while True:
            start = self.at
            field = self.field(last)
            self._literal(start)
            if field is None:
                return
            last, kind = field
            self._value(kind, (*path, last))

    def _value(self, kind: int, path: Path) -> None:
        start, rules = self.at, self._rules
        if kind == STRUCT:
            self._fields(path)
        elif kind in (LIST, SET):
            length, inner = self.list_header()
            self._literal(start)
            for _ in range(length):
                self._value(inner, path)
        elif kind == BINARY:
            length = self.varint()
            if path in rules.free:
                self._parts.append(FREE_TEXT)
                self._has_long_text |= length >= FREE_LENGTHS
            else:
                self._literal(start)
                self._parts.append(b".{%d}" % length)
            self.at += length
        elif kind in (I16, I32, I64):
            self.varint()
            if path in rules.same:
                self._literal(start)
            elif path == rules.captured:
                self._parts.append(b"(%s)" % COUNT)
            elif path in rules.small:
                self._parts.append(SMALL)
            else:
                self._parts.append(COUNT if path in rules.counts else NUMBER)
        else:
            self._parts.append(b".{%d}" % FIXED_BYTES[kind])
            self.at += FIXED_BYTES[kind]
