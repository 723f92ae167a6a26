"""Names from a backend as text for people: nothing in them steers a terminal or cannot be shown."""

from __future__ import annotations

import re
import sys

# Control characters but tab and line feed; what turns the direction of text, so that it reads as
# another one (Unicode Technical Report 36); line separators; halves of characters.
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"
    r"\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
MAX_MESSAGE = 2000
MAX_LINE = 1000
_SPACES = {ord("\t"): r"\t", ord("\n"): r"\n"}


def without_controls(text: str) -> str:
    r"""Return text with its control characters, but tabs and line feeds, as escapes.

    So are the characters that turn the direction of text.

    Parameters
    ----------
    text : str
        With what others may have chosen: names, keys, states.

    Returns
    -------
    str
        The text itself where there is none.

    Examples
    --------
    >>> print(without_controls("loss\x1b]52;c;aGk=\x07"))
    loss\x1b]52;c;aGk=\x07
    """
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text)


def one_line(text: str) -> str:
    r"""Return text as `without_controls` does, with tabs and line feeds as escapes too.

    Examples
    --------
    >>> print(one_line("a\tb\nc"))
    a\tb\nc
    """
    return without_controls(text).translate(_SPACES)


def shortened(text: str, n_characters: int) -> str:
    """Return text without its middle where it is longer than so many characters.

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
    """Return text without control characters, and with escapes for what stdout cannot encode.

    Parameters
    ----------
    text : str
        What ``print`` of one of our objects writes.

    Returns
    -------
    str
        The text itself where standard output can encode it, as with UTF-8.
    """
    return _encodable(without_controls(text))


def line_for_screen(text: str) -> str:
    """Return text as `for_screen` does, in one short line: ``repr`` of one of our objects."""
    return _encodable(shortened(one_line(text), MAX_LINE))


def _encodable(shown: str) -> str:
    encoding = getattr(sys.stdout, "encoding", None)
    if not isinstance(encoding, str):
        return shown
    try:
        return shown.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return shown
