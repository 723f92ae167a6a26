"""Adds the pages to an embedded backend, which finds `mount` as entry point ``runlake.pages``."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from runlake.errors import StaleWarning
from runlake.pages.entrance import build_entrance
from runlake.pages.login import Login

if TYPE_CHECKING:
    from runlake.pages.source import Source


def mount(base_url: str, directory: Path, user_of_key: Callable[[str], str | None]) -> ASGIApp:
    """Return a backend's pages as an ASGI application; visitors log in with their API keys.

    Parameters
    ----------
    base_url : str
        Address of the backend. The pages send requests to it, with the API key of the visitor.
    directory : Path
        Directory in which the pages cache data; each user has a folder in it.
    user_of_key : callable
        Returns the name of the user of an API key; None if the key is wrong or was revoked.
    """
    # If the backend does not answer, nothing is shown from the cache: the visitor may no longer be
    # allowed to read it.
    warnings.filterwarnings("error", category=StaleWarning)
    return build_entrance(Login(user_of_key, partial(_open_source, base_url, directory)))


def _open_source(base_url: str, directory: Path, key: str, user: str) -> Source:
    from runlake.backend.http.client import Client
    from runlake.cache.rate_limit.budget import SharedBudget
    from runlake.pages.source import ApiSource
    from runlake.public.api import Api

    overrides = {"base_url": base_url, "app_url": base_url, "cache_dir": directory / user}
    api = Api(overrides, api_key=key, offline=False)
    # A proxy cannot reach this machine, and must not see the key.
    settings = replace(api.settings, proxies=False, progress=False)
    api._client = Client(settings, SharedBudget(settings))  # noqa: SLF001
    return ApiSource(api)
