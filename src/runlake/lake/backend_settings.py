"""Settings for offline clients, one for each backend from which runs were pulled."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from runlake.settings import Settings, load_settings


# A lake has thousands of runs of few backends; the settings files are read once per backend.
@lru_cache(maxsize=64)
def settings_of(backend: str, cache_dir: Path) -> Settings:
    """Return the settings for an offline client of one backend, without an API key."""
    found = load_settings({"base_url": backend}, offline=True)
    return replace(found, cache_dir=cache_dir, api_key=None)


def is_of_lake(settings: Settings, cache_dir: Path) -> bool:
    """Return whether settings are those with which a lake in ``cache_dir`` opens its runs."""
    # Not compared by value: an `Api` that the user has turned offline may have equal settings.
    return settings is settings_of(settings.base_url, cache_dir)
