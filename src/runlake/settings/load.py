"""Take each setting from an argument, environment variable, settings file or default."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runlake.errors import SettingsError
from runlake.settings.api_keys import find_api_key, last_login, netrc_key
from runlake.settings.environment import (
    bytes_in,
    count_in,
    directory,
    existing_in,
    flag_in,
    number_in,
    variable,
    word_in,
)
from runlake.settings.secret import checked_key
from runlake.settings.settings import MAX_WORKERS, PACK_RUNS, Settings
from runlake.settings.settings_files import read_settings_files

CLOUD_APPS = {
    "https://api.wandb.ai": "https://wandb.ai",
    "https://api.forge.coreweave.com": "https://forge.coreweave.com",
}
DEFAULT_BASE_URL = "https://api.wandb.ai"
LOCKING = ("auto", "flock", "soft")
# Accepted because scripts written for wandb set them; runlake does not use them.
UNUSED_OVERRIDES = ("organization", "run")


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
        Values that take precedence over every other source: ``base_url``, ``app_url``, ``entity``,
        ``project``, ``cache_dir`` (the parent of the ``runlake`` folder, like ``WANDB_CACHE_DIR``).
        Names in `UNUSED_OVERRIDES` are ignored.
    api_key : str, optional
        Used instead of the key from `runlake.login`, ``WANDB_API_KEY``, settings files or netrc.
    timeout : float, optional
        Seconds without progress after which a request fails, see `Settings`; taken from
        ``WANDB_HTTP_TIMEOUT`` if omitted.
    offline : bool, optional
        Send no request; taken from ``RUNLAKE_OFFLINE`` if omitted.

    Returns
    -------
    Settings
        All settings; ``api_key`` is None if no source has one.

    Raises
    ------
    SettingsError
        If an override is unknown, or a value is unusable; the message names the override, or the
        source of the value.
    """
    secret = None if not api_key else checked_key(api_key, "api_key")
    api_key = None  # keeps the key out of tracebacks that show local variables
    if overrides is not None and not isinstance(overrides, Mapping):
        # Without the value: it may be an API key.
        raise SettingsError(
            f"overrides must be a mapping such as {{'entity': 'team'}}, not of type "
            f"{type(overrides).__name__}. Api().run(path) takes the path of a run, and "
            "Api(api_key=key) an API key."
        )
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    known = {"base_url", "app_url", "entity", "project", "cache_dir", *UNUSED_OVERRIDES}
    unknown = given.keys() - known
    if unknown:
        raise SettingsError(
            f"Unknown override {min(unknown, key=str)!r}; known are base_url, app_url, entity, "
            "project and cache_dir.",
            setting=str(min(unknown, key=str)),
        )
    files = read_settings_files()
    base_url = _base_url(given, files)
    return Settings(
        base_url=base_url,
        app_url=_app_url(given, base_url),
        cache_dir=_cache_dir(given.get("cache_dir")),
        api_key=secret or find_api_key(base_url),
        entity=given.get("entity") or variable("WANDB_ENTITY") or files.get("entity"),
        project=given.get("project") or variable("WANDB_PROJECT") or files.get("project"),
        timeout=_timeout(timeout) or number_in("WANDB_HTTP_TIMEOUT") or 30.0,
        retry_timeout=number_in("RUNLAKE_RETRY_TIMEOUT") or 60.0,
        lock_timeout=number_in("RUNLAKE_LOCK_TIMEOUT") or 3600.0,
        max_workers=max(1, int(number_in("RUNLAKE_MAX_WORKERS") or MAX_WORKERS)),
        ca_bundle=existing_in("REQUESTS_CA_BUNDLE")
        or existing_in("SSL_CERT_FILE")
        or existing_in("SSL_CERT_DIR"),
        verify_ssl=not flag_in("WANDB_INSECURE_DISABLE_SSL", default=False),
        progress=flag_in("RUNLAKE_PROGRESS", default=True),
        offline=flag_in("RUNLAKE_OFFLINE", default=False) if offline is None else offline,
        locking=word_in("RUNLAKE_LOCKING", LOCKING),
        cache_max_bytes=bytes_in("RUNLAKE_CACHE_MAX_BYTES"),
        requests_per_second=number_in("RUNLAKE_REQUESTS_PER_SECOND"),
        max_bandwidth=bytes_in("RUNLAKE_MAX_BANDWIDTH"),
        pack_runs=count_in("RUNLAKE_PACK_RUNS", PACK_RUNS),
        artifact_dir=directory(variable("WANDB_ARTIFACT_DIR") or "artifacts", "WANDB_ARTIFACT_DIR"),
    )


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
        (variable("WANDB_BASE_URL"), "WANDB_BASE_URL"),
        (last_login(), "login"),
        (files.get("base_url"), "base_url in a settings file"),
    )
    for named, source in sources:
        if named:
            return _checked_url(named, "base_url", source)
    return _default_base_url()


def _app_url(given: Mapping[str, Any], base_url: str) -> str:
    for named, source in (
        (given.get("app_url"), "app_url"),
        (variable("WANDB_APP_URL"), "WANDB_APP_URL"),
    ):
        if named:
            return _checked_url(named, "app_url", source)
    # wandb derives the application's host from a self-hosted API's host in the same way.
    return CLOUD_APPS.get(base_url) or base_url.replace("://api.", "://app.", 1)


def _checked_url(url: object, setting: str, source: str) -> str:
    facts = {"setting": setting, "source": source}
    text = str(url)
    # urlsplit silently removes line breaks and tabs, so requests would go to another URL.
    odd = next((c for c in text if not c.isprintable() or c.isspace()), None)
    if odd is not None:
        raise SettingsError(
            f"{source} has a blank or control character, {odd!r}, at character "
            f"{text.index(odd) + 1}. Remove it; often it is a line break at the end.",
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


def _default_base_url() -> str:
    found = (url for url in CLOUD_APPS if netrc_key(url))
    return next(found, DEFAULT_BASE_URL)


def _cache_dir(given: object) -> Path:
    named = given or variable("WANDB_CACHE_DIR")
    if named:
        source = "cache_dir" if given else "WANDB_CACHE_DIR"
        return directory(named, source).absolute() / "runlake"
    import platformdirs

    return Path(platformdirs.user_cache_dir("wandb")) / "runlake"
