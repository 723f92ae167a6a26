"""API keys of backends, from `runlake.login`, the environment, settings files and netrc."""

from __future__ import annotations

import io
import netrc
from pathlib import Path
from urllib.parse import urlsplit

from runlake.errors.user_line import warn
from runlake.settings.environment import directory, home_directory, variable
from runlake.settings.secret import Secret, checked_key
from runlake.settings.settings_files import read_settings_files

# Keys from `runlake.login` in this process, by base URL. The URL of the last login is the default
# base URL if no argument and no variable names another URL.
_logins: dict[str, Secret] = {}


def find_api_key(base_url: str) -> Secret | None:
    """Look up the API key of a backend in `runlake.login`, environment, settings files and netrc.

    Parameters
    ----------
    base_url : str
        Root of the API; its host and port select the netrc entry. A key in a settings file is used
        only if the settings files also name this URL as ``base_url``.

    Returns
    -------
    Secret or None
        None if no source has a key.
    """
    if base_url in _logins:
        return _logins[base_url]
    named = variable("WANDB_API_KEY")
    if named:
        return checked_key(named, "WANDB_API_KEY")
    files = read_settings_files()
    if str(files.get("base_url", "")).rstrip("/") == base_url and files.get("api_key"):
        return checked_key(files["api_key"].reveal(), "api_key in a settings file")
    return netrc_key(base_url)


def remember_login(base_url: str, key: Secret) -> None:
    """Make this process use a key for a backend, and use that backend by default.

    Parameters
    ----------
    base_url : str
        Root of the API, without a trailing slash.
    key : Secret
        Used instead of ``WANDB_API_KEY``, settings files and netrc, but not instead of an argument
        of `Api`.
    """
    # Removed first, so that it becomes the last key of the dict, for `last_login`.
    _logins.pop(base_url, None)
    _logins[base_url] = key


def last_login() -> str | None:
    """Return the base URL of the last call of `remember_login`; None if there was no call."""
    return next(reversed(_logins), None)


def netrc_key(base_url: str) -> Secret | None:
    """Return the API key that a netrc file has for the host and port of a URL, else None.

    A broken file is skipped with a warning.
    """
    named = variable("NETRC")
    home = home_directory()
    places = [home / ".netrc", home / "_netrc"] if home else []
    if named:
        places = [directory(named, "NETRC")]
    for place in places:
        try:
            entry = _Netrc(place).authenticators(urlsplit(base_url).netloc)
        except FileNotFoundError:
            continue
        except (netrc.NetrcParseError, OSError, ValueError) as error:
            # A broken file must not stop a script that has its key elsewhere; the SDK warns too.
            line = getattr(error, "lineno", None)
            why = getattr(error, "msg", None) or getattr(error, "strerror", None) or "it is no text"
            where = f", line {line}" if line else ""
            warn(f"The API keys in {str(place)!r} are not used: {why}{where}.")
            continue
        if entry and entry[2]:
            return checked_key(entry[2], f"{str(place)!r}")
    return None


class _Netrc(netrc.netrc):
    """A netrc file in UTF-8, or in Latin-1, as older editors write it."""

    def __init__(self, place: Path) -> None:
        content = place.read_bytes()
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
        self.hosts = {}
        self.macros = {}
        # netrc's own constructor would read the file only as UTF-8, or in the locale's encoding,
        # which is UTF-8 too on most machines.
        self._parse(str(place), io.StringIO(text), False)  # type: ignore[attr-defined]
