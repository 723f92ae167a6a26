"""Methods of a run that read and upload its files, and read its console output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runlake.backend.http.json_text import parse_json
from runlake.errors import (
    InvalidArgument,
    InvalidType,
    LocalFileNotFoundError,
    RunFileNotFoundError,
)
from runlake.errors.user_line import warn
from runlake.public.run.fields import RunFields
from runlake.values.local_paths import check_length

# Imported by the methods that use them: most scripts read neither files nor console output.
if TYPE_CHECKING:
    from runlake.public.files import File, Files
    from runlake.public.run.console import ConsoleLogs

METADATA_FILE = "wandb-metadata.json"


class RunFiles(RunFields):
    """Methods of a run that read and upload its files."""

    _metadata: dict[str, Any] | None = None

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Facts about the run's machine and program, from the run's file ``wandb-metadata.json``.

        The first access makes two requests. If the run has no such file, the value is None, and
        every access checks again.

        Raises
        ------
        OfflineError
            If offline mode is on, and the run was not pulled.
        BackendError, FileTransferError
            If the file cannot be downloaded.
        """
        if self._metadata is None:
            try:
                file = self.file(METADATA_FILE)
            except RunFileNotFoundError:
                # Not remembered: a run that is still running may upload the file later.
                return None
            what = f"{METADATA_FILE!r} of '{self._path}'"
            content = file._read(what)  # noqa: SLF001 - the run's own file
            try:
                found = parse_json(content)
            except ValueError:
                found = None
            if isinstance(found, dict):
                self._metadata = found
            else:
                warn(f"{what} is no JSON object; it is shown as None. run.file() reads the file.")
        return self._metadata

    def file(self, name: str) -> File:
        """Find one file of the run by its name, with one request.

        Parameters
        ----------
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
        from runlake.public.files import find_file

        return find_file(self._client, self, name)

    def files(
        self,
        names: list[str] | None = None,
        pattern: str | None = None,
        per_page: int = 50,
    ) -> Files:
        """Return the files of the run, fetched page by page as they are accessed.

        Parameters
        ----------
        names : list of str, optional
            Exact names of the files to list; all files if omitted or empty.
        pattern : str, optional
            Pattern of the names to list, as in SQL's LIKE: ``%.json`` matches every name that ends
            in ``.json``.
        per_page : int
            Files per request.

        Returns
        -------
        Files
            A list that can be iterated and indexed. As in the SDK, ``len()`` counts all files of
            the run, even if names or a pattern are given.

        Raises
        ------
        InvalidArgument
            If both names and pattern are given, or an argument has the wrong type.
        """
        from runlake.public.files import Files

        return Files(self._client, self, names, per_page, pattern=pattern)

    def upload_file(self, path: str, root: str = ".") -> File:
        """Upload a local file to the run, without changing the run's state.

        Parameters
        ----------
        path : path
            The local file; it is streamed, not loaded into memory.
        root : path
            The file's name in the run is its path relative to this directory, with folders, such as
            ``results/a.txt``.

        Returns
        -------
        File
            The uploaded file, as listed by the backend.

        Raises
        ------
        LocalFileNotFoundError
            If there is no such file; this is checked before any request.
        InvalidArgument
            If the file cannot be read, or is outside ``root``; this is checked before any request.
        BackendError, FileTransferError
            If the upload fails.
        """
        from runlake.backend.graphql.run_files import send_run_file

        source, name = _local_file(path, root)
        send_run_file(self._client, self._path, source, name)
        return self.file(name)

    def console_logs(self, *, per_page: int = 1000, last: int | None = None) -> ConsoleLogs:
        """Return the console output of the run, oldest line first.

        Parameters
        ----------
        per_page : int
            Lines per request.
        last : int, optional
            Fetch only this many last lines, in one request.

        Returns
        -------
        ConsoleLogs
            Iterable of `ConsoleLogLine`, fetched page by page as they are accessed.

        Raises
        ------
        InvalidArgument
            If ``per_page`` or ``last`` is not an integer of at least 1.
        """
        from runlake.public.run.console import ConsoleLogs

        return ConsoleLogs(self._client, self, per_page, last)


def _local_file(path: str, root: str) -> tuple[Path, str]:
    """Check that a file is readable; return the path, and the name relative to ``root``."""
    for what, value in (("path", path), ("root", root)):
        if not isinstance(value, (str, os.PathLike)):
            raise InvalidType(f"{what} must be a path, not {value!r}.")
    source = check_length(Path(path), "path")
    if not source.exists():
        raise LocalFileNotFoundError(f"There is no file {str(source)!r} to upload.")
    if not source.is_file():
        raise InvalidArgument(
            f"{str(source)!r} is not a file. Upload the files of a directory one by one."
        )
    try:
        # Opened once, so that an unreadable file is an error before any request.
        source.open("rb").close()
    except OSError as error:
        raise InvalidArgument(f"{str(source)!r} cannot be read: {error}.") from error
    name = Path(os.path.relpath(source, root))
    if ".." in name.parts or name.is_absolute():
        raise InvalidArgument(
            f"{str(source)!r} is outside root {str(root)!r}, so it has no name in the run. "
            "As root, pass a directory above the file."
        )
    return source, name.as_posix()
