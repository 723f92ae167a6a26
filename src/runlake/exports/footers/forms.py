"""Forms of a footer's structures, as regular expressions.

A writer gives the column chunks of ten thousand columns a few forms: the same fields, with lists
and bounds of the same lengths. An expression made from one that was walked steps over the others
of its form in a tenth of the time, and over nothing that is of another form.
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
NUMBER = rb"[\x80-\xff]{0,9}+[\x00-\x7f]"
# Structures with longer texts are walked.
FREE_LENGTHS = 64
# More would be tried in vain for every structure.
MAX_FORMS = 16
# Making an expression costs as much as some hundred walks.
WALKS_BEFORE_FORM = 128


def _one_of(values: range) -> bytes:
    return b"[" + b"".join(re.escape(bytes([value])) for value in values) + b"]"


# Thrift's zigzag makes even numbers of those that are not negative.
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
    """What may differ between structures of one form; field ids, from the outermost on.

    Parameters
    ----------
    same : frozenset of tuple of int
        Numbers that are the same.
    counts, small : frozenset of tuple of int
        Numbers that are any but negative, and those below 2 ** 27; all others are any.
    captured : tuple of int
        A count that is group 1 of a match.
    free : frozenset of tuple of int
        Texts of any length that is short; all others are of the same.
    """

    same: frozenset[Path] = frozenset()
    counts: frozenset[Path] = frozenset()
    small: frozenset[Path] = frozenset()
    captured: Path = ()
    free: frozenset[Path] = frozenset()


class Forms(Generic[T]):
    """The forms of structures that were walked often, each with what was found there.

    Parameters
    ----------
    rules : Rules
        What may differ.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._known: list[tuple[Match, T]] = []
        self._n_walked = 0

    def match(self, content: bytes, start: int) -> tuple[re.Match[bytes], T] | None:
        """Return a structure that begins at a place, None where it has to be walked."""
        for form, value in self._known:
            if found := form(content, start):
                return found, value
        return None

    def note(self, content: bytes, start: int, value: T) -> None:
        """Note a structure that was walked, and what was found there."""
        self._n_walked += 1
        if self._n_walked % WALKS_BEFORE_FORM:
            return
        pattern = _FormWalker(content, start, self._rules).pattern()
        if pattern is not None:
            form: Match = re.compile(pattern, re.DOTALL).match
            # Replaced as a whole, for other threads read it.
            self._known = [(form, value), *self._known][:MAX_FORMS]


class _FormWalker(Walker):
    """Steps through one structure and notes its form."""

    def __init__(self, content: bytes, start: int, rules: Rules) -> None:
        super().__init__(content)
        self.at = start
        self._rules = rules
        self._parts: list[bytes] = []
        self._has_long_text = False

    def pattern(self) -> bytes | None:
        """Return the expression; None where a text is too long for it."""
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
