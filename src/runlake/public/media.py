"""`Media`: a logged image, audio, video or HTML page, with its file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.errors.screen import line_for_screen

if TYPE_CHECKING:
    from runlake.history.media import MediaItem


class Media:
    """A media file that a run logged: an image, audio, a video, an HTML page, ...

    A notebook displays the media. A displayed HTML page runs no scripts and loads no other files.

    Parameters
    ----------
    item : MediaItem
        The logged fields of the media, from a cell of the history.
    path : Path
        The file on disk.
    """

    def __init__(self, item: MediaItem, path: Path) -> None:
        self._facts = dict(item.facts)
        self._kind = item.kind
        self._name = item.name or str(item.facts.get("artifact_path"))
        self._path = path

    @property
    def kind(self) -> str:
        """The kind of the media.

        One of "image", "audio", "video", "html", "object3D", "molecule", "plotly" and "bokeh".
        """
        return self._kind

    @property
    def name(self) -> str:
        """The file's name in the run, or for a file in an artifact, its logged URL."""
        return self._name

    @property
    def path(self) -> Path:
        """Path of the file in the cache. Copy the file if you want to keep or change it."""
        return self._path

    @property
    def caption(self) -> str | None:
        """The caption; None if no caption was logged."""
        caption = self._facts.get("caption")
        return caption if isinstance(caption, str) and caption else None

    @property
    def width(self) -> int | None:
        """Width in pixels; None if no width was logged."""
        return _whole(self._facts.get("width"))

    @property
    def height(self) -> int | None:
        """Height in pixels; None if no height was logged."""
        return _whole(self._facts.get("height"))

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        return self._path.stat().st_size

    @property
    def sha256(self) -> str | None:
        """The file's logged SHA-256 digest in hex; None if no digest was logged."""
        digest = self._facts.get("sha256")
        return digest if isinstance(digest, str) else None

    @property
    def facts(self) -> Mapping[str, Any]:
        """All logged fields of the media, such as ``boxes`` and ``masks`` of an image."""
        return self._facts

    def read_bytes(self) -> bytes:
        """Return the content of the file."""
        return self._path.read_bytes()

    def read_text(self) -> str:
        """Return the content of the file as text, in UTF-8."""
        return self._path.read_text("utf-8", "replace")

    def _repr_png_(self) -> bytes | None:
        return self._image_of("image/png")

    def _repr_jpeg_(self) -> bytes | None:
        return self._image_of("image/jpeg")

    def _image_of(self, kind: str) -> bytes | None:
        from runlake.notebook.pictures import image_type

        try:
            content = self.read_bytes() if self._kind == "image" else b""
        except OSError:
            # The card shows the error.
            return None
        return content if image_type(content) == kind else None

    def _repr_html_(self) -> str:
        return MediaList([self])._repr_html_()

    def __repr__(self) -> str:
        from runlake.notebook.media import describe

        said = ": ".join(filter(None, [self._name, self.caption]))
        words = " ".join(filter(None, [self._kind, describe(self._facts), said]))
        return line_for_screen(f"<Media {words}>")


class MediaList(list[Media]):
    """The media that a run logged as one list, such as several images under one key.

    Parameters
    ----------
    media : iterable of Media
        The media, in the logged order.
    """

    def __init__(self, media: Iterable[Media] = ()) -> None:
        super().__init__(media)

    def _repr_html_(self) -> str:
        from runlake.notebook.media import describe, media_card, media_figure
        from runlake.public.cards.shown import card_of

        def build() -> str:
            return media_card(
                [
                    media_figure(
                        one.kind,
                        one.name,
                        " ".join(filter(None, [one.caption or one.name, describe(one.facts)])),
                        one.read_bytes(),
                    )
                    for one in self
                ]
            )

        return card_of(self, build)

    def __repr__(self) -> str:
        kinds = {one.kind for one in self}
        return line_for_screen(f"<MediaList of {len(self):,} {'/'.join(sorted(kinds))}>")


def _whole(value: object) -> int | None:
    # A bool is an int in Python.
    return value if isinstance(value, int) and not isinstance(value, bool) else None
