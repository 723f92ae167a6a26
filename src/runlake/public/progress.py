"""A progress bar for downloads, shown only on a terminal or in a notebook."""

from __future__ import annotations

import sys
from typing import Any

from runlake.exports.progress import Progress, Silence
from runlake.public.lists.attributes import is_notebook


def visible_progress(*, is_wanted: bool = True) -> Progress:
    """Return a progress bar of rich or tqdm, or a silent one if nobody would see a bar.

    Parameters
    ----------
    is_wanted : bool
        False if ``RUNLAKE_PROGRESS=0`` is set.
    """
    if not is_wanted or not _is_seen():
        return Silence()
    for kind in (Bar, TqdmBar):
        try:
            return kind()
        except ImportError:
            continue
    return Silence()


def _is_seen() -> bool:
    # A process without a console has no standard error at all.
    is_terminal = getattr(sys.stderr, "isatty", None)
    return bool((is_terminal is not None and is_terminal()) or is_notebook())


class Bar:
    """Progress bar of rich: downloaded bytes of one pull, on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TransferSpeedColumn,
        )

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            console=Console(stderr=True),
            disable=not _is_seen(),
        )

    def start(self, total_bytes: int | None, n_files: int) -> None:
        """Show the bar."""
        self._bar.start()
        self._bar.add_task(_what(n_files), total=total_bytes)

    def advance(self, n_bytes: int) -> None:
        """Move the bar."""
        if self._bar.tasks:
            self._bar.advance(self._bar.tasks[0].id, n_bytes)

    def finish(self) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()


class TqdmBar:
    """Progress bar of tqdm, for installations without rich."""

    def __init__(self) -> None:
        from tqdm.auto import tqdm

        self._tqdm = tqdm
        self._bar: Any = None

    def start(self, total_bytes: int | None, n_files: int) -> None:
        """Show the bar."""
        self._bar = self._tqdm(total=total_bytes, desc=_what(n_files), unit="B", unit_scale=True)

    def advance(self, n_bytes: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(n_bytes)

    def finish(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()


def _what(n_files: int) -> str:
    # A pull of many runs does not know the number when it begins.
    return f"{n_files} exports" if n_files else "exports"
