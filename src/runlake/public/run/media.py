"""Methods of a run that open logged media: images, audio, videos, HTML pages, tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from runlake.errors import InvalidArgument, InvalidType
from runlake.public.run.fields import RunFields

if TYPE_CHECKING:
    import polars as pl

    from runlake.public.media import Media, MediaList


class RunMedia(RunFields):
    """Methods of a run that open logged media."""

    def media(
        self, key: str | Mapping[str, Any], step: int | None = None
    ) -> Media | MediaList | pl.DataFrame:
        """Open logged media: an image, audio, a video, an HTML page, a table, or a list of media.

        Parameters
        ----------
        key : str or mapping
            The key, or a cell of the history: ``row[key]`` of a row from `scan_history`.
        step : int, optional
            The step at which the media was logged. If omitted, the last step that has the key
            is used.

        Returns
        -------
        Media, MediaList or polars.DataFrame
            A table is a frame, as from `table`. A list of images or other media is a `MediaList`.

        Raises
        ------
        InvalidArgument
            If no media was logged under this key, or at this step.
        NotCached
            If offline mode is on and the file is not in the cache.
        RunFileNotFoundError, ArtifactNotFoundError
            If the file was deleted.
        FileTransferError
            If the file cannot be downloaded, or its SHA-256 is not the logged one.

        Notes
        -----
        Files are downloaded to the cache once, and checked by their logged SHA-256 at every use. A
        file that is not in the cache costs two requests: one lists it, one downloads it. If no
        SHA-256 was logged, every use costs one request, for the MD5 digest with which the backend
        lists the file; without such a digest, the file is downloaded again.
        """
        from runlake.history.tables import TABLE_TYPES, read_table_cell

        cell = self._media_cell(key, step)
        if isinstance(cell, Mapping) and cell.get("_type") in TABLE_TYPES:
            return read_table_cell(self._client, self._path, cell)
        return self._open_media(key, step, cell, None)

    def image(self, key: str | Mapping[str, Any], step: int | None = None) -> Media | MediaList:
        """Open a logged image, or a list of images; see `media`."""
        return self._open_media(key, step, self._media_cell(key, step), "image")

    def audio(self, key: str | Mapping[str, Any], step: int | None = None) -> Media | MediaList:
        """Open logged audio, or a list of audio files; see `media`."""
        return self._open_media(key, step, self._media_cell(key, step), "audio")

    def video(self, key: str | Mapping[str, Any], step: int | None = None) -> Media | MediaList:
        """Open a logged video, or a list of videos; see `media`."""
        return self._open_media(key, step, self._media_cell(key, step), "video")

    def html(self, key: str | Mapping[str, Any], step: int | None = None) -> Media | MediaList:
        """Open an HTML page logged with ``wandb.Html``, or a list of HTML pages; see `media`."""
        return self._open_media(key, step, self._media_cell(key, step), "html")

    def _media_cell(self, key: str | Mapping[str, Any], step: int | None) -> Any:
        from runlake.history.logged_value import logged_value

        if isinstance(key, Mapping):
            if step is not None:
                raise InvalidArgument("step must be omitted if a cell is given in place of a key.")
            return key
        if not isinstance(key, str):
            raise InvalidType(f"key must be a key or a cell of the history, not {key!r}.")
        # The value at a step is read from the history: then the summary need not be loaded.
        summary = self.summary_metrics if step is None else {}
        return logged_value(self._client, self._path, key, step, summary)

    def _open_media(
        self, key: str | Mapping[str, Any], step: int | None, cell: Any, kind: str | None
    ) -> Media | MediaList:
        from runlake.history.media import fetch_media, is_list_cell, is_media_cell, media_items
        from runlake.public.media import Media, MediaList

        if not is_media_cell(cell):
            raise InvalidArgument(self._no_media(key, step, cell, kind or "media"))
        items = media_items(cell)
        if kind is not None and any(item.kind != kind for item in items):
            raise InvalidArgument(self._no_media(key, step, cell, kind))
        paths = fetch_media(self._client, self._path, items)
        opened = [Media(item, path) for item, path in zip(items, paths, strict=True)]
        return MediaList(opened) if is_list_cell(cell) else opened[0]

    def _no_media(
        self, key: str | Mapping[str, Any], step: int | None, cell: Any, wanted: str
    ) -> str:
        from runlake.history.media import is_media_cell

        if isinstance(key, Mapping):
            return f"The cell does not describe {wanted}: its _type is {key.get('_type')!r}."
        place = "" if step is None else f" at step {step}"
        found = "" if cell is None else f"; the value is of type {_type_of(cell)}"
        known = ", ".join(sorted(_keys_of_media(self.summary_metrics, is_media_cell))) or "none"
        return (
            f"Run '{self._path}' logged no {wanted} under {key!r}{place}{found}. Media in its "
            f"summary: {known}."
        )


def _type_of(cell: Any) -> str:
    kind = cell.get("_type") if isinstance(cell, Mapping) else None
    return repr(kind) if isinstance(kind, str) else type(cell).__name__


def _keys_of_media(summary: Mapping[str, Any], is_media: Any, prefix: str = "") -> Iterator[str]:
    for key, value in summary.items():
        if is_media(value):
            yield f"{prefix}{key}"
        elif isinstance(value, Mapping) and "_type" not in value:
            yield from _keys_of_media(value, is_media, f"{prefix}{key}.")
