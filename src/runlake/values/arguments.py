"""Check common arguments: strings, counts, sizes, durations."""

from __future__ import annotations

import math
import re
import reprlib
from contextlib import suppress
from decimal import Decimal
from numbers import Real
from typing import Any

from runlake.errors import InvalidArgument, InvalidType

DECIMAL = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "p": 10**15}
BINARY = {"k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
DAY = 24 * 3600
SECONDS = {
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": DAY,
    "w": 7 * DAY,
    "M": 30 * DAY,
    "y": 365 * DAY,
}
_NUMBER = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)")


def check_text(text: str, kind: str) -> str:
    """Return a string; raise `InvalidArgument` if it is no string, or cannot be encoded as UTF-8.

    A string that cannot be encoded contains surrogates, for example from a command line whose bytes
    are not UTF-8. Such a string cannot be sent or stored as UTF-8.

    Parameters
    ----------
    text : str
        String from a caller.
    kind : str
        Name of the argument in the error message, such as ``"The key"``.
    """
    given: object = text
    if not isinstance(given, str):
        raise InvalidType(f"{kind} {reprlib.repr(given)} is not text.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            f"{kind} {text!r} is no Unicode text: character {error.start + 1} is half of one, "
            "or a byte that is not UTF-8."
        ) from None
    return text


def check_count(value: int, name: str) -> int:
    """Return a count; raise `InvalidArgument` unless it is an integer of at least 1."""
    number = check_whole(value, name)
    if number < 1:
        raise InvalidArgument(f"{name} must be 1 or more, not {value!r}.")
    return number


def check_number(value: Any, name: str, at_least: float = -math.inf) -> float:
    """Return a number; raise `InvalidArgument` unless it is finite and at least ``at_least``.

    Examples
    --------
    >>> check_number(-1, "tolerance", at_least=0)
    Traceback (most recent call last):
        ...
    runlake.errors.InvalidArgument: tolerance must be a number of 0 or more, not -1.
    """
    # `Real` also includes the numbers of numpy.
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    try:
        number = float(value) if is_number else math.nan
    except OverflowError:
        number = math.nan
    if not (math.isfinite(number) and number >= at_least):
        bound = "" if at_least == -math.inf else f" of {at_least:g} or more"
        raise InvalidArgument(f"{name} must be a number{bound}, not {reprlib.repr(value)}.")
    return number


def check_seconds(seconds: Any, name: str) -> None:
    """Raise `InvalidArgument` unless a duration is a finite number of seconds above 0.

    Examples
    --------
    >>> check_seconds(0, "poll")
    Traceback (most recent call last):
        ...
    runlake.errors.InvalidArgument: poll must be a number of seconds above 0, not 0.
    """
    is_number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
    if not (is_number and 0 < seconds < math.inf):
        raise InvalidArgument(f"{name} must be a number of seconds above 0, not {seconds!r}.")


def check_word(word: str, name: str, words: tuple[str, ...]) -> str:
    """Return ``word``; raise `InvalidArgument` if it is not one of ``words``."""
    given: object = word  # `in` would compare a polars expression, which has no truth value
    if not isinstance(given, str) or given not in words:
        raise InvalidArgument(f"{name} must be {' or '.join(map(repr, words))}, not {word!r}.")
    return word


def check_flag(value: bool, name: str) -> bool:
    """Return a bool; raise `InvalidType` if the value is of another type."""
    if not isinstance(value, bool):
        raise InvalidType(f"{name} must be True or False, not {value!r}.")
    return value


def parse_bytes(value: str | int, name: str = "size") -> int:
    """Parse a size into bytes.

    Parameters
    ----------
    value : str or int
        Bytes, or a number with a unit: decimal (``kB``, ``MB``, ``GB``, ``TB``, ``PB``) or binary
        (``KiB``, ``MiB``, ...), in any case, with or without a space or the final ``B``.
    name : str
        Name of the value in the error message.

    Returns
    -------
    int
        Bytes, 0 or more, rounded down.

    Raises
    ------
    InvalidArgument
        If the value is not a size.

    Examples
    --------
    >>> parse_bytes("20GB"), parse_bytes("512 MiB"), parse_bytes(100)
    (20000000000, 536870912, 100)
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None:
        number, unit = found.groups()
        unit = unit.lower().removesuffix("b")
        scale = BINARY.get(unit[:-1]) if unit.endswith("i") else DECIMAL.get(unit)
        if scale is not None:
            # Not float: a product that is slightly too small would be rounded down by one byte.
            return math.floor(Decimal(number) * scale)
    raise InvalidArgument(
        f"{name} must be a number of bytes, such as 1000000, '20GB' or '512 MiB', not {value!r}."
    )


def parse_age(value: str | float, name: str = "age") -> float:
    """Parse a duration into seconds.

    Parameters
    ----------
    value : str, int or float
        Seconds, or a number with a unit: ``s``, ``m`` (minutes), ``h``, ``d``, ``w``, ``M`` (months
        of 30 days) or ``y`` (years of 365 days). Units are case-sensitive: ``6m`` is six minutes.
    name : str
        Name of the value in the error message.

    Returns
    -------
    float
        Seconds, 0 or more.

    Raises
    ------
    InvalidArgument
        If the value is not a duration.

    Examples
    --------
    >>> parse_age("90s"), parse_age("8h"), parse_age("7d") == parse_age("1w")
    (90.0, 28800.0, True)
    >>> parse_age("6M") / parse_age("1d")
    180.0
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    found = _NUMBER.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None and (scale := SECONDS.get(found[2] or "s")) is not None:
        return float(found[1]) * scale
    raise InvalidArgument(
        f"{name} must be a number of seconds or one with a unit, such as '90s', '8h', '7d', '6M' "
        f"(months) or '1y', not {value!r}."
    )


def check_whole(value: object, name: str) -> int:
    """Return an integer of any type as int; raise `InvalidArgument` for bool and other types."""
    if isinstance(value, bool):
        raise InvalidArgument(f"{name} must be an integer, not {value!r}.")
    if isinstance(value, int):
        return value
    # The integers of numpy are no subclasses of int.
    index = getattr(value, "__index__", None)
    with suppress(TypeError):  # an array has the method, and refuses unless it has one integer
        if index is not None:
            return int(index())
    raise InvalidArgument(f"{name} must be an integer, not {value!r}.")
