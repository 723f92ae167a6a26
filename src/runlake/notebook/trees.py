"""Shows nested mappings, such as configs, as trees of limited size that a click unfolds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from runlake.notebook.cells import cell_text, is_tree
from runlake.notebook.markup import Room, brief, element

MAX_DEPTH = 6
MAX_KEY = 100


def tree(title: str, values: Mapping[str, Any], room: Room, more: str) -> Element:
    """Return a mapping as an element ``details``: a table of values, and inner mappings as trees.

    Parameters
    ----------
    title : str
        Name of the mapping.
    values : mapping
        The values, of any type.
    room : Room
        Limits the size; entries that do not fit are counted.
    more : str
        Text that says how to see all values, such as ``run.config``.

    Examples
    --------
    >>> from runlake.notebook.markup import html_of
    >>> html_of(tree("config", {"lr": 0.1}, Room(1000), "run.config"))[:49]
    '<details><summary>config (1)</summary><table><tbo'
    """
    summary = element("summary", f"{brief(title, MAX_KEY)} ({len(values):,})")
    top = element("details", summary)
    left_out = _fill(top, values, room, 1)
    if left_out:
        top.append(element("p", f"{left_out:,} more: {more}"))
    return top


def _fill(top: Element, values: Mapping[str, Any], room: Room, depth: int) -> int:
    """Append the values to an element; return the number of entries that do not fit."""
    rows: list[Element] = []
    branches: list[Element] = []
    left_out = n_seen = 0
    for key, value in values.items():
        # Deeper mappings are shown as text in one cell.
        is_branch = is_tree(value) and bool(value) and depth < MAX_DEPTH
        if is_branch:
            branch = element("details", element("summary", f"{_name(key)} ({len(value):,})"))
            # No smaller entry is shown after the first without room: the entries have no gaps.
            if not room.takes(branch):
                break
            left_out += _fill(branch, value, room, depth + 1)
            branches.append(branch)
        else:
            row = element("tr", element("th", _name(key)), element("td", cell_text(value)))
            if not room.takes(row):
                break
            rows.append(row)
        n_seen += 1
    if rows:
        top.append(element("table", element("tbody", *rows)))
    top.extend(branches)
    return left_out + len(values) - n_seen


def _name(key: object) -> str:
    return brief(key, MAX_KEY)
