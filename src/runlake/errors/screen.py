"""Names from a backend as text for people: nothing in them steers a terminal or cannot be shown."""

from __future__ import annotations

import re
import sys

# All but tab and line feed.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def without_controls(text: str) -> str:
    r"""Return text with its control characters, but tabs and line feeds, as escapes.

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
    shown = without_controls(text)
    encoding = getattr(sys.stdout, "encoding", None)
    if not isinstance(encoding, str):
        return shown
    try:
        return shown.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return shown
