"""Download the files of an artifact version to a directory, through the cache."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from runlake.backend.graphql import artifact_documents as documents
from runlake.backend.graphql.query import query
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.graphql.walk import Walk
from runlake.backend.http.client import Client
from runlake.backend.http.transfer import make_directory
from runlake.cache.artifacts.contents import (
    artifact_place,
    download_checked,
    fetch_content,
    place_copy,
)
from runlake.cache.artifacts.digests import is_intact
from runlake.cache.artifacts.held import load_manifest
from runlake.cache.artifacts.manifest import Entry, Manifest
from runlake.cache.artifacts.references import copy_reference, parse_artifact_reference
from runlake.errors import (
    ArtifactNotFoundError,
    CacheError,
    FileTransferError,
    NotCached,
    RunlakeError,
)
from runlake.errors.user_line import for_thread, warn
from runlake.exports.progress import Count, FileCount
from runlake.values import ArtifactPath

URLS_PER_PAGE = 5000
MAX_REFERENCES = 8  # limit, because a chain of references between artifacts may be circular


class FileUrls:
    """The signed URLs of an artifact's files, all requested when the first URL is needed.

    Parameters
    ----------
    client : Client
        Client of the backend.
    path : ArtifactPath
        Path of the version; its alias is ``vN``.
    names : sequence of str, optional
        Names of the files that may be needed; all files if omitted.
    """

    def __init__(
        self, client: Client, path: ArtifactPath, names: Sequence[str] | None = None
    ) -> None:
        self._client = client
        self._path = path
        self._names = names
        self._urls: dict[str, str] | None = None
        self._guard = threading.Lock()

    def find(self, name: str, *, is_fresh: bool = False) -> str:
        """Return the URL of a file.

        Parameters
        ----------
        name : str
            Name of the file in the artifact.
        is_fresh : bool
            True requests the URLs again, because the known URL has expired.

        Raises
        ------
        ArtifactNotFoundError
            If the backend does not list the file.
        """
        with self._guard:
            if self._urls is None or is_fresh:
                self._urls = self._fetch()
            url = self._urls.get(name)
        if url is None:
            raise ArtifactNotFoundError(
                f"{self._client.origin} lists no file {name!r} in artifact '{self._path}'.",
                operation="GetArtifactMembershipFileUrls",
                origin=self._client.origin,
            )
        return url

    def _fetch(self) -> dict[str, str]:
        urls: dict[str, str] = {}
        cursor = None
        # A version never changes, so even one page without new files means an endless list.
        walk = Walk(self._client, f"the files of artifact '{self._path}'", idle_pages=1)
        while True:
            walk.check()
            connection = fetch_file_page(
                self._client,
                self._path,
                self._names,
                is_short=self._names is None,
                cursor=cursor,
                limit=URLS_PER_PAGE,
            )
            known = len(urls)
            with answer_to(self._client, "GetArtifactMembershipFileUrls", f"'{self._path}'"):
                nodes = [edge["node"] for edge in connection.get("edges") or [] if edge.get("node")]
                urls |= {n["name"]: str(n["directUrl"]) for n in nodes if n.get("directUrl")}
                info = connection.get("pageInfo") or {}
                cursor = info.get("endCursor")
                has_next = bool(info.get("hasNextPage"))
            if not has_next:
                return urls
            walk.note(cursor, len(urls) - known, has_next=has_next)


def fetch_file_page(
    client: Client,
    path: ArtifactPath,
    names: Sequence[str] | None,
    *,
    is_short: bool = False,
    cursor: str | None,
    limit: int,
) -> dict[str, Any]:
    """Fetch one page of an artifact's files.

    Parameters
    ----------
    client : Client
        Client of the backend.
    path : ArtifactPath
        Path of the version.
    names : sequence of str or None
        Exact names of files; None means all files.
    is_short : bool
        Request only names and URLs; ``names`` is ignored then.
    cursor : str or None
        Cursor of the previous page; None for the first page.
    limit : int
        Maximum number of files on the page.

    Returns
    -------
    dict
        The GraphQL connection ``files``.

    Raises
    ------
    ArtifactNotFoundError
        If the version does not exist.
    """
    variables: dict[str, Any] = {
        "entity": path.entity,
        "project": path.project,
        "collection": path.collection,
        "alias": path.alias,
        "cursor": cursor,
        "perPage": limit,
    }
    document = documents.ARTIFACT_FILE_URLS if is_short else documents.ARTIFACT_FILES
    if not is_short:
        variables["fileNames"] = None if names is None else list(names)
    data = query(client, document, variables)
    with answer_to(client, "GetArtifactMembershipFileUrls", f"'{path}'"):
        collection = (data.get("project") or {}).get("artifactCollection") or {}
        membership = collection.get("artifactMembership") or {}
        if membership.get("files") is None:
            raise ArtifactNotFoundError(
                f"Could not find artifact '{path}' at {client.origin}.",
                operation="GetArtifactMembershipFileUrls",
                origin=client.origin,
            )
        return dict(membership["files"])


class Fetcher:
    """Downloads the files of one artifact version, which its manifest lists as entries.

    Parameters
    ----------
    client : Client
        Client of the backend.
    path : ArtifactPath
        Path of the version; its alias is ``vN``.
    names : sequence of str, optional
        Names of the entries that may be needed; all entries if omitted.
    skip_cache : bool
        Download directly to the target, without the cache.
    counted : FileCount, optional
        Counts the bytes of the files that are put into a directory.
    """

    def __init__(
        self,
        client: Client,
        path: ArtifactPath,
        names: Sequence[str] | None = None,
        *,
        skip_cache: bool = False,
        counted: FileCount | None = None,
    ) -> None:
        self._client = client
        self._counted = counted or FileCount(Count(None))
        self.what = f"'{path}'"
        self._urls = FileUrls(client, path, names)
        self._skip_cache = skip_cache
        self._referenced: dict[str, tuple[Fetcher, Manifest]] = {}
        self._guard = threading.RLock()

    def fetch(self, entry: Entry) -> Path:
        """Download the file of an entry into the cache if necessary, and return its path there.

        The caller must not change the file.

        Raises
        ------
        RunlakeError
            If the file cannot be downloaded.
        """
        name = entry.content_name
        if name is None:
            raise FileTransferError(f"{self.named(entry)} has no digest to check it by.")
        cached = artifact_place(self._client.settings).content(name).path
        if is_intact(cached, entry):
            return cached
        self._refuse_offline(entry, cached)
        fetcher, concrete = self.resolve(entry, MAX_REFERENCES)
        if concrete.content_name != name:
            raise FileTransferError(
                f"{self.named(entry)} refers to {fetcher.named(concrete)}, which has another "
                "digest."
            )
        download = partial(fetcher.download, concrete)
        is_right = partial(is_intact, entry=entry)
        return fetch_content(self._client, name, is_right, download, what=self.named(entry))

    def _refuse_offline(self, entry: Entry, path: Path) -> None:
        is_stored_there = entry.ref is None or parse_artifact_reference(entry.ref) is not None
        if self._client.settings.offline and is_stored_there:
            raise NotCached(
                f"{self.named(entry)} was not pulled, or is damaged on disk. Pull the run that "
                "logged or used it, with Lake.pull(..., artifacts=True).",
                path=str(path),
            )

    def place(self, entry: Entry, root: Path) -> None:
        """Put the file of an entry into a directory, unless a file with the right digest is there.

        Raises
        ------
        RunlakeError
            If the file cannot be downloaded or written; an existing file is unchanged then.
        """
        target = root / entry.path
        try:
            self._check_parents(entry, target, root)
            with self._counted.file(entry.size):
                if not is_intact(target, entry):
                    self._place(entry, target)
        except OSError as error:
            raise FileTransferError(
                f"{self.named(entry)} cannot be written to {str(target)!r}: "
                f"{error.strerror or error}."
            ) from error

    def _place(self, entry: Entry, target: Path) -> None:
        if entry.content_name is not None and not self._skip_cache:
            try:
                place_copy(self.fetch(entry), target)
            except NotCached:
                raise
            except CacheError as error:
                warn(f"{error} It is downloaded without the cache.")
            else:
                return
        fetcher, concrete = self.resolve(entry, MAX_REFERENCES)
        fetcher.download(concrete, target)

    def _check_parents(self, entry: Entry, target: Path, root: Path) -> None:
        parent = target.parent.resolve()
        if not parent.is_relative_to(root.resolve()):
            raise FileTransferError(
                f"{self.named(entry)} would be written to {str(parent)!r}, because a folder below "
                f"{str(root)!r} is a link out of it. Remove the link, or pass another root."
            )

    def place_all(
        self, entries: Iterable[Entry], root: Path, *, allow_missing_references: bool
    ) -> None:
        """Put the files of entries into a directory, several at a time.

        Parameters
        ----------
        entries : iterable of Entry
            Entries whose names do not lead out of the directory.
        root : Path
            The directory, which is made if missing.
        allow_missing_references : bool
            Warn about references that cannot be downloaded, and continue.

        Raises
        ------
        RunlakeError
            The first failure. Some of the other files may have been written; no file is written in
            part.
        """

        def place(entry: Entry) -> RunlakeError | None:
            try:
                self.place(entry, root)
            except RunlakeError as error:
                if entry.ref is None or not allow_missing_references:
                    raise
                return error
            return None

        try:
            make_directory(root)
        except OSError as error:
            raise FileTransferError(
                f"The directory {str(root)!r} for artifact {self.what} cannot be made: "
                f"{error.strerror or error}."
            ) from error
        with ThreadPoolExecutor(self._client.settings.max_workers) as pool:
            begin = for_thread(place)
            futures = [pool.submit(begin, entry) for entry in entries]
            try:
                for future in futures:
                    missing = future.result()
                    if missing is not None:
                        warn(f"Left out: {missing}")
            except BaseException:
                # Otherwise the end of the `with` block would wait for all remaining downloads.
                pool.shutdown(cancel_futures=True)
                raise

    def download(self, entry: Entry, target: Path) -> None:
        """Download an entry that is not a reference to another artifact, and check its digest."""
        if entry.ref is not None:
            copy_reference(self._client, entry, target, what=self.named(entry))
            return
        if entry.md5 is not None:
            self._download_own(entry, target)
            return
        # `download_file` computes no digest but MD5, so other digests are checked here, before the
        # file gets its name.
        make_directory(target.parent)
        part = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            self._download_own(entry, part)
            if not is_intact(part, entry):
                raise FileTransferError(
                    f"{self.named(entry)} arrived damaged: its digest is not that of the manifest."
                )
            part.replace(target)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _download_own(self, entry: Entry, target: Path) -> None:
        download_checked(
            self._client,
            lambda is_fresh: self._urls.find(entry.path, is_fresh=is_fresh),
            target,
            what=self.named(entry),
            md5=entry.md5,
            max_bytes=entry.size,
            count=self._counted.add,
        )

    def resolve(self, entry: Entry, depth: int) -> tuple[Fetcher, Entry]:
        """Follow at most ``depth`` references to other artifacts; return the entry at the end.

        The entry is returned with the `Fetcher` of the artifact that contains the entry.
        """
        target = parse_artifact_reference(entry.ref)
        if target is None:
            return self, entry
        artifact_id, name = target
        if depth == 0:
            raise FileTransferError(
                f"{self.named(entry)} refers to itself, or through more than {MAX_REFERENCES} "
                "other artifacts."
            )
        with self._guard:
            if artifact_id not in self._referenced:
                self._referenced[artifact_id] = self._open(artifact_id)
        fetcher, manifest = self._referenced[artifact_id]
        if name not in manifest.entries:
            raise ArtifactNotFoundError(
                f"{self.named(entry)} refers to {name!r} of artifact {fetcher.what}, which has "
                "no such file.",
                operation="FetchArtifactManifest",
                origin=self._client.origin,
            )
        return fetcher.resolve(manifest.entries[name], depth - 1)

    def _open(self, artifact_id: str) -> tuple[Fetcher, Manifest]:
        data = query(self._client, documents.ARTIFACT_BY_ID, {"id": artifact_id})
        with answer_to(self._client, "ArtifactByID", f"a reference of {self.what}"):
            found = data.get("artifact") or {}
            collection = found.get("artifactSequence") or {}
            project = collection.get("project")
        if not project:
            raise ArtifactNotFoundError(
                f"Artifact {self.what} refers to an artifact that {self._client.origin} does not "
                "show to this API key.",
                operation="ArtifactByID",
                origin=self._client.origin,
            )
        with answer_to(self._client, "ArtifactByID", f"a reference of {self.what}"):
            version = f"v{found['versionIndex']}"
            names = (project["entity"]["name"], project["name"], collection["name"], version)
        fetcher = Fetcher(
            self._client,
            ArtifactPath(*names),
            skip_cache=self._skip_cache,
            counted=self._counted,
        )
        return fetcher, load_manifest(self._client, artifact_id, fetcher.what)

    def named(self, entry: Entry) -> str:
        """Return the words that name an entry in messages."""
        return f"{entry.path!r} of artifact {self.what}"
