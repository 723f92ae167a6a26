"""Report progress with a bar, with a function, or not at all, by the argument ``progress``."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

from runlake.errors import InvalidType
from runlake.errors.screen import line_for_screen
from runlake.exports.progress import Progress, Silence
from runlake.public.lists.attributes import is_notebook
from runlake.settings import Settings
from runlake.values import ProgressOption, ProgressUpdate

# Work that takes less time shows no bar.
DELAY_SECONDS = 1.0
# Minimum time between two drawings of a bar.
REDRAW_SECONDS = 0.1


def progress_of(
    settings: Settings, option: ProgressOption = None, *, delay: float = DELAY_SECONDS
) -> Progress:
    """Return an object that shows progress in the way that ``option`` says.

    Parameters
    ----------
    settings : Settings
        The setting ``RUNLAKE_PROGRESS`` decides whether bars are shown if ``option`` is None.
    option : bool, callable or None
        The argument ``progress`` of a public method. False shows nothing. True shows a bar at once;
        None shows a bar after ``delay`` seconds if the settings allow bars. Bars are shown only on
        a terminal or in a notebook. A callable is called with each `ProgressUpdate`.
    delay : float
        Seconds of work after which a bar appears if ``option`` is None.

    Raises
    ------
    InvalidType
        If the option is neither a bool, None nor a function.
    """
    check_progress(option)
    if option is False or (option is None and not settings.progress):
        return Silence()
    if option is None or option is True:
        return ShownProgress(0.0 if option else delay) if _is_seen() else Silence()
    return ReportedProgress(option)


def check_progress(option: object) -> None:
    """Raise `InvalidType` if an argument ``progress`` is neither a bool, None nor a function."""
    if not (option is None or isinstance(option, bool) or callable(option)):
        raise InvalidType(f"progress must be True, False or a function, not {option!r}.")


class Drawing(Protocol):
    """A progress bar on the screen; the constructor draws it with the counts in ``first``."""

    def __init__(self, first: ProgressUpdate) -> None: ...

    def show(self, update: ProgressUpdate) -> None:
        """Draw the bar again, with the number of finished units in ``update``."""

    def close(self) -> None:
        """Stop updating the bar; it stays on the screen."""


class ReportedProgress:
    """Calls a function when work starts and when units of work are finished.

    An exception that the function raises ends the work.

    Parameters
    ----------
    report : callable
        Called with a `ProgressUpdate`, in the threads that do the work, one call at a time.
    """

    def __init__(self, report: Callable[[ProgressUpdate], object]) -> None:
        self._report = report
        self._now = ProgressUpdate(0, None, "", "")

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Call the function at the start of the work, when no unit is finished yet."""
        self._now = ProgressUpdate(0, total, unit, what)
        self._report(self._now)

    def advance(self, n_done: int) -> None:
        """Call the function after ``n_done`` more units were finished."""
        now = self._now
        self._now = ProgressUpdate(now.done + n_done, now.total, now.unit, now.what)
        self._report(self._now)

    def finish(self) -> None:
        """Do nothing: the last call of the function already reported the final count."""


class ShownProgress:
    """Shows a bar on a terminal or in a notebook, if a library for bars is installed.

    Parameters
    ----------
    delay : float
        Seconds after which a bar appears.
    """

    def __init__(self, delay: float) -> None:
        self._delay = delay
        self._now = ProgressUpdate(0, None, "", "")
        self._drawn_at = 0.0
        self._bar: Drawing | None = None
        self._has_library = True

    def start(self, what: str, total: int | None, unit: str) -> None:
        """Set the count of finished units to zero; the bar appears after the delay."""
        self._now = ProgressUpdate(0, total, unit, line_for_screen(what))
        self._bar = None
        # As if it had been drawn in the future, so that the bar first appears after the delay.
        self._drawn_at = time.monotonic() + self._delay - REDRAW_SECONDS
        if not self._delay:
            self._draw()

    def advance(self, n_done: int) -> None:
        """Add ``n_done`` to the count of finished units, and move the bar."""
        now = self._now
        self._now = ProgressUpdate(now.done + n_done, now.total, now.unit, now.what)
        if self._has_library and time.monotonic() >= self._drawn_at + REDRAW_SECONDS:
            self._draw()

    def finish(self) -> None:
        """Draw the bar once more, and stop updating it; it stays on the screen."""
        if self._bar is not None:
            self._bar.show(self._now)
            self._bar.close()
            self._bar = None

    def _draw(self) -> None:
        self._drawn_at = time.monotonic()
        if self._bar is not None:
            self._bar.show(self._now)
        elif self._has_library:
            self._bar = _open_bar(self._now)
            self._has_library = self._bar is not None


def _is_seen() -> bool:
    # A process without a console has no standard error at all.
    is_terminal = getattr(sys.stderr, "isatty", None)
    return bool((is_terminal is not None and is_terminal()) or is_notebook())


def _open_bar(first: ProgressUpdate) -> Drawing | None:
    """Return a bar of the first library for bars that is installed; None if there is none."""
    from runlake.notebook.bar import NotebookBar

    # Each class imports its library in its constructor.
    kinds: list[type[Drawing]] = [NotebookBar] if is_notebook() else [RichBar, TqdmBar]
    for kind in kinds:
        try:
            return kind(first)
        except ImportError:
            continue
    return None


class RichBar:
    """Progress bar on standard error, drawn by the library rich.

    Parameters
    ----------
    first : ProgressUpdate
        The first update to show.
    """

    def __init__(self, first: ProgressUpdate) -> None:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TransferSpeedColumn,
        )

        counted = [DownloadColumn(), TransferSpeedColumn()]
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            *(counted if first.unit == "B" else [MofNCompleteColumn()]),
            console=Console(stderr=True),
        )
        self._bar.start()
        what = escape(first.what)
        self._task = self._bar.add_task(what, total=first.total, completed=first.done)

    def show(self, update: ProgressUpdate) -> None:
        """Move the bar to the number of finished units in ``update``."""
        self._bar.update(self._task, completed=update.done)

    def close(self) -> None:
        """Stop updating the bar; it stays on the screen."""
        self._bar.stop()


class TqdmBar:
    """Progress bar on standard error, drawn by the library tqdm if rich is not installed.

    Parameters
    ----------
    first : ProgressUpdate
        The first update to show.
    """

    def __init__(self, first: ProgressUpdate) -> None:
        from tqdm import tqdm

        is_bytes = first.unit == "B"
        self._bar: Any = tqdm(
            total=first.total, desc=first.what, unit=first.unit, unit_scale=is_bytes
        )

    def show(self, update: ProgressUpdate) -> None:
        """Move the bar to the number of finished units in ``update``."""
        self._bar.update(update.done - self._bar.n)

    def close(self) -> None:
        """Stop updating the bar; it stays on the screen."""
        self._bar.close()
