"""`File` and `Files`: list, download and delete the files of a run."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from runlake.backend.graphql.run_files import delete_run_file, fetch_run_files, promised_md5
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.client import Client
from runlake.backend.http.transfer import download_bytes, download_file, make_directory
from runlake.cache.stored_files import (
    count_stored_files,
    list_stored_files,
    read_stored_file,
)
from runlake.errors import (
    FileTransferError,
    InvalidArgument,
    InvalidType,
    ProtocolError,
    RunFileNotFoundError,
)
from runlake.errors.screen import line_for_screen
from runlake.errors.user_line import warn
from runlake.exports.progress import Count
from runlake.public.lists.attributes import Attributes, client_of
from runlake.public.lists.destinations import destination_of, is_wanted, open_text
from runlake.public.lists.pages import Page, SizedPages
from runlake.public.progress import progress_of
from runlake.values import ProgressOption, RunPath

if TYPE_CHECKING:
    from runlake.public.api import Api
    from runlake.public.run.fields import RunFields

FIELDS = ("id", "url", "directUrl", "sizeBytes", "mimetype", "updatedAt", "md5")
WILD = {"%": ".*", "_": "."}
UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


class File(Attributes):
    """A file of a run, with the fields that the backend sent when the file was listed.

    The backend's fields are attributes too: ``name``, ``url``, ``direct_url``, ``md5`` (base64),
    ``mimetype``, ``updated_at`` and ``id``.

    Parameters
    ----------
    client : Client
        Client of the backend.
    attrs : dict
        The fields, as the backend names them.
    run : Run, optional
        The run that the file belongs to; None for a file of an artifact.
    """

    # For type checkers; the values are found by `Attributes.__getattr__`.
    id: str
    name: str
    url: str
    direct_url: str
    md5: str
    mimetype: str | None
    updated_at: str | None

    def __init__(self, client: Client, attrs: dict[str, Any], run: RunFields | None = None) -> None:
        super().__init__(attrs)
        self._client = client
        self.run = run

    @property
    def size(self) -> int:
        """Length of the file in bytes."""
        with answer_to(self._client, "RunFiles", repr(self._attrs.get("name"))):
            return int(self._attrs.get("sizeBytes") or 0)

    @property
    def path_uri(self) -> str:
        """The file's address in S3, ``s3://bucket/key``; "" and a warning if it is not in S3.

        If the file is a reference, the value is the URL of the referenced file.
        """
        direct = self._attrs.get("directUrl")
        if not direct:
            warn(f"The backend gives no direct URL for {self.name!r}, so it has no URI.")
            return ""
        # The direct URL of a reference is the URL of the file to which it refers.
        if direct == self._attrs.get("url"):
            return str(direct)
        try:
            parts = urlsplit(str(direct))
        except ValueError:
            warn(f"The direct URL of {self.name!r} is not a valid URL, so it has no URI.")
            return ""
        if not re.search(r"\bs3\b.*amazonaws\.com", parts.netloc):
            warn(f"{self.name!r} is not stored in S3, so it has no URI.")
            return ""
        return f"s3://{parts.netloc.partition('.')[0]}/{parts.path.lstrip('/')}"

    def download(
        self,
        root: str = ".",
        replace: bool = False,
        exist_ok: bool = False,
        api: Api | None = None,
        *,
        progress: ProgressOption = None,
    ) -> TextIOWrapper:
        """Download the file into a directory. A failed download leaves no part of the file behind.

        Parameters
        ----------
        root : path
            The directory; folders in the file's name are created below it.
        replace : bool
            Overwrite an existing file.
        exist_ok : bool
            Keep an existing file, and download nothing.
        api : Api, optional
            The `Api` whose settings the download uses; if omitted, the `Api` that listed the file.
        progress : bool, callable or None
            How to show progress; see `Run.pull`.

        Returns
        -------
        file
            The downloaded file, open for reading as text.

        Raises
        ------
        InvalidArgument
            If the file exists and neither ``replace`` nor ``exist_ok`` is set, or if the name leads
            out of the directory.
        FileTransferError, Unreachable
            If the file cannot be downloaded; then no part of the file stays in the directory.
        """
        destination = destination_of(root, self.name)
        client = self._client if api is None else client_of(api)
        counted = Count(progress_of(client.settings, progress))
        if is_wanted(destination, replace=replace, exist_ok=exist_ok):
            with counted.shown(self.name, self.size or None, "B"):
                self._download(client, destination, counted)
        return open_text(root, self.name)

    def delete(self) -> None:
        """Delete the file from the run.

        Raises
        ------
        BackendError
            If the backend refuses, for example because the file is deleted already.
        """
        delete_run_file(self._client, self._attrs["id"], self._project_number)

    @property
    def _owner(self) -> RunFields:
        if self.run is None:
            raise InvalidArgument(f"{self.name!r} is not a file of a run.")
        return self.run

    @property
    def _md5(self) -> str | None:
        """The file's MD5 digest, as the backend sent it; None if it is missing or malformed."""
        return promised_md5(self._attrs)

    @property
    def _project_number(self) -> int | None:
        number = getattr(self.run, "project_id", None)
        try:
            return None if number is None else int(number)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"The project id of {self.run!r} is not a number.") from error

    def _download(self, client: Client, destination: Path, counted: Count) -> None:
        try:
            self._receive(client, destination, counted)
        except FileTransferError as error:
            # A new URL does not help against a local error, such as a full disk.
            if isinstance(error.__cause__, OSError):
                raise
            self._list_again(client)
            self._receive(client, destination, counted)

    def _list_again(self, client: Client) -> None:
        """Fetch the file's fields again, because the URL may have expired or the file changed."""
        vars(self).update(vars(find_file(client, self._owner, self.name)))

    def _read(self, what: str) -> bytes:
        """Download a small file and return its content; in offline mode, read the pulled copy."""
        if self._client.settings.offline and self._attrs.get("content"):
            return read_stored_file(self._attrs["content"], what)
        try:
            return self._fetch(what)
        except FileTransferError:
            self._list_again(self._client)
            return self._fetch(what)

    def _fetch(self, what: str) -> bytes:
        with answer_to(self._client, "RunFiles", what):
            url = self.url
        return download_bytes(self._client, url, what=what, md5=self._md5)

    def _receive(self, client: Client, destination: Path, counted: Count) -> None:
        try:
            if client.settings.offline and self._attrs.get("content"):
                make_directory(destination.parent)
                _copy(self._attrs["content"], destination)
                return
            download_file(
                client,
                str(self._attrs.get("url")),
                destination,
                what=f"{self.name!r} of '{'/'.join(self._owner.path)}'",
                md5=self._md5,
                # Without a digest the length is no limit, because the backend may have measured
                # an earlier version of the file.
                max_bytes=self.size or None if self._md5 else None,
                count=counted.add,
            )
        except OSError as error:
            raise FileTransferError(f"{str(destination)!r} cannot be written: {error}.") from error

    def __repr__(self) -> str:
        name, mimetype = self._attrs.get("name"), self._attrs.get("mimetype")
        return line_for_screen(f"<File {name} ({mimetype}) {_shown(self.size)}>")


class Files(SizedPages[File]):
    """The files of a run, fetched page by page as they are accessed.

    Parameters
    ----------
    client : Client
        Client of the backend.
    run : Run
        The run whose files are listed.
    names : list of str, optional
        Exact names of the files to list; all files if omitted or empty.
    per_page : int
        Files per request.
    upload : bool
        List URLs for uploads, instead of URLs for downloads, in the field ``url`` of the files.
    pattern : str, optional
        Pattern of the names to list, as in SQL's LIKE: ``%`` stands for any characters, ``_`` for
        one character.

    Raises
    ------
    InvalidArgument
        If both ``names`` and ``pattern`` are given, or either has the wrong type.

    Notes
    -----
    As in the SDK, ``len()`` counts all files of the run, even if names or a pattern are given.
    """

    _operation = "RunFiles"

    def __init__(
        self,
        client: Client,
        run: RunFields,
        names: Sequence[str] | None = None,
        per_page: int = 50,
        upload: bool = False,
        pattern: str | None = None,
    ) -> None:
        super().__init__(client, per_page)
        if names and pattern:
            raise InvalidArgument(
                "Files are listed by names or by a pattern, not by both. Leave one of them out."
            )
        self.run = run
        self._names = _checked_names(names)
        self._pattern = check_pattern(pattern)
        self._upload = upload

    def _key(self, one: File) -> str:
        return str(one.name)

    @property
    def _what(self) -> str:
        return f"the files of run '{self.run.entity}/{self.run.project}/{self.run.id}'"

    def _fetch(self, cursor: str | None) -> Page[File]:
        stored = self._stored() if self._client.settings.offline else None
        if stored is not None:
            return stored
        found = fetch_run_files(
            self._client,
            RunPath(self.run.entity, self.run.project, self.run.id),
            self._names,
            pattern=self._pattern,
            cursor=cursor,
            limit=self.per_page,
            upload=self._upload,
        )
        # The length is the number of all files, even if the list has a filter. The SDK counts in
        # this way too, and scripts may rely on it.
        return self._page(found.get("files"), found.get("fileCount"))

    def _stored(self) -> Page[File] | None:
        """Return the pulled files of the run as one page; None if no files were pulled."""
        run = RunPath(self.run.entity, self.run.project, self.run.id)
        named = list_stored_files(self._client.settings, run, self._names)
        if named is None:
            return None
        pattern = self._pattern
        found = [one for one in named if not pattern or is_like(str(one["name"]), pattern)]
        edges = [{"node": one} for one in found]
        # As for a backend, the length is the number of all files, see `_fetch`.
        n_all = count_stored_files(self._client.settings, run)
        return Page(edges, None, False, n_all).opened(self._open)

    def _open(self, edge: dict[str, Any]) -> File:
        node = edge["node"]
        # Fields that an older backend does not have are None.
        attrs = {**dict.fromkeys(FIELDS), **node, "name": str(node["name"])}
        return File(self._client, attrs, self.run)

    def __repr__(self) -> str:
        return line_for_screen(f"<Files {'/'.join(self.run.path)} ({len(self)})>")

    def _repr_html_(self) -> str:
        from runlake.public.cards.others import show_files

        return show_files(self)


def is_like(name: str, pattern: str) -> bool:
    """Return whether a name matches a pattern as in SQL's LIKE, ignoring case."""
    # A backslash makes the next character literal.
    tokens = re.findall(r"\\?.", pattern, re.DOTALL)
    parts = (WILD.get(token) or re.escape(token[-1]) for token in tokens)
    return re.fullmatch("".join(parts), name, re.DOTALL | re.IGNORECASE) is not None


def _copy(source: str, destination: Path) -> None:
    # Copied under another name first, so that an interrupted copy leaves no half file.
    part = destination.with_name(f".{secrets.token_hex(8)}.part")
    try:
        shutil.copyfile(source, part)
        part.replace(destination)
    finally:
        part.unlink(missing_ok=True)


def find_file(client: Client, run: RunFields, name: str) -> File:
    """Find a run's file by its name, with one request.

    Parameters
    ----------
    client : Client
        Client of the backend.
    run : Run
        The run to which the file belongs.
    name : str
        The whole name, with its folders.

    Returns
    -------
    File
        The file, which has not been downloaded yet.

    Raises
    ------
    InvalidArgument
        If the name is empty or not a string.
    RunFileNotFoundError
        If the run has no such file.
    """
    if not isinstance(name, str):
        raise InvalidType(f"The name of a file is a string, not {name!r}.")
    if not name:
        raise InvalidArgument("The name of a file must not be empty.")
    for file in Files(client, run, [name], per_page=1):
        return file
    raise RunFileNotFoundError(
        f"Run '{'/'.join(run.path)}' has no file {name!r}. run.files() lists its files.",
        operation="RunFiles",
        origin=client.origin,
    )


def _checked_names(names: Sequence[str] | None) -> list[str]:
    if names is None:
        return []
    if not isinstance(names, (list, tuple, set)) or not all(isinstance(n, str) for n in names):
        raise InvalidType(f"names must be a list of strings, not {names!r}.")
    return list(names)


def check_pattern(pattern: str | None) -> str | None:
    """Return a pattern of file names unchanged; raise `InvalidType` if it is not a string."""
    if pattern is not None and not isinstance(pattern, str):
        raise InvalidType(f"pattern must be a string such as '%.json', not {pattern!r}.")
    return pattern


def _shown(n_bytes: float) -> str:
    for unit in UNITS:
        if round(n_bytes, 1) < 1024 or unit == UNITS[-1]:  # noqa: PLR2004
            break
        n_bytes /= 1024
    return f"{round(float(n_bytes), 1)}{unit}"
