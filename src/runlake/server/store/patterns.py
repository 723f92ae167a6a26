"""Compiles users' regular expressions with RE2, whose searches take linear time.

A search with Python's `re` can take exponential time, and meanwhile no other request is answered.
"""

from __future__ import annotations

import re
from functools import lru_cache

import re2

LITERAL = re.compile(r"\^?([A-Za-z0-9_ /:-]+)")
MAX_PATTERN = 10_000
OPTIONS = re2.Options()
# RE2 would write a message about each wrong pattern of a user to the standard error output.
OPTIONS.log_errors = False


@lru_cache(maxsize=64)
def compile_pattern(pattern: str) -> re2._Regexp[str]:
    """Compile a regular expression with RE2.

    Parameters
    ----------
    pattern : str
        In the syntax of RE2, which is like that of Python without lookaround and backreferences.

    Returns
    -------
    re2._Regexp
        The compiled pattern, with the methods of `re.Pattern`. A string in which it searches must
        not contain halves of surrogate pairs.

    Raises
    ------
    ValueError
        If RE2 cannot search for the pattern; the message says why.

    Examples
    --------
    >>> compile_pattern("^(a|a)*$").search("a" * 30 + "b") is None
    True
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"it has more than {MAX_PATTERN:,} characters")
    try:
        return re2.compile(pattern, OPTIONS)
    except UnicodeError:
        raise ValueError("it is no Unicode text") from None
    except re2.error as error:
        reason = error.args[0]
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else reason
        raise ValueError(
            f"{reason} (patterns have RE2's syntax, without lookaround and backreferences)"
        ) from None


def literal_of_pattern(pattern: str) -> str:
    """Return a string that every match of a pattern contains; empty if no such string is known.

    Examples
    --------
    >>> literal_of_pattern("swift-9.*"), literal_of_pattern("ab?c"), literal_of_pattern("a|b")
    ('swift-9', 'a', '')
    """
    found = LITERAL.match(pattern)
    if found is None or "|" in pattern:
        return ""
    may_be_absent = pattern[found.end() : found.end() + 1] in {"?", "*", "{"}
    return found[1][:-1] if may_be_absent else found[1]


def matches_pattern(pattern: str, text: object) -> bool:
    """Return whether a pattern is found in a string; SQL statements call this function."""
    return isinstance(text, str) and compile_pattern(pattern).search(text) is not None
