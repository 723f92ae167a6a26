"""`Bucket`: objects below a URL, in object storage or in a directory."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runlake.errors import FileTransferError, InvalidArgument, InvalidType, MissingExtra
from runlake.settings.storage import storage_options
from runlake.values.local_paths import local_path

SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss", "azure", "adl")
LOCAL = "file"
RETRY_SECONDS = 60
# obstore states the HTTP status only in the text of its errors.
STATUS = re.compile(r"status code: (\d{3})")
# Base class of obstore's errors, known by its name: obstore is an optional package.
BASE_ERROR = "BaseError"
HINT = (
    "Check that the bucket exists and that the credentials in the environment, such as "
    "AWS_ACCESS_KEY_ID, allow it."
)


class Conflict(Exception):
    """An object was not written, because it exists already or has another ETag than expected."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The name, length and time of an object in a bucket.

    Parameters
    ----------
    name : str
        The object's name, relative to the URL of the bucket.
    n_bytes : int
        The object's length in bytes.
    modified_at : float
        When the object was written, in seconds since 1970.
    """

    name: str
    n_bytes: int
    modified_at: float


def is_storage_url(place: object) -> bool:
    """Return whether the argument is the URL of object storage, not a path."""
    return isinstance(place, str) and urlsplit(place).scheme.lower() in SCHEMES


@dataclass(frozen=True)
class Bucket:
    """Objects below a URL, in object storage or in a local directory.

    Creating a `Bucket` sends no request.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix``, the URL of another object storage, or ``file://`` and a path. It
        does not end with a slash.
    options : mapping of str to str
        Options of the storage, as polars takes them. They replace options from the environment.
    """

    url: str
    options: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, place: Any, options: Mapping[str, str] | None = None) -> Bucket:
        """Return the bucket at a URL or in a local directory.

        Parameters
        ----------
        place : str or path
            The URL of a folder in object storage, or the path of a directory.
        options : mapping, optional
            Options of the object storage; see the class. A directory ignores them.

        Raises
        ------
        InvalidType
            If an argument is of a wrong type.
        InvalidArgument
            If the URL names no bucket, or no file system allows the path.
        """
        if options is not None and not isinstance(options, Mapping):
            raise InvalidType(f"storage_options must be a dict, not {options!r}.")
        if is_storage_url(place):
            parts = urlsplit(place)
            if not parts.netloc or parts.query or parts.fragment:
                raise InvalidArgument(f"{place!r} is not the URL of a bucket: s3://bucket/prefix.")
            given = {str(name): str(value) for name, value in (options or {}).items()}
            return cls(place.rstrip("/"), {**storage_options(parts.scheme), **given})
        # After three slashes the URL has no host, and its path is absolute. After two slashes, the
        # first name would be a host.
        if isinstance(place, str) and place.startswith(f"{LOCAL}:///"):
            place = place.removeprefix(f"{LOCAL}://")
        if isinstance(place, str) and "://" in place:
            raise InvalidArgument(
                f"{place!r} has a scheme that is not supported. Use a path, or one of "
                f"{', '.join(f'{one}://' for one in SCHEMES[:3])}."
            )
        path = local_path(place, "The path").absolute()
        return cls(f"{LOCAL}://{path}")

    @property
    def directory(self) -> Path | None:
        """The directory whose files are the objects; None for object storage."""
        is_local = self.url.startswith(f"{LOCAL}://")
        return Path(self.url.removeprefix(f"{LOCAL}://")) if is_local else None

    @property
    def place(self) -> str:
        """The URL of the bucket, or the path of its directory, for messages."""
        return self.url if self.directory is None else str(self.directory)

    def place_of(self, name: str) -> str:
        """Return the URL of an object, or the path of its file."""
        directory = self.directory
        return f"{self.url}/{name}" if directory is None else str(directory / name)

    def read(self, name: str) -> tuple[bytes, str | None] | None:
        """Return the content and the ETag of an object; None if there is no such object."""
        import obstore

        with self._reading(name):
            try:
                found = obstore.get(self._store(), name)
                return bytes(found.bytes()), found.meta["e_tag"]
            except FileNotFoundError:
                return None

    def size_of(self, name: str) -> int | None:
        """Return the length of an object in bytes; None if there is no such object."""
        import obstore

        with self._reading(name):
            try:
                return int(obstore.head(self._store(), name)["size"])
            except FileNotFoundError:
                return None

    def open(self, name: str, n_bytes: int) -> ObjectFile:
        """Return an object as a file; each read of the file requests one byte range.

        Parameters
        ----------
        name : str
            The object's name, relative to the URL of the bucket.
        n_bytes : int
            The object's length in bytes; no request is sent to find it out.
        """
        return ObjectFile(self, name, n_bytes)

    def read_range(self, name: str, start: int, n_bytes: int) -> bytes:
        """Return ``n_bytes`` bytes of an object, from the offset ``start`` on.

        Raises
        ------
        FileTransferError
            If the bytes cannot be read.
        """
        import obstore

        with self._reading(name):
            found = obstore.get_range(self._shared_store, name, start=start, length=n_bytes)
            return bytes(found)

    def write(self, name: str, content: bytes | Path) -> None:
        """Write an object, and overwrite an object with the same name."""
        import obstore

        with self._reading(name, "written"):
            obstore.put(self._store(), name, content)

    def replace(self, name: str, content: bytes, version: str | None) -> None:
        """Replace an object whose ETag is still ``version``; without a version, create the object.

        Raises
        ------
        Conflict
            If the object has another ETag, or exists although ``version`` is None.
        """
        import obstore
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        directory = self.directory
        if directory is not None and version is not None:
            self._replace_file(directory, name, content, version)
            return
        with self._reading(name, "written"):
            try:
                # The storage itself compares the version (`If-None-Match`, `If-Match`): of two
                # writers at the same time, one is refused.
                mode: Any = "create" if version is None else {"e_tag": version}
                obstore.put(self._store(), name, content, mode=mode)
            except (AlreadyExistsError, PreconditionError) as error:
                raise Conflict(name) from error

    def _replace_file(self, directory: Path, name: str, content: bytes, version: str) -> None:
        from filelock import FileLock

        # File systems compare no versions: a lock keeps two writers apart.
        with FileLock(directory / f".{name}.lock"):
            found = self.read(name)
            if found is None or found[1] != version:
                raise Conflict(name)
            self.write(name, content)

    def list(self, prefix: str = "") -> Iterator[Stored]:
        """Yield the objects below the folder ``prefix``; all objects if ``prefix`` is empty."""
        import obstore

        with self._reading(prefix):
            for page in obstore.list(self._store(), prefix or None):
                for one in page:
                    modified_at = one["last_modified"].timestamp()
                    yield Stored(one["path"], one["size"], modified_at)

    def delete(self, names: Sequence[str]) -> None:
        """Delete objects by their names; ignore names for which there is no object."""
        import obstore

        for name in names:
            with self._reading(name, "deleted"):
                try:
                    obstore.delete(self._store(), name)
                except FileNotFoundError:
                    continue

    @cached_property
    def _shared_store(self) -> Any:
        """An obstore client for all reads of byte ranges; these reads share its connections."""
        return self._store()

    def _store(self) -> Any:
        try:
            from obstore.store import LocalStore, from_url
        except ImportError:
            raise MissingExtra(
                "Buckets need obstore. Install it with 'pip install runlake[lake]'.", extra="lake"
            ) from None
        directory = self.directory
        if directory is not None:
            # `automatic_cleanup` removes directories that a deletion has left empty.
            return LocalStore(directory, mkdir=True, automatic_cleanup=True)
        return from_url(self.url, **self._arguments())

    def _arguments(self) -> dict[str, Any]:
        # obstore refuses an endpoint without TLS, as object stores in local networks have, unless
        # `allow_http` is set.
        is_plain = any(value.startswith("http://") for value in self.options.values())
        return {
            "config": dict(self.options),
            "client_options": {"allow_http": is_plain},
            "retry_config": {"max_retries": 5, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
        }

    @contextmanager
    def _reading(self, name: str, done: str = "read") -> Iterator[None]:
        """Convert obstore's errors to `FileTransferError`, whose message omits obstore's text.

        The text is left out because it has the URLs of requests.
        """
        try:
            yield
        except Conflict:
            raise
        except Exception as error:
            if not _is_of_storage(error):
                raise
            found = STATUS.search(str(error))
            status = int(found[1]) if found else None
            reason = type(error).__name__ if status is None else f"HTTP {status}"
            hint = HINT if self.directory is None else "Use a directory that you may write."
            raise FileTransferError(
                f"{self.place_of(name)!r} cannot be {done} ({reason}). {hint}",
                status=status,
            ) from error


class ObjectFile(io.RawIOBase):
    """A read-only file object over an object of a bucket, as `Bucket.open` returns it."""

    def __init__(self, bucket: Bucket, name: str, n_bytes: int) -> None:
        super().__init__()
        self._bucket = bucket
        self._name = name
        self._n_bytes = n_bytes
        self._at = 0

    def readable(self) -> bool:
        """Return True, because the file can be read."""
        return True

    def seekable(self) -> bool:
        """Return True, because a read can begin at any offset."""
        return True

    def tell(self) -> int:
        """Return the offset of the next read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Change the offset of the next read, and return it; no request is sent."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._n_bytes}[whence]
        self._at = begin + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Return the next ``size`` bytes; all remaining bytes if ``size`` is negative or None."""
        left = max(0, self._n_bytes - self._at)
        length = left if size is None or size < 0 else min(size, left)
        if not length:
            return b""
        found = self._bucket.read_range(self._name, self._at, length)
        self._at += len(found)
        return found


def _is_of_storage(error: Exception) -> bool:
    """Return whether an exception may come from obstore, which raises built-in exceptions too."""
    names = {one.__name__ for one in type(error).__mro__}
    return BASE_ERROR in names or isinstance(error, (OSError, ValueError))
