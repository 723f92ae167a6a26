"""The files of a run, and what it printed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from runlake.backend.graphql.run_files import send_run_file
from runlake.backend.graphql.shapes import answer_to
from runlake.backend.http.json_text import parse_json
from runlake.backend.http.transfer import download_bytes
from runlake.errors import (
    InvalidArgument,
    InvalidType,
    LocalFileNotFoundError,
    RunFileNotFoundError,
)
from runlake.errors.user_line import warn
from runlake.public.files import File, Files, find_file
from runlake.public.run.console import ConsoleLogs
from runlake.public.run.fields import RunFields

METADATA_FILE = "wandb-metadata.json"


class RunFiles(RunFields):
    """What reads and writes the files of a run."""

    _metadata: dict[str, Any] | None = None

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the SDK noted of the machine and the program: ``wandb-metadata.json``.

        Two requests at the first access; None, and asked for again, if the run has no such file.

        Raises
        ------
        OfflineError
            Offline, because the cache does not keep it.
        BackendError, FileTransferError
            If it cannot be read.
        """
        if self._metadata is None:
            try:
                file = self.file(METADATA_FILE)
            except RunFileNotFoundError:
                return None
            what = f"{METADATA_FILE!r} of '{self._path}'"
            with answer_to(self._client, "RunFiles", what):
                url = file.url
            content = download_bytes(self._client, url, what=what)
            try:
                found = parse_json(content)
            except ValueError:
                found = None
            if isinstance(found, dict):
                self._metadata = found
            else:
                warn(f"{what} is no JSON object; run.file() gives it.")
        return self._metadata

    def file(self, name: str) -> File:
        """Return one file of the run; one request.

        Parameters
        ----------
        name : str
            The whole name, with its folders.

        Returns
        -------
        File
            Not downloaded yet.

        Raises
        ------
        InvalidArgument
            If the name is no string, or empty.
        RunFileNotFoundError
            If the run has no such file.
        """
        return find_file(self._client, self, name)

    def files(
        self,
        names: list[str] | None = None,
        pattern: str | None = None,
        per_page: int = 50,
    ) -> Files:
        """Return the files of the run, page by page as they are looked at.

        Parameters
        ----------
        names : list of str, optional
            Exact names; all files if omitted or empty.
        pattern : str, optional
            SQL's LIKE: ``%.json`` gives every file that ends so.
        per_page : int
            Files per request.

        Returns
        -------
        Files
            Iterable, indexable; its length counts all files of the run, as in the SDK.

        Raises
        ------
        InvalidArgument
            If both names and pattern are given, or an argument is no such thing.
        """
        return Files(self._client, self, names, per_page, pattern=pattern)

    def upload_file(self, path: str, root: str = ".") -> File:
        """Upload a file, piece by piece, as a file of this run; the run's state stays.

        Parameters
        ----------
        path : path
            The file.
        root : path
            The name in the run is the path from here: ``results/a.txt`` keeps its folder.

        Returns
        -------
        File
            The file as the run has it now.

        Raises
        ------
        LocalFileNotFoundError
            If there is no such file; nothing has been sent then.
        InvalidArgument
            If it cannot be read, or lies outside of ``root``; nothing has been sent then.
        BackendError, FileTransferError
            If the upload fails.
        """
        source, name = _local_file(path, root)
        send_run_file(self._client, self._path, source, name)
        return self.file(name)

    def console_logs(self, *, per_page: int = 1000, last: int | None = None) -> ConsoleLogs:
        """Return what the run printed, oldest line first.

        Parameters
        ----------
        per_page : int
            Lines per request.
        last : int, optional
            Only the last lines, in one request.

        Returns
        -------
        ConsoleLogs
            Iterable of `ConsoleLogLine`, page by page as they are looked at.

        Raises
        ------
        InvalidArgument
            If a number is no integer of at least 1.
        """
        return ConsoleLogs(self._client, self, per_page, last)


def _local_file(path: str, root: str) -> tuple[Path, str]:
    """Return a file that can be read, and its name below a root."""
    for what, value in (("path", path), ("root", root)):
        if not isinstance(value, (str, os.PathLike)):
            raise InvalidType(f"{what} must be a path, not {value!r}.")
    source = Path(path)
    if not source.exists():
        raise LocalFileNotFoundError(f"There is no file {str(source)!r} to upload.")
    if not source.is_file():
        raise InvalidArgument(
            f"{str(source)!r} is no file. Of a directory, upload the files one by one."
        )
    try:
        source.open("rb").close()
    except OSError as error:
        raise InvalidArgument(f"{str(source)!r} cannot be read: {error}.") from error
    name = Path(os.path.relpath(source, root))
    if ".." in name.parts or name.is_absolute():
        raise InvalidArgument(
            f"{str(source)!r} lies outside of root {str(root)!r}, so that it has no name in the "
            "run. Pass the directory that its name should begin in as root."
        )
    return source, name.as_posix()
