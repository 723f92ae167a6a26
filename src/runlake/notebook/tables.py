"""Tables of a card: names with values in two columns, and rows with a header."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element

from runlake.notebook.markup import STATES, Content, Room, brief, element


def facts(pairs: Iterable[tuple[str, Content | None]]) -> Element:
    """Return a table of names and values; values that are None or empty are left out."""
    rows = []
    for name, value in pairs:
        if value is not None and value != "":
            shown = brief(value, 400) if isinstance(value, str) else value
            rows.append(element("tr", element("th", name), element("td", shown)))
    return element("table", element("tbody", *rows))


def rows_table(
    header: Sequence[str], rows: Iterable[Sequence[Content]], room: Room, more: str
) -> list[Element]:
    """Return a table with a header, and a line with the number of rows that do not fit.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence of Element or str
        The cells of each row. Text that is a number is right-aligned.
    room : Room
        Limits the size of all rows together.
    more : str
        Text that says how to see all rows, such as ``runs.frame()``.
    """
    body: list[Element] = []
    left_out = 0
    for cells in rows:
        row = element("tr", *map(_cell, cells))
        # After the first row without room, no smaller row is shown: the rows have no gaps.
        if left_out or not room.takes(row):
            left_out += 1
        else:
            body.append(row)
    head = element("thead", element("tr", *(element("th", brief(name)) for name in header)))
    parts = [element("table", head, element("tbody", *body))]
    if left_out:
        parts.append(element("p", f"{left_out:,} more: {more}"))
    return parts


def state_text(state: object) -> Element:
    """Return an element with the state of a run, in the colour of the state."""
    shown = brief(state, 40)
    return element("span", shown, **({"class_": shown} if shown in STATES else {}))


def _cell(content: Content) -> Element:
    if not isinstance(content, str):
        return element("td", content)
    shown = brief(content)
    return element("td", shown, class_="n") if _is_number(shown) else element("td", shown)


def _is_number(shown: str) -> bool:
    try:
        float(shown.replace(",", ""))
    except ValueError:
        return False
    return True
