"""Builds cards from a heading, tables and notes; notebooks show most objects as such cards."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from runlake.notebook.markup import Content, brief, card, element, folded, html_of
from runlake.notebook.tables import facts

MAX_NOTES = 12


def heading(title: str, *after: Content) -> Element:
    """Return the first line of a card: the title, and further content after the title."""
    return element("h3", brief(title, 200), *(part for one in after for part in (" ", one)))


def notes_of(notes: Sequence[str]) -> list[Element]:
    """Return a line for each of the first `MAX_NOTES` notes, and a line that counts the others."""
    shown = [element("p", brief(note, 400)) for note in notes[:MAX_NOTES]]
    if len(notes) > MAX_NOTES:
        shown.append(element("p", f"{len(notes) - MAX_NOTES:,} more notes"))
    return shown


def facts_card(
    title: str,
    pairs: Sequence[tuple[str, Content | None]] = (),
    parts: Sequence[Element] = (),
    notes: Sequence[str] = (),
    *,
    height: int | None = None,
) -> str:
    """Return a card with a title, a table of names and values, further parts, and notes.

    Parameters
    ----------
    title : str
        The heading of the card.
    pairs : sequence of tuple of str and Element or str or None
        Names and values; empty values are left out.
    parts : sequence of Element
        Tables and trees below the table of names and values.
    notes : sequence of str
        Lines at the end of the card.
    height : int, optional
        Maximum height in pixels.
    """
    return card(heading(title), facts(pairs), *parts, *notes_of(notes), height=height)


def failed_card(title: str, reason: str) -> str:
    """Return a card that says why an object cannot be shown."""
    return card(heading(title), element("p", brief(reason, 1000), class_="error"))


def text_card(shown: str) -> str:
    """Return a card of preformatted text."""
    return card(element("pre", brief(shown, 20_000)))


def hidden_behind(title: str, shown: str) -> str:
    """Return a finished card folded below a title; a click on the title shows the card."""
    opened = html_of(folded(brief(title, 200)))
    # `shown` is a finished card, which an element could only contain as text.
    return f"{opened.removesuffix('</details>')}{shown}</details>"
