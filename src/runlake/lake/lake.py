"""`Lake`, all runs in a cache directory."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias, Union

from runlake.cache.catalog import DATABASE, Catalog
from runlake.cache.layout import LAYOUT_VERSION
from runlake.cache.upkeep.catch_up import catch_up
from runlake.errors import InvalidType
from runlake.errors.screen import line_for_screen
from runlake.settings import Settings, load_settings

PathLike: TypeAlias = Union[str, "os.PathLike[str]"]


class Lake:
    """All runs in a cache directory: those that were pulled, and those that were read.

    Parameters
    ----------
    path : path, optional
        The cache directory, as ``WANDB_CACHE_DIR`` names it, or the folder ``runlake`` in it. If
        omitted, the settings name the directory.
    offline : bool, optional
        Refuse `pull`. If omitted, the setting ``RUNLAKE_OFFLINE`` decides. Reads never need a
        network.

    Raises
    ------
    InvalidType
        If ``path`` is not a path.
    SettingsError
        If a setting has an invalid value.
    """

    def __init__(self, path: PathLike | None = None, *, offline: bool | None = None) -> None:
        self._settings = _settings(path, offline)

    @property
    def path(self) -> Path:
        """The directory with the catalog and the runs."""
        return self._settings.cache_dir

    @property
    def settings(self) -> Settings:
        """The settings in use: arguments, environment and settings files combined."""
        return self._settings

    @property
    def _catalog(self) -> Catalog:
        """The catalog, which has every run whose manifest is on disk."""
        catch_up(self._settings.cache_dir)
        return Catalog(self._settings.cache_dir)

    def __repr__(self) -> str:
        return line_for_screen(f"<Lake {str(self.path)!r}>")


def _settings(path: PathLike | None, offline: bool | None) -> Settings:
    if path is None:
        return load_settings(offline=offline)
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise InvalidType(f"path must be a directory, not {path!r}.")
    settings = load_settings({"cache_dir": path}, offline=offline)
    root = settings.cache_dir.parent
    is_root = any((root / name).exists() for name in (DATABASE, LAYOUT_VERSION))
    return replace(settings, cache_dir=root) if is_root else settings
