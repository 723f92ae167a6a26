"""Build HTML from elements: all text is escaped by the serializer, and the size is limited.

Elements are those of the standard library, so no text can become markup, whatever it contains.
"""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element, tostring

from runlake.errors.screen import shortened, without_controls

Content = Element | str

MAX_TEXT = 160

LIGHT = (
    "--fg:#1f2328;--bg:#fff;--dim:#59636e;--line:#d1d9e0;--soft:#f6f8fa;--link:#0969da;"
    "--curve:#0969da;--good:#1a7f37;--bad:#cf222e;--wait:#8a5a00;"
)
DARK = (
    "--fg:#e6edf3;--bg:#0d1117;--dim:#9198a1;--line:#3d444d;--soft:#151b23;--link:#6cb6ff;"
    "--curve:#6cb6ff;--good:#57d364;--bad:#ff7b72;--wait:#e3b341;"
)
STATES = (
    *("finished", "running", "failed", "crashed"),
    *("killed", "pending", "preempting", "preempted"),
)
# Notebooks have rules for all tables, which would win over those of a single class.
OURS = ".runlake.runlake.runlake"
# A notebook's own theme wins over the system's; its attributes and classes are those of JupyterLab
# and VS Code.
STYLE = f"""
.runlake{{{LIGHT}color-scheme:light}}
@media (prefers-color-scheme:dark){{.runlake{{{DARK}color-scheme:dark}}}}
[data-jp-theme-light=true] .runlake,.vscode-light .runlake{{{LIGHT}color-scheme:light}}
[data-jp-theme-light=false] .runlake,.vscode-dark .runlake{{{DARK}color-scheme:dark}}
.runlake{{font:13px/1.45 system-ui,sans-serif;color:var(--fg);background:var(--bg);
border:1px solid var(--line);border-radius:6px;padding:10px 14px;max-width:72em;overflow:auto;
box-sizing:border-box;text-align:left}}
.runlake h3{{font-size:15px;margin:0 0 2px;color:var(--fg);font-weight:600;overflow-wrap:anywhere}}
.runlake p{{margin:2px 0;color:var(--dim);overflow-wrap:anywhere}}
.runlake a{{color:var(--link)}}
{OURS} table{{border-collapse:collapse;margin:4px 0;font-size:12px;color:var(--fg);border:0}}
{OURS} th,{OURS} td{{padding:1px 10px 1px 0;text-align:left;vertical-align:top;border:0;
background:none;color:var(--fg);max-width:30em;overflow-wrap:anywhere;white-space:normal}}
{OURS} thead th{{border-bottom:1px solid var(--line);font-weight:600;overflow-wrap:normal}}
{OURS} tbody th{{color:var(--dim);font-weight:400}}
{OURS} tr{{background:none}}
{OURS} .n{{text-align:right;font-variant-numeric:tabular-nums}}
.runlake details{{margin:4px 0}}
.runlake details details{{margin:1px 0 1px 12px}}
.runlake summary{{cursor:pointer;font-weight:600}}
.runlake details details>summary{{font-weight:400}}
.runlake svg path{{fill:none;stroke:var(--curve);stroke-width:1.3}}
.runlake svg circle{{fill:var(--curve)}}
.runlake svg .odd{{stroke:var(--bad);stroke-width:1}}
.runlake .finished{{color:var(--good)}}.runlake .running{{color:var(--link)}}
.runlake .failed,.runlake .crashed,.runlake .killed,.runlake .error{{color:var(--bad)}}
.runlake .pending,.runlake .preempting,.runlake .preempted{{color:var(--wait)}}
{",".join(f".runlake td .{state}" for state in STATES)}{{white-space:nowrap}}
.runlake figure{{display:inline-block;margin:4px 10px 4px 0;max-width:100%;vertical-align:top}}
.runlake figure img{{max-height:128px;max-width:100%;image-rendering:auto;display:block}}
.runlake figcaption{{color:var(--dim);font-size:11px;max-width:24em;overflow-wrap:anywhere}}
.runlake pre{{font:12px/1.4 ui-monospace,monospace;white-space:pre-wrap;margin:4px 0;
overflow-wrap:anywhere;color:var(--fg);background:none}}
.runlake progress{{width:22em;max-width:60%;vertical-align:middle}}
"""


def element(tag: str, *content: Content, **attributes: str) -> Element:
    """Return an HTML element; strings in the content become text, never markup.

    Parameters
    ----------
    tag : str
        Name of the element.
    *content : Element or str
        Children and text, in order.
    **attributes : str
        Attributes; ``_`` at the end of a name is left out, so that ``class_`` is ``class``.

    Examples
    --------
    >>> html_of(element("b", "a<b", element("i", "c"), title='"'))
    '<b title="&quot;">a&lt;b<i>c</i></b>'
    """
    made = Element(tag, {name.rstrip("_"): text(value) for name, value in attributes.items()})
    last: Element | None = None
    for one in content:
        if isinstance(one, Element):
            made.append(one)
            last = one
        elif last is None:
            made.text = (made.text or "") + text(one)
        else:
            last.tail = (last.tail or "") + text(one)
    return made


def text(value: str) -> str:
    """Return text with control characters escaped, except tabs and line feeds.

    Characters that change the direction of text are escaped too.
    """
    return without_controls(value)


def brief(value: object, limit: int = MAX_TEXT) -> str:
    """Return a value as text of at most about ``limit`` characters."""
    return shortened(str(value), limit)


def html_of(*elements: Element) -> str:
    """Return the HTML text of elements, one after the other."""
    return "".join(tostring(one, encoding="unicode", method="html") for one in elements)


def link(url: str, shown: str) -> Content:
    """Return a link, or only the text ``shown`` if the URL is not http or https."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:
        scheme = ""
    # The address comes from a backend, and "javascript:" would run in the notebook.
    if scheme not in {"http", "https"}:
        return shown
    return element("a", shown, href=url, target="_blank", rel="noopener noreferrer")


def card(*parts: Element, height: int | None = None) -> str:
    """Return the HTML of a card, with the style sheet for all cards.

    Parameters
    ----------
    *parts : Element
        The parts of the card, from top to bottom.
    height : int, optional
        Maximum height in pixels; a higher card scrolls.
    """
    limit = {} if height is None else {"style": f"max-height:{height:g}px"}
    return html_of(element("style", STYLE), element("div", *parts, class_="runlake", **limit))


def folded(title: str, *parts: Element, is_open: bool = False) -> Element:
    """Return an element with a title and parts; a click on the title shows or hides the parts."""
    opened = {"open": "open"} if is_open else {}
    return element("details", element("summary", title), *parts, **opened)


class Room:
    """Limits the size of a section of a card, by counting the bytes that are left.

    Parameters
    ----------
    n_bytes : int
        Maximum size of the section in bytes.
    """

    def __init__(self, n_bytes: int) -> None:
        self._left = n_bytes

    def takes(self, part: Element) -> bool:
        """Return whether an element fits into the bytes that are left; if so, subtract its size."""
        n_bytes = size_of(part)
        if n_bytes > self._left:
            return False
        self._left -= n_bytes
        return True


def size_of(part: Element) -> int:
    """Return an upper bound for the size of an element as HTML, in bytes.

    Examples
    --------
    >>> part = element("p", "a<b", title="x")
    >>> size_of(part) >= len(html_of(part))
    True
    """
    n_bytes = 0
    # Serializing the element to measure its length would take five times as long.
    for one in part.iter():
        n_bytes += 2 * len(one.tag) + len("<></>")
        for content in (one.text, one.tail):
            if content:
                n_bytes += len(escape(content).encode())
        for name, value in one.items():
            n_bytes += len(name) + len(' =""') + len(escape(value).encode())
    return n_bytes
