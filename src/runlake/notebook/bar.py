"""A progress bar in the output of a notebook cell, which needs no widgets."""

from __future__ import annotations

from typing import Any

from runlake.notebook.markup import STYLE, brief, element, html_of
from runlake.values import ProgressUpdate

UNITS = ("B", "kB", "MB", "GB", "TB")


class NotebookBar:
    """Progress bar in the output of the running cell.

    Parameters
    ----------
    first : ProgressUpdate
        The progress to show at first.
    """

    def __init__(self, first: ProgressUpdate) -> None:
        from IPython.display import HTML, display

        self._html = HTML
        # With an id, the output can be replaced without widgets, which a notebook may not have.
        self._handle: Any = display(HTML(bar_html(first)), display_id=True)

    def show(self, update: ProgressUpdate) -> None:
        """Show the new progress in place of the old progress."""
        self._handle.update(self._html(bar_html(update)))

    def close(self) -> None:
        """Do nothing, so that the cell keeps the bar with the last progress."""


def bar_html(update: ProgressUpdate) -> str:
    """Return the HTML of a progress bar and of the text beside the bar.

    Examples
    --------
    >>> bar_html(ProgressUpdate(1, 4, "runs", "<b>")).endswith("1 of 4 runs</div>")
    True
    """
    share = {} if update.fraction is None else {"value": f"{update.fraction:.4f}", "max": "1"}
    shown = element("progress", **share)
    said = element("div", shown, f" {brief(update.what)}: {amount_text(update)}", class_="runlake")
    return html_of(element("style", STYLE), said)


def amount_text(update: ProgressUpdate) -> str:
    """Return progress as text with a unit: the amount done, and the total if it is known.

    Examples
    --------
    >>> amount_text(ProgressUpdate(2_500_000, None, "B", "3 exports"))
    '2.5 MB'
    >>> amount_text(ProgressUpdate(3, 12, "runs", "12 runs"))
    '3 of 12 runs'
    """
    if update.unit != "B":
        total = "" if update.total is None else f" of {update.total:,}"
        return f"{update.done:,}{total} {update.unit}"
    total = "" if update.total is None else f" of {bytes_text(update.total)}"
    return f"{bytes_text(update.done)}{total}"


def bytes_text(n_bytes: float) -> str:
    """Return a number of bytes as text, such as ``2.5 MB``."""
    for unit in UNITS:
        if n_bytes < 1000 or unit == UNITS[-1]:  # noqa: PLR2004
            break
        n_bytes /= 1000
    return f"{n_bytes:.3g} {unit}"
