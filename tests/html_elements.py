"""The elements of HTML as a parser finds them, for tests of what is shown in notebooks."""

from __future__ import annotations

from html.parser import HTMLParser

HOSTILE = [
    "plain",
    "it's",
    "' onload='alert(1)",
    '" onload="alert(1)',
    "'></iframe><script>alert(1)</script>",
    "</style></td></table><img src=x onerror=alert(1)>",
    "a\n<b>\r\n\t&amp;&lt;",
    "\u65e5\u672c&x=y#z?q",
    "javascript:alert(1)",
    "\x1b]52;c;aGk=\x07\u202e",
]
# What cards are made of. Whatever else a parser finds came out of a name.
TAGS = {
    *("style", "div", "h3", "p", "span", "a", "table", "thead", "tbody", "tr", "th", "td"),
    *("details", "summary", "svg", "title", "path", "circle", "figure", "figcaption", "img", "pre"),
    *("progress", "audio", "video", "iframe"),
}


class Elements(HTMLParser):
    """The elements of a text, with their attributes, and the text outside of style sheets."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of all elements of one kind."""
        return [attrs for name, attrs in self.seen if name == tag]


def assert_safe(shown: str) -> Elements:
    """Check that HTML runs and loads nothing; return its elements."""
    found = Elements(shown)
    assert {tag for tag, _ in found.seen} <= TAGS
    for tag, attrs in found.seen:
        assert not [name for name in attrs if name.startswith("on")], attrs
        assert (attrs.get("href") or "http").startswith("http"), attrs
        assert (attrs.get("src") or "data:").startswith("data:"), attrs
        assert tag != "iframe" or attrs.get("sandbox") == "", attrs
    style = shown.partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    assert not set("\x1b\x07\x00\u202e") & set(shown)
    shown.encode()
    return found
