"""Pictures inside a card, as data URLs: only raster formats, which browsers never execute."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

from runlake.notebook.markup import brief, element

# The first bytes decide, because the name and the announced type of a file may be wrong.
MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, or the reason why it is not shown.

    Parameters
    ----------
    caption : str
        Text below the picture.
    content : bytes or None
        The content of the file; None if the picture is not shown.
    reason : str
        Why the picture is not shown.
    """

    caption: str
    content: bytes | None = None
    reason: str = ""


def image_type(content: bytes) -> str | None:
    """Return the MIME type of a raster image by the first bytes; None for any other content.

    Examples
    --------
    >>> image_type(b"GIF89a..."), image_type(b"<svg>")
    ('image/gif', None)
    """
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in MAGIC.items() if content.startswith(start)), None)


def data_url(kind: str, content: bytes) -> str:
    """Return a data URL, which contains the content in base64."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def gallery(pictures: Sequence[Picture]) -> Element:
    """Return an element that shows pictures side by side, each with its caption."""
    return element("div", *map(_figure, pictures))


def _figure(picture: Picture) -> Element:
    caption = element("figcaption", brief(picture.caption, 200))
    kind = None if picture.content is None else image_type(picture.content)
    if picture.content is None or kind is None:
        reason = picture.reason or "not an image that is shown here"
        return element("figure", element("p", brief(reason, 300)), caption)
    shown = element("img", src=data_url(kind, picture.content), alt=brief(picture.caption))
    return element("figure", shown, caption)
