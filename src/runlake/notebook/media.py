"""Media as HTML: pictures, audio and video as data URLs, pages in a frame that runs no scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from runlake.notebook.markup import brief, card, element
from runlake.notebook.pictures import data_url, image_type
from runlake.values.counted import counted

# A notebook stores every output in its file.
MAX_EMBEDDED_BYTES = 8_000_000
# The page may use its own styles and pictures; it loads nothing and runs nothing.
PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; media-src data:"
)
AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg", "flac": "audio/flac"}
VIDEO = {"mp4": "video/mp4", "webm": "video/webm", "ogg": "video/ogg"}


def media_figure(kind: str, name: str, caption: str, content: bytes) -> Element:
    """Return a media file as an element; a file that browsers cannot show is only named.

    Parameters
    ----------
    kind : str
        "image", "audio", "video", "html" or another kind.
    name : str
        Name of the file.
    caption : str
        Text below the media; if empty, the name is shown.
    content : bytes
        The content of the file.
    """
    said = element("figcaption", brief(caption or name, 300))
    if len(content) > MAX_EMBEDDED_BYTES:
        size = counted(len(content), "byte")
        return element("figure", element("p", f"{size}, not shown here"), said)
    suffix = name.rpartition(".")[2].lower()
    if kind == "image":
        return element("figure", _image(suffix, content, caption or name), said)
    if kind == "html":
        return element("figure", _page(content), said, style="display:block")
    if kind == "audio" and suffix in AUDIO:
        shown = element("audio", controls="controls", src=data_url(AUDIO[suffix], content))
        return element("figure", shown, said)
    if kind == "video" and (suffix in VIDEO or suffix == "gif"):
        return element("figure", _video(suffix, content, caption or name), said)
    return element("figure", element("p", f"{brief(kind)}, {counted(len(content), 'byte')}"), said)


def media_card(figures: Sequence[Element]) -> str:
    """Return a card that shows the given figures."""
    return card(element("div", *figures))


def describe(facts: Mapping[str, object]) -> str:
    """Return width and height of logged media as text; empty if they are unknown.

    Examples
    --------
    >>> describe({"width": 3, "height": 2, "size": 10})
    '3 x 2'
    """
    width, height = facts.get("width"), facts.get("height")
    return f"{width} x {height}" if isinstance(width, int) and isinstance(height, int) else ""


def _image(suffix: str, content: bytes, caption: str) -> Element:
    kind = image_type(content)
    if kind is None and suffix == "svg":
        # Inside an img element, an SVG runs no scripts and loads nothing.
        kind = "image/svg+xml"
    if kind is None:
        return element("p", f"not an image that browsers show, {counted(len(content), 'byte')}")
    return element("img", src=data_url(kind, content), alt=brief(caption), style="max-height:none")


def _page(content: bytes) -> Element:
    policy = f'<meta http-equiv="Content-Security-Policy" content="{PAGE_POLICY}">'
    frame = element(
        "iframe",
        # An empty list of permissions: no scripts, no forms, an origin of its own.
        sandbox="",
        style="width:100%;height:320px;border:1px solid var(--line);background:#fff",
    )
    # Set here, because `element` would write carriage returns and direction marks as escapes, which
    # the page would show as text.
    frame.set("srcdoc", policy + content.decode("utf-8", "replace"))
    return frame


def _video(suffix: str, content: bytes, caption: str) -> Element:
    if suffix == "gif":
        return _image(suffix, content, caption)
    return element("video", controls="controls", src=data_url(VIDEO[suffix], content))
