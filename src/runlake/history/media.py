"""Find the media files that a cell of a run's history describes, and download these files.

A cell has the wandb SDK's format: a dict that describes one file, or a list of files of one kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runlake.backend.graphql.run_files import fetch_run_files, promised_md5
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.cache.artifacts.contents import download_checked
from runlake.cache.media import MediaFile, find_media, refuse_offline, store_media
from runlake.errors import ArtifactNotFoundError, InvalidArgument, RunFileNotFoundError
from runlake.history.tables import open_reference
from runlake.values import RunPath

KINDS = {
    "image-file": "image",
    "audio-file": "audio",
    "video-file": "video",
    "html-file": "html",
    "object3D-file": "object3D",
    "molecule-file": "molecule",
    "plotly-file": "plotly",
    "bokeh-file": "bokeh",
}
# For each type of media list: the kind of its items, and the field that contains the list.
LISTS = {
    "images/separated": ("image", "filenames"),
    "audio": ("audio", "audio"),
    "videos": ("video", "videos"),
    "html": ("html", "html"),
    "object3D": ("object3D", "objects"),
    "molecule": ("molecule", "filenames"),
}
SHA256 = re.compile(r"[0-9a-f]{64}")
# The SDK ends the names of media files with the beginning of their SHA-256.
NAMED_SHA256 = re.compile(r"^media/.*_([0-9a-f]{20})\.[^/]*$", re.DOTALL)
FILES_PER_REQUEST = 100


@dataclass(frozen=True, slots=True)
class MediaItem:
    """One media file, as a cell of the history describes it.

    Parameters
    ----------
    kind : str
        "image", "audio", "video", "html", "object3D", "molecule", "plotly" or "bokeh".
    name : str
        Name of the file among the run's files; empty if only an artifact has the file.
    sha256 : str
        The logged SHA-256 in hex, or its beginning; empty if none was logged.
    facts : mapping
        The fields of the cell that apply to this file, such as ``width``, ``height``, ``caption``
        and ``size``.
    """

    kind: str
    name: str
    sha256: str
    facts: Mapping[str, Any]


def is_media_cell(cell: object) -> bool:
    """Return whether a cell of the history describes media files. Tables are not media."""
    kind = cell.get("_type") if isinstance(cell, Mapping) else None
    return isinstance(kind, str) and (kind in KINDS or kind in LISTS)


def is_list_cell(cell: Mapping[str, Any]) -> bool:
    """Return whether a cell describes a list of media files."""
    return is_media_cell(cell) and cell["_type"] in LISTS


def media_items(cell: Mapping[str, Any]) -> list[MediaItem]:
    """Return the media files that a cell of the history describes, in the order of the cell.

    Raises
    ------
    InvalidArgument
        If the cell does not describe media, or names no file.

    Examples
    --------
    >>> cell = {"_type": "images/separated", "filenames": ["a.png", "b.png"], "width": 2}
    >>> [(item.name, item.facts["width"]) for item in media_items(cell)]
    [('a.png', 2), ('b.png', 2)]
    """
    kind = str(cell.get("_type"))
    if kind in KINDS:
        return [_item(KINDS[kind], cell, cell)]
    if kind not in LISTS:
        raise InvalidArgument(f"A cell of type {kind!r} does not describe media.")
    item_kind, place = LISTS[kind]
    return [_item(item_kind, one, shared) for one, shared in _listed(cell, place)]


def _listed(
    cell: Mapping[str, Any], place: str
) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    listed = cell.get(place)
    if not isinstance(listed, (list, tuple)):
        raise InvalidArgument(f"The cell names no files: {place!r} is missing.")
    captions = cell.get("captions")
    shared = {name: cell[name] for name in ("width", "height", "format") if name in cell}
    for index, one in enumerate(listed):
        known = dict(one) if isinstance(one, Mapping) else _named(str(one))
        if isinstance(captions, (list, tuple)) and index < len(captions) and captions[index]:
            known.setdefault("caption", captions[index])
        yield known, shared


def _named(name: str) -> dict[str, Any]:
    # For an image of an artifact, the SDK writes the artifact's address among the names.
    return {"artifact_path" if "://" in name else "path": name}


def _item(kind: str, one: Mapping[str, Any], shared: Mapping[str, Any]) -> MediaItem:
    name, digest = one.get("path"), one.get("sha256")
    if not isinstance(name, str):
        name = ""
    if not name and not isinstance(one.get("artifact_path"), str):
        raise InvalidArgument(f"A cell of type {kind!r} names no file.")
    if not isinstance(digest, str) or not SHA256.fullmatch(digest):
        found = NAMED_SHA256.match(name)
        digest = found[1] if found else ""
    return MediaItem(kind, name, digest, {**shared, **one})


def fetch_media(
    client: Client, run: RunPath, items: Sequence[MediaItem], *, max_bytes: int | None = None
) -> list[Path]:
    """Return the local paths of media files; download the files that are not in the cache.

    Parameters
    ----------
    client : Client
        The backend. Files of the run that are in the cache cost no request if their SHA-256 is
        known. The run's other files cost one request per 100 files, and one download each; if the
        backend's MD5 shows that the cached file is right, no download.
    run : RunPath
        Path of the run.
    items : sequence of MediaItem
        The files.
    max_bytes : int, optional
        Maximum length in bytes of a downloaded file, for cells that log no length or no SHA-256.
        For other cells, the logged length is the maximum; for a file of an artifact, it is the
        length in the artifact's manifest.

    Returns
    -------
    list of Path
        One path per item, in order. The files belong to the cache and must not be changed.

    Raises
    ------
    NotCached
        If offline mode is on and a file is not in the cache.
    RunFileNotFoundError, ArtifactNotFoundError
        If a file was deleted, or is not uploaded yet.
    FileTransferError
        If a file cannot be downloaded, or is not the file that was logged.
    """
    wanted = [MediaFile(run, item.name, item.sha256) for item in items]
    found = [find_media(client, one) if one.name else None for one in wanted]
    missing = [one for one, path in zip(wanted, found, strict=True) if path is None and one.name]
    if missing and client.settings.offline:
        raise refuse_offline(client, missing[0])
    listed = _list_files(client, run, [one.name for one in missing])
    paths = []
    for item, one, path in zip(items, wanted, found, strict=True):
        if path is not None:
            paths.append(path)
        elif one.name:
            paths.append(_download(client, one, item, listed, max_bytes))
        else:
            paths.append(_file_of_artifact(client, item))
    return paths


def _list_files(client: Client, run: RunPath, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the backend's description of each file, by file name."""
    nodes: dict[str, dict[str, Any]] = {}
    for start in range(0, len(names), FILES_PER_REQUEST):
        some = names[start : start + FILES_PER_REQUEST]
        answer = fetch_run_files(client, run, some, limit=len(some))
        with answer_to(client, "RunFiles", f"'{run}'"):
            edges = (answer.get("files") or {}).get("edges") or []
            nodes |= {edge["node"]["name"]: edge["node"] for edge in edges}
    return nodes


def _download(
    client: Client,
    wanted: MediaFile,
    item: MediaItem,
    listed: Mapping[str, dict[str, Any]],
    max_bytes: int | None,
) -> Path:
    node = listed.get(wanted.name)
    if node is None:
        raise RunFileNotFoundError(
            f"Run '{wanted.run}' has no file {wanted.name!r}: it was deleted, or not uploaded yet.",
            operation="RunFiles",
            origin=client.origin,
        )
    md5, size = promised_md5(node), item.facts.get("size")
    known = find_media(client, wanted, md5)
    if known is not None:
        return known

    def find_url(is_fresh: bool) -> str:
        again = _list_files(client, wanted.run, [wanted.name]) if is_fresh else {}
        with answer_to(client, "RunFiles", str(wanted)):
            return str(again.get(wanted.name, node)["url"])

    # Without a digest the logged size is no bound: the file may have been replaced.
    is_bounded = isinstance(size, int) and len(wanted.sha256) > 0
    return store_media(
        client,
        wanted,
        lambda path: download_checked(
            client,
            find_url,
            path,
            what=str(wanted),
            md5=md5,
            max_bytes=size if is_bounded else max_bytes,
        ),
    )


def _file_of_artifact(client: Client, item: MediaItem) -> Path:
    reference = str(item.facts.get("artifact_path"))
    source = open_reference(client, reference)
    if source is None:
        raise ArtifactNotFoundError(
            f"The artifact with this {item.kind} was deleted: {reference!r}.",
            operation="ArtifactByID",
            origin=client.origin,
        )
    return source.own_file()
