"""Environment, netrc and settings files, read once into one frozen value.

Nothing else in the client looks outside. The sources are those of the wandb SDK, later ones
winning: built-in defaults, the global settings file, ``./wandb/settings``, ``WANDB_*`` variables,
explicit arguments.
"""

from __future__ import annotations

import configparser
import io
import math
import netrc
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runlake.errors import InvalidArgument, SettingsError
from runlake.errors.user_line import warn
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
    secret = None if not api_key else _checked_key(api_key, "api_key")
    api_key = None  # a traceback that shows local variables shows no key
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    known = {"base_url", "app_url", "entity", "project", "cache_dir", *UNUSED_OVERRIDES}
    unknown = given.keys() - known
    if unknown:
        raise SettingsError(
            f"Unknown override {min(unknown, key=str)!r}; known are base_url, app_url, entity, "
            "project and cache_dir.",
            setting=str(min(unknown, key=str)),
        )
    files = _read_settings_files()
    base_url = _base_url(given, files)
    return Settings(
        base_url=base_url,
        app_url=_app_url(given, base_url),
        cache_dir=_cache_dir(given.get("cache_dir")),
        api_key=secret or find_api_key(base_url),
        entity=given.get("entity") or _variable("WANDB_ENTITY") or files.get("entity"),
        project=given.get("project") or _variable("WANDB_PROJECT") or files.get("project"),
        timeout=_timeout(timeout) or _number("WANDB_HTTP_TIMEOUT") or 30.0,
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
        artifact_dir=_directory(
            _variable("WANDB_ARTIFACT_DIR") or "artifacts", "WANDB_ARTIFACT_DIR"
        ),
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
    named = _variable("WANDB_API_KEY")
    if named:
        return _checked_key(named, "WANDB_API_KEY")
    files = _read_settings_files()
    if str(files.get("base_url", "")).rstrip("/") == base_url and files.get("api_key"):
        return _checked_key(files["api_key"].reveal(), "api_key in a settings file")
    return _netrc_key(base_url)


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


def _variable(name: str, default: str | None = None) -> str | None:
    return os.environ.get(name) or default  # noqa: TID251


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


def _timeout(given: object) -> float | None:
    if given is None:
        return None
    is_number = isinstance(given, (int, float)) and not isinstance(given, bool)
    if not is_number or not 0 < float(given) < math.inf:  # type: ignore[arg-type]
        raise SettingsError(
            f"timeout={given!r} is not a positive number of seconds.", setting="timeout"
        )
    return float(given)  # type: ignore[arg-type]


def _base_url(given: Mapping[str, Any], files: Mapping[str, Any]) -> str:
    sources = (
        (given.get("base_url"), "base_url"),
        (_variable("WANDB_BASE_URL"), "WANDB_BASE_URL"),
        (next(reversed(_logins), None), "login"),
        (files.get("base_url"), "base_url in a settings file"),
    )
    for named, source in sources:
        if named:
            return _checked_url(named, "base_url", source)
    return _default_base_url()


def _app_url(given: Mapping[str, Any], base_url: str) -> str:
    for named, source in (
        (given.get("app_url"), "app_url"),
        (_variable("WANDB_APP_URL"), "WANDB_APP_URL"),
    ):
        if named:
            return _checked_url(named, "app_url", source)
    return CLOUD_APPS.get(base_url) or base_url.replace("://api.", "://app.", 1)


def _checked_url(url: object, setting: str, source: str) -> str:
    facts = {"setting": setting, "source": source}
    text = str(url)
    # Python's own parser leaves line breaks out, so that another URL would be asked.
    odd = next((c for c in text if not c.isprintable() or c.isspace()), None)
    if odd is not None:
        raise SettingsError(
            f"{source} has a blank or control character, {odd!r}, at character "
            f"{text.index(odd) + 1}. Take it out; is there a line break at the end?",
            **facts,
        )
    try:
        parts = urlsplit(text)
        is_usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_usable = False
        parts = None
    if parts is not None and (parts.username or parts.password):
        raise SettingsError(
            f"{source} must not hold a user name or password; set WANDB_API_KEY instead.", **facts
        )
    if not is_usable:
        shown = text.rpartition("@")[2][:200]
        raise SettingsError(
            f"{source} {shown!r} is not an http(s) URL, such as 'https://api.wandb.ai'.", **facts
        )
    return text.rstrip("/")


def _checked_key(key: object, source: str) -> Secret:
    if not isinstance(key, str):
        raise SettingsError(
            f"The API key of {source} is of type {type(key).__name__}, not a string.",
            setting="api_key",
            source=source,
        )
    text = key.strip(" ")
    odd = next((c for c in text if not c.isascii() or not c.isprintable() or c == " "), None)
    if odd is not None or not text:
        what = "is blank" if odd is None else f"holds {_kind(odd)}, which no API key has"
        raise SettingsError(
            f"The API key of {source} {what}; copy it again.", setting="api_key", source=source
        )
    return Secret(text)


def _kind(character: str) -> str:
    if character.isspace():
        return "a line break" if character in "\r\n" else "a blank"
    return "a letter beyond ASCII" if character.isprintable() else "a control character"


def _default_base_url() -> str:
    found = (url for url in CLOUD_APPS if _netrc_key(url))
    return next(found, DEFAULT_BASE_URL)


def _netrc_key(base_url: str) -> Secret | None:
    named = _variable("NETRC")
    home = _home()
    places = [home / ".netrc", home / "_netrc"] if home else []
    if named:
        places = [_directory(named, "NETRC")]
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
            return _checked_key(entry[2], f"{str(place)!r}")
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
        # The library's own constructor reads a file in UTF-8 or the locale's encoding, which is
        # UTF-8 too.
        self._parse(str(place), io.StringIO(text), False)  # type: ignore[attr-defined]


def _read_settings_files() -> dict[str, Any]:
    named = _variable("WANDB_CONFIG_DIR")
    home = _home()
    folder = home / ".config" / "wandb" if home else None
    if named:
        folder = _directory(named, "WANDB_CONFIG_DIR")
    values: dict[str, Any] = {}
    for place in (*([folder / "settings"] if folder else []), Path("wandb") / "settings"):
        try:
            content = place.read_bytes()
        except OSError:
            continue
        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(content.decode("utf-8-sig"), str(place))
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise SettingsError(
                f"The settings file {str(place)!r} is not UTF-8 in line {line}. Save it as UTF-8.",
                source=str(place),
            ) from None
        except configparser.Error as error:
            line = getattr(error, "lineno", None) or next(iter(getattr(error, "errors", [(0,)])))[0]
            where = f" in line {line}" if line else ""
            # Not `from` the library's error, which quotes the line, and so perhaps the key.
            raise SettingsError(
                f"The settings file {str(place)!r} is not an INI file{where}: it wants a section "
                "[default] with lines of 'name = value', each name once.",
                source=str(place),
            ) from None
        if parser.has_section("default"):
            for name, text in parser["default"].items():
                values[name] = Secret(text) if name == "api_key" else text
    return values


def _home() -> Path | None:
    """Return the home directory; a container's user may have none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def _directory(named: object, source: str) -> Path:
    """Return a path with ``~`` and ``~user`` resolved."""
    try:
        return Path(named).expanduser()  # type: ignore[arg-type]
    except (RuntimeError, TypeError, ValueError) as error:
        raise SettingsError(
            f"{source}={named!r} is no path: {error}.", setting=source, source=source
        ) from error


def _cache_dir(given: object) -> Path:
    named = given or _variable("WANDB_CACHE_DIR")
    if named:
        source = "cache_dir" if given else "WANDB_CACHE_DIR"
        return _directory(named, source).absolute() / "runlake"
    import platformdirs

    return Path(platformdirs.user_cache_dir("wandb")) / "runlake"
