"""Environment, netrc and settings files, read once into one frozen value.

Nothing else in the client looks outside. The sources are those of the wandb SDK, later ones
winning: built-in defaults, the global settings file, ``./wandb/settings``, ``WANDB_*`` variables,
explicit arguments.
"""

from __future__ import annotations

import configparser
import math
import netrc
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runlake.errors import InvalidArgument, SettingsError
from runlake.values import parse_bytes

CLOUD_APPS = {
    "https://api.wandb.ai": "https://wandb.ai",
    "https://api.forge.coreweave.com": "https://forge.coreweave.com",
}
DEFAULT_BASE_URL = "https://api.wandb.ai"
LOCKING = ("auto", "flock", "soft")
# Scripts set them because the SDK takes them; no reader of ours needs them.
UNUSED_OVERRIDES = ("organization", "run")
# Keys that this process was given by `runlake.login`, by base URL; the last host stands in where
# no other source names one.
_logins: dict[str, Secret] = {}


class Secret:
    """A string that no repr, log line or pickle shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the string itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("A secret does not pickle; it is looked up again where it is needed.")


@dataclass(frozen=True, slots=True)
class Settings:
    """What the client was told, from every source.

    Parameters
    ----------
    base_url, app_url : str
        Root of the API and of the web pages, without a trailing slash.
    cache_dir : Path
        Root of the cache, ``$WANDB_CACHE_DIR/runlake``.
    api_key : Secret or None
        Left out of pickles; unpickling looks it up again.
    entity, project : str or None
        Stand in where a run path leaves them out.
    timeout : float
        Seconds that one request may take (``WANDB_HTTP_TIMEOUT``).
    retry_timeout : float
        Seconds after which a failing request is given up (``RUNLAKE_RETRY_TIMEOUT``).
    lock_timeout : float
        Seconds to wait for other processes: for one that pulls the same run, or for a turn to send
        a request where the rate is shared (``RUNLAKE_LOCK_TIMEOUT``).
    max_workers : int
        Requests in flight at once (``RUNLAKE_MAX_WORKERS``).
    ca_bundle : str or None
        File, or directory of hashed names, with the certificate authorities to trust
        (``REQUESTS_CA_BUNDLE``, ``SSL_CERT_FILE``, ``SSL_CERT_DIR``).
    verify_ssl : bool
        False with ``WANDB_INSECURE_DISABLE_SSL``.
    progress : bool
        False with ``RUNLAKE_PROGRESS=0``.
    offline : bool
        No request is made (``RUNLAKE_OFFLINE``).
    locking : {"auto", "flock", "soft"}
        How processes that share the cache exclude each other (``RUNLAKE_LOCKING``).
    cache_max_bytes : int or None
        Above it the least recently used runs are let go (``RUNLAKE_CACHE_MAX_BYTES``).
    requests_per_second : float or None
        What all processes with this key and this cache together may send to the API
        (``RUNLAKE_REQUESTS_PER_SECOND``); None leaves it to what the backend tells.
    max_bandwidth : int or None
        Bytes per second that the downloads of this process may take (``RUNLAKE_MAX_BANDWIDTH``).
    artifact_dir : Path
        Where artifacts are downloaded to by default (``WANDB_ARTIFACT_DIR``); a relative one counts
        from the working directory of the moment.
    """

    base_url: str
    app_url: str
    cache_dir: Path
    api_key: Secret | None = field(default=None, compare=False)
    entity: str | None = None
    project: str | None = None
    timeout: float = 30.0
    retry_timeout: float = 60.0
    lock_timeout: float = 3600.0
    max_workers: int = 16
    ca_bundle: str | None = None
    verify_ssl: bool = True
    progress: bool = True
    offline: bool = False
    locking: str = "auto"
    cache_max_bytes: int | None = None
    requests_per_second: float | None = None
    max_bandwidth: int | None = None
    artifact_dir: Path = Path("artifacts")

    def __getitem__(self, name: str) -> Any:
        """Return a setting by name, as scripts do that know the SDK's dict."""
        if name not in self.__slots__:
            raise KeyError(name)
        return getattr(self, name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a setting by name, or a default where there is none of that name."""
        return getattr(self, name) if name in self.__slots__ else default

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in self.__slots__}
        state["api_key"] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state["api_key"] = find_api_key(state["base_url"])
        for name, value in state.items():
            object.__setattr__(self, name, value)


def load_settings(
    overrides: Mapping[str, Any] | None = None,
    *,
    api_key: str | None = None,
    timeout: float | None = None,
    offline: bool | None = None,
) -> Settings:
    """Collect the settings from every source.

    Parameters
    ----------
    overrides : mapping, optional
        Explicit values that win over every other source: ``base_url``, ``app_url``, ``entity``,
        ``project``, ``cache_dir`` (holds the ``runlake`` folder, as ``WANDB_CACHE_DIR`` does);
        `UNUSED_OVERRIDES` are ignored.
    api_key : str, optional
        Wins over ``WANDB_API_KEY``, settings files and netrc.
    timeout : float, optional
        Seconds that one request may take.
    offline : bool, optional
        Make no request.

    Returns
    -------
    Settings
        Complete; the API key is None where no source has one.

    Raises
    ------
    SettingsError
        If a value cannot be what its name says; the message names its source.
    """
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    known = {"base_url", "app_url", "entity", "project", "cache_dir", *UNUSED_OVERRIDES}
    unknown = given.keys() - known
    if unknown:
        raise SettingsError(
            f"Unknown override {min(unknown)!r}; known are base_url, app_url, entity, "
            "project and cache_dir.",
            setting=min(unknown),
        )
    files = _read_settings_files()
    named = given.get("base_url") or _variable("WANDB_BASE_URL")
    base_url = named or next(reversed(_logins), None) or files.get("base_url")
    base_url = _checked_url(str(base_url or _default_base_url()), "base_url")
    app_url = given.get("app_url") or _variable("WANDB_APP_URL") or _app_url(base_url)
    return Settings(
        base_url=base_url,
        app_url=_checked_url(str(app_url), "app_url"),
        cache_dir=_cache_dir(given.get("cache_dir")),
        api_key=_checked_key(api_key) if api_key else find_api_key(base_url),
        entity=given.get("entity") or _variable("WANDB_ENTITY") or files.get("entity"),
        project=given.get("project") or _variable("WANDB_PROJECT") or files.get("project"),
        timeout=timeout if timeout is not None else _number("WANDB_HTTP_TIMEOUT") or 30.0,
        retry_timeout=_number("RUNLAKE_RETRY_TIMEOUT") or 60.0,
        lock_timeout=_number("RUNLAKE_LOCK_TIMEOUT") or 3600.0,
        max_workers=max(1, int(_number("RUNLAKE_MAX_WORKERS") or 16)),
        ca_bundle=_existing("REQUESTS_CA_BUNDLE")
        or _existing("SSL_CERT_FILE")
        or _existing("SSL_CERT_DIR"),
        verify_ssl=not _flag("WANDB_INSECURE_DISABLE_SSL", default=False),
        progress=_flag("RUNLAKE_PROGRESS", default=True),
        offline=_flag("RUNLAKE_OFFLINE", default=False) if offline is None else offline,
        locking=_word("RUNLAKE_LOCKING", LOCKING),
        cache_max_bytes=_size("RUNLAKE_CACHE_MAX_BYTES"),
        requests_per_second=_number("RUNLAKE_REQUESTS_PER_SECOND"),
        max_bandwidth=_size("RUNLAKE_MAX_BANDWIDTH"),
        artifact_dir=Path(_variable("WANDB_ARTIFACT_DIR") or "artifacts").expanduser(),
    )


def find_api_key(base_url: str) -> Secret | None:
    """Look the API key of a backend up: `runlake.login`, environment, settings files, netrc.

    Parameters
    ----------
    base_url : str
        Root of the API; netrc entries go by its host and port.

    Returns
    -------
    Secret or None
        None where no source has a key.
    """
    if base_url in _logins:
        return _logins[base_url]
    key = _variable("WANDB_API_KEY")
    if not key:
        files = _read_settings_files()
        if files.get("base_url", "").rstrip("/") == base_url:
            key = files.get("api_key")
    key = key or _netrc_key(base_url)
    return _checked_key(key) if key else None


def remember_login(base_url: str, key: Secret) -> None:
    """Let this process use a key for a backend, and that backend where no other is named.

    Parameters
    ----------
    base_url : str
        Root of the API, as `Settings` has it.
    key : Secret
        Wins over ``WANDB_API_KEY``, settings files and netrc, not over an argument of `Api`.
    """
    _logins.pop(base_url, None)
    _logins[base_url] = key


@dataclass(frozen=True, slots=True)
class EnvironmentProxies:
    """The proxies that the environment names.

    Parameters
    ----------
    by_scheme : mapping of str to Secret
        For ``http``, ``https`` and ``all``; a URL may hold a password.
    exceptions : tuple of str
        The parts of ``NO_PROXY``.
    """

    by_scheme: Mapping[str, Secret]
    exceptions: tuple[str, ...] = ()


def find_proxies() -> EnvironmentProxies:
    """Look the proxies up: variables, and on some systems what is set for the whole machine.

    Returns
    -------
    EnvironmentProxies
        Unchecked: a proxy that no request needs may be wrong.
    """
    from urllib.request import getproxies

    found = {name: Secret(text) for name, text in getproxies().items()}
    exceptions = found.pop("no", Secret("")).reveal().replace(",", " ").split()
    by_scheme = {name: url for name, url in found.items() if name in {"http", "https", "all"}}
    return EnvironmentProxies(by_scheme, tuple(exceptions))


def child_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this environment for a child process that must meet only what is in ``extra``.

    Parameters
    ----------
    extra : mapping of str to str
        Variables to set.

    Returns
    -------
    dict of str to str
        The current variables without ``WANDB_*``, ``RUNLAKE_*`` and proxies, then ``extra``.
    """
    kept = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251
        if not name.startswith(("WANDB_", "RUNLAKE_")) and not name.lower().endswith("_proxy")
    }
    return {**kept, **extra}


def _variable(name: str) -> str | None:
    return os.environ.get(name) or None  # noqa: TID251


def _number(name: str) -> float | None:
    text = _variable(name)
    if text is None:
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number < math.inf:
        raise SettingsError(f"{name}={text!r} is not a positive number.", setting=name)
    return number


def _size(name: str) -> int | None:
    text = _variable(name)
    if text is None:
        return None
    try:
        n_bytes = parse_bytes(text, name)
    except InvalidArgument as error:
        raise SettingsError(error.message, setting=name) from error
    if n_bytes == 0:
        raise SettingsError(f"{name}={text!r} leaves no room at all.", setting=name)
    return n_bytes


def _word(name: str, words: tuple[str, ...]) -> str:
    """Return one of some words; the first is the default."""
    text = _variable(name)
    if text is None:
        return words[0]
    if text.strip().lower() not in words:
        raise SettingsError(f"{name}={text!r} is none of {', '.join(words)}.", setting=name)
    return text.strip().lower()


def _existing(name: str) -> str | None:
    text = _variable(name)
    if text is not None and not Path(text).exists():
        raise SettingsError(
            f"{name}={text!r} is neither a file nor a directory with certificate authorities.",
            setting=name,
        )
    return text


def _flag(name: str, *, default: bool) -> bool:
    text = _variable(name)
    return default if text is None else text.strip().lower() not in {"0", "false", "no", "off"}


def _checked_url(url: str, setting: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(
            f"{setting} {url!r} is not an http(s) URL, such as 'https://api.wandb.ai'.",
            setting=setting,
        )
    if parts.username or parts.password:
        raise SettingsError(
            f"{setting} must not hold a user name or password; set WANDB_API_KEY instead.",
            setting=setting,
        )
    return url.rstrip("/")


def _checked_key(key: str) -> Secret:
    if not key.strip() or not key.isascii() or not key.isprintable():
        raise SettingsError(
            "The API key holds characters that no API key has; copy it again.", setting="api_key"
        )
    return Secret(key.strip())


def _app_url(base_url: str) -> str:
    return CLOUD_APPS.get(base_url) or base_url.replace("://api.", "://app.", 1)


def _default_base_url() -> str:
    found = (url for url in CLOUD_APPS if _netrc_key(url))
    return next(found, DEFAULT_BASE_URL)


def _netrc_key(base_url: str) -> str | None:
    named = _variable("NETRC")
    places = [Path(named)] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for place in places:
        if not place.is_file():
            continue
        try:
            entry = netrc.netrc(str(place)).hosts.get(urlsplit(base_url).netloc)
        except (netrc.NetrcParseError, OSError):
            # A broken file must not stop a script that has its key elsewhere; the SDK only warns.
            continue
        if entry and entry[2]:
            return entry[2]
    return None


def _read_settings_files() -> dict[str, str]:
    config_dir = _variable("WANDB_CONFIG_DIR")
    folder = Path(config_dir) if config_dir else Path.home() / ".config" / "wandb"
    values: dict[str, str] = {}
    for place in (folder / "settings", Path("wandb") / "settings"):
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read(place)
        except configparser.Error as error:
            raise SettingsError(
                f"The settings file {str(place)!r} is not an INI file.", source=str(place)
            ) from error
        if parser.has_section("default"):
            values.update(parser["default"])
    return values


def _cache_dir(given: str | Path | None) -> Path:
    named = given or _variable("WANDB_CACHE_DIR")
    if named:
        return Path(named).expanduser().absolute() / "runlake"
    import platformdirs

    return Path(platformdirs.user_cache_dir("wandb")) / "runlake"
