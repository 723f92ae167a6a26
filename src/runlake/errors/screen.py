"""Make a backend's text safe to print: escape control characters and unencodable characters."""

from __future__ import annotations

import re
import sys

# Control characters except tab and line feed; characters that change the direction of text, which
# can make one name look like another (Unicode Technical Report 36); line separators; surrogates.
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"
    r"\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# A name from a backend may have megabytes, which would hide the message around it.
MAX_MESSAGE = 2000
MAX_LINE = 1000
_SPACES = {ord("\t"): r"\t", ord("\n"): r"\n"}


def without_controls(text: str) -> str:
    r"""Return text with control characters escaped, except tabs and line feeds.

    Characters that change the direction of text, and surrogates, are escaped too.

    Parameters
    ----------
    text : str
        Text that may contain names, keys or states that other people chose.

    Returns
    -------
    str
        The text, unchanged if it contains no such character.

    Examples
    --------
    >>> print(without_controls("loss\x1b]52;c;aGk=\x07"))
    loss\x1b]52;c;aGk=\x07
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    r"""Return text with all control characters escaped, including tabs and line feeds.

    Examples
    --------
    >>> print(one_line("a\tb\nc"))
    a\tb\nc
    """
    return without_controls(text).translate(_SPACES)


def shortened(text: str, n_characters: int) -> str:
    """Return text; replace the middle by " ... " if the text is longer than ``n_characters``.

    Of a longer text, ``n_characters`` characters remain.

    Examples
    --------
    >>> shortened("Run 'xxxxxxxxxxxxxxxxxxxxxxxx' is not there.", 24)
    "Run 'xxxxxxxxxxx ... there."
    """
    if len(text) <= n_characters:
        return text
    head = n_characters * 2 // 3
    return f"{text[:head]} ... {text[head - n_characters :]}"


def for_screen(text: str) -> str:
    """Return text with control characters, and characters that stdout cannot encode, escaped.

    ``__str__`` of public objects uses this function: otherwise ``print`` would raise
    UnicodeEncodeError if the encoding of stdout is not UTF-8.
    """
    return _encodable(without_controls(text))


def line_for_screen(text: str) -> str:
    """Return text as `for_screen` does, but on one line of at most about `MAX_LINE` characters."""
    return _encodable(shortened(one_line(text), MAX_LINE))


def _encodable(shown: str) -> str:
    encoding = getattr(sys.stdout, "encoding", None)
    if not isinstance(encoding, str):
        return shown
    try:
        return shown.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return shown
