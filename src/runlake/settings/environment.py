"""Read environment variables, and the directories that they name."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from runlake.errors import InvalidArgument, SettingsError
from runlake.values import parse_bytes

OFF = {"0", "false", "no", "off"}


def variable(name: str) -> str | None:
    """Return an environment variable; None if it is unset or empty."""
    return os.environ.get(name) or None  # noqa: TID251


def number_in(name: str) -> float | None:
    """Return an environment variable as a number above 0; None if it is unset or empty."""
    text = variable(name)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < math.inf:
        raise SettingsError(f"{name}={text!r} is not a positive number.", setting=name)
    return number


def count_in(name: str, default: int) -> int:
    """Return an environment variable as a whole number; ``default`` if it is unset or empty.

    "false", "no" and "off" mean 0.
    """
    text = variable(name)
    if text is None:
        return default
    if text.strip().lower() in OFF:
        return 0
    if not text.strip().isdecimal():
        raise SettingsError(f"{name}={text!r} is not a whole number, or 'off'.", setting=name)
    return int(text)


def bytes_in(name: str) -> int | None:
    """Return the size in an environment variable, such as ``"20 GB"``, in bytes; None if unset."""
    text = variable(name)
    if text is None:
        return None
    try:
        n_bytes = parse_bytes(text, name)
    except InvalidArgument as error:
        raise SettingsError(error.message, setting=name) from error
    if n_bytes == 0:
        raise SettingsError(f"{name}={text!r} must be more than 0 bytes.", setting=name)
    return n_bytes


def word_in(name: str, words: tuple[str, ...]) -> str:
    """Return an environment variable in lower case, which must be one of ``words``.

    If the variable is unset, return the first of ``words``.
    """
    text = variable(name)
    if text is None:
        return words[0]
    if text.strip().lower() not in words:
        raise SettingsError(f"{name}={text!r} is not one of {', '.join(words)}.", setting=name)
    return text.strip().lower()


def existing_in(name: str) -> str | None:
    """Return the path in an environment variable; None if unset.

    Raise `SettingsError` if the file or directory does not exist.
    """
    text = variable(name)
    if text is not None and not Path(text).exists():
        raise SettingsError(
            f"{name}={text!r} is neither a file nor a directory with certificate authorities.",
            setting=name,
        )
    return text


def flag_in(name: str, *, default: bool) -> bool:
    """Return an environment variable as a bool; ``default`` if it is unset or empty.

    "0", "false", "no" and "off" mean False, any other text True.
    """
    text = variable(name)
    return default if text is None else text.strip().lower() not in OFF


def home_directory() -> Path | None:
    """Return the home directory; None if the user has none, as in some containers."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def directory(named: object, source: str) -> Path:
    """Return a path with ``~`` and ``~user`` replaced by home directories."""
    try:
        return Path(named).expanduser()  # type: ignore[arg-type]
    except (RuntimeError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{source}={named!r} is no path: {str(error).rstrip('.')}.",
            setting=source,
            source=source,
        ) from error


def child_environment(extra: Mapping[str, str], *, has_proxies: bool = False) -> dict[str, str]:
    """Return the environment for a child process that must not inherit the user's settings.

    Parameters
    ----------
    extra : mapping of str to str
        Variables to set.
    has_proxies : bool
        True if the child process may use the proxies that the environment names.

    Returns
    -------
    dict of str to str
        The current variables without ``WANDB_*`` and ``RUNLAKE_*``, and without the proxies if
        ``has_proxies`` is false; then all variables in ``extra``, whatever their names are.
    """
    kept = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251
        if not name.startswith(("WANDB_", "RUNLAKE_"))
        and (has_proxies or not name.lower().endswith("_proxy"))
    }
    return {**kept, **extra}
