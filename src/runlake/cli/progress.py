"""A bar on a terminal, silence in a pipe."""

from __future__ import annotations

import sys

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn


class Bar:
    """Shows the bytes of one pull."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            disable=not sys.stderr.isatty(),
        )

    def start(self, total_bytes: int | None, n_files: int) -> None:
        """Show the bar."""
        self._bar.start()
        self._bar.add_task(f"{n_files} exports", total=total_bytes)

    def advance(self, n_bytes: int) -> None:
        """Move the bar."""
        if self._bar.tasks:
            self._bar.advance(self._bar.tasks[0].id, n_bytes)

    def finish(self) -> None:
        """Leave the bar as it stands."""
        self._bar.stop()
