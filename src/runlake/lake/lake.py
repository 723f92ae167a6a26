"""`Lake`, all runs in a cache directory."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

from runlake.cache.catalog import DATABASE, Catalog
from runlake.cache.layout import LAYOUT_VERSION
from runlake.cache.upkeep.catch_up import catch_up
from runlake.errors import InvalidType
from runlake.errors.screen import line_for_screen
from runlake.lake.disk_source import POLICIES, RAISE, WARN
from runlake.lake.lake_runs import LakeRuns
from runlake.lake.one_run import find_one
from runlake.lake.selection import Selection
from runlake.public.run.run import Run
from runlake.settings import Settings, load_settings
from runlake.values import Projection, check_word

if TYPE_CHECKING:
    from runlake.lake.diff import RunDiff

PathLike: TypeAlias = Union[str, "os.PathLike[str]"]


class Lake(LakeRuns):
    """All runs in a cache directory: those that were pulled, and those that were read.

    Its methods over many runs are those of `Runs`, see `LakeRuns`. No read makes a request.

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
        settings = _settings(path, offline)
        super().__init__(settings, Selection(settings.cache_dir))

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

    def run(self, path: str) -> Run:
        """Return a run as it was when it was last pulled.

        Parameters
        ----------
        path : str
            ``entity/project/run_id``, ``run_id`` if only one run has it, or the URL of its page.

        Returns
        -------
        Run
            Its histories are read from disk. What is not on disk raises `OfflineError` or
            `NotCached`.

        Raises
        ------
        InvalidArgument
            If several runs have this id.
        NotCached
            If the run is not in the lake.
        """
        runs = self._fixed(WARN)
        return runs.open(find_one(runs.runs, path, self.path))

    def diff(
        self,
        a: str | Run,
        b: str | Run,
        keys: list[str] | None = None,
        *,
        incomplete: str = WARN,
    ) -> RunDiff:
        """Compare two runs: config, summary, and the first step at which their curves part.

        Parameters
        ----------
        a, b : str or Run
            The runs; see `run`.
        keys : list of str, optional
            Keys whose curves to compare; all if omitted.
        incomplete : {"warn", "raise", "skip"}
            What to do if a run lacks keys or steps on disk; "skip" is "raise" here.

        Returns
        -------
        RunDiff
            The differences; ``str()`` makes a readable description of them.
        """
        from runlake.lake.diff import diff_runs

        check_word(incomplete, "incomplete", POLICIES)
        Projection.from_arguments(keys)
        pair = self._fixed(WARN if incomplete == WARN else RAISE).chosen(
            [str(one._path) if isinstance(one, Run) else one for one in (a, b)]  # noqa: SLF001
        )
        found = diff_runs(pair, keys)
        pair.source.warn_of_lacking()
        return found

    def __repr__(self) -> str:
        return line_for_screen(f"<Lake {str(self.path)!r}>")


def _settings(path: Any, offline: bool | None) -> Settings:
    if path is None:
        return load_settings(offline=offline)
    if not isinstance(path, (str, os.PathLike)) or not str(path):
        raise InvalidType(f"path must be a directory, not {path!r}.")
    settings = load_settings({"cache_dir": path}, offline=offline)
    root = settings.cache_dir.parent
    is_root = any((root / name).exists() for name in (DATABASE, LAYOUT_VERSION))
    return replace(settings, cache_dir=root) if is_root else settings
