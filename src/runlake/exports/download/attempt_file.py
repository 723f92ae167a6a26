"""The file of one attempt to download an export; its name shows the process and the version.

The name is ``<object>.<host>-<boot>-<pid>-<random>.part`` at first; ``object`` is a digest of the
export's name. Once the storage host has sent the version, ``.<bytes>-<d or n>-<condition>`` is
inserted before ``.part``. ``bytes`` is the length of the whole export. The letter is d if the host
sent a digest of the export, else n. ``condition`` is the value for ``If-Range`` in URL-safe base64.
An attempt is dead if its process has ended. The file name says to which version the bytes belong,
so a later attempt can use the bytes of a dead attempt.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Self

from runlake.exports.process_identity import Machine, Process, this_machine
from runlake.exports.validator import Validator

# In base64, with the rest of the name, a longer condition would exceed 255 bytes, the limit of file
# systems. Such an attempt cannot be resumed.
MAX_CONDITION_LENGTH = 90
ATTEMPT_NAME = (
    r"(?P<object>[0-9a-f]{32})\.(?P<host>[0-9a-f]{8})-(?P<boot>[0-9a-f]{8})-(?P<pid>\d+)"
    r"-(?P<random>[0-9a-f]{8})(?:\.(?P<n_bytes>\d+)-(?P<digest>[dn])-(?P<condition>[\w-]+=*))?\.part"
)

_under_way: set[str] = set()
# Begins at a random number, so that names differ from those of an earlier process with the same id.
_serials = itertools.count(secrets.randbits(32))


@dataclass(frozen=True, slots=True)
class AttemptVersion:
    """The version of an export to which the bytes of an attempt belong.

    Parameters
    ----------
    condition : str
        Value for ``If-Range``.
    n_bytes : int
        Length of the whole export.
    promises_digest : bool
        True if the storage host sent a digest of the whole export.
    """

    condition: str
    n_bytes: int
    promises_digest: bool

    @classmethod
    def of(cls, validator: Validator, n_bytes: int | None) -> AttemptVersion | None:
        """Return the version in a host's response.

        Return None if a download of this version could not be resumed, because the response has no
        value for ``If-Range``, or no length.
        """
        if validator.condition is None or n_bytes is None:
            return None
        return cls(validator.condition, n_bytes, validator.promises_digest)


@dataclass(frozen=True, slots=True)
class AttemptName:
    """The facts that an attempt file's name states.

    Parameters
    ----------
    object_digest : str
        Digest of the export's name; the file names of all attempts for the export begin with it.
    process : Process
        The process that made the attempt.
    version : AttemptVersion or None
        None if the attempt cannot be resumed.
    """

    object_digest: str
    process: Process
    version: AttemptVersion | None

    @classmethod
    def parse(cls, name: str) -> AttemptName | None:
        """Parse a file name; return None if it is not the name of an attempt file."""
        found = re.fullmatch(ATTEMPT_NAME, name)
        if found is None:
            return None
        version = None
        if found["condition"]:
            try:
                condition = base64.urlsafe_b64decode(found["condition"]).decode("latin-1")
            except binascii.Error:
                return None
            version = AttemptVersion(condition, int(found["n_bytes"]), found["digest"] == "d")
        process = Process(Machine(found["host"], found["boot"]), int(found["pid"]))
        return cls(found["object"], process, version)


class AttemptFile:
    """The file that one attempt writes; a context manager that deletes the file at its end.

    The file is not deleted if it was published (renamed), or left for a later attempt.

    Parameters
    ----------
    directory : Path
        Directory for the file, and for the published file.
    object_path : str
        Name of the export, see `Export.object`.

    Notes
    -----
    The file is created by `open`, `write`, `restart` or `open_sparse`.
    """

    def __init__(self, directory: Path, object_path: str) -> None:
        # The name states host, boot and process: a later attempt may use the bytes only if this
        # process has ended, and after a restart of the machine only with a promised digest.
        machine = this_machine()
        attempt = f"{machine.host}-{machine.boot}-{os.getpid()}-{next(_serials) & 0xFFFFFFFF:08x}"
        self.object = object_path
        self.object_digest = _digest(object_path)
        self._directory = directory
        self._attempt = f"{self.object_digest}.{attempt}"
        # A str instead of a Path, because joining paths takes as long as writing a small file.
        self._path = f"{directory}{os.sep}{self._attempt}.part"
        self._file: FileIO | None = None
        self._is_left = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    @property
    def path(self) -> Path:
        """Current path of the file."""
        return Path(self._path)

    @property
    def directory(self) -> Path:
        """Directory of the file."""
        return self._directory

    def open(self) -> FileIO:
        """Create the file, and return it open for writing from its start."""
        _under_way.add(self._attempt)
        # Without a buffer: bytes arrive in long pieces, and a buffer would copy each of them.
        self._file = FileIO(self._path, "x+")
        return self._file

    def write(self, content: bytes, *, is_durable: bool) -> None:
        """Create the file, and write its whole content; flush it to disk if ``is_durable``."""
        with self.open() as file:
            write_all(file, content)
            if is_durable:
                os.fsync(file.fileno())

    def publish(self, path: Path) -> None:
        """Rename the closed file to ``path``, its final name, so that it is not deleted."""
        os.replace(self._path, path)  # noqa: PTH105 - faster
        self._is_left = True

    def restart(self, version: AttemptVersion | None) -> FileIO:
        """Empty or create the file, and return it open for writing; its name states ``version``."""
        # Empty the file before it is renamed: its name must never claim another version's bytes.
        file = self._file or self.open()
        # Truncate only if there is something to truncate: ext4 flushes a truncated file when it is
        # closed, to protect programs that replace files in place (auto_da_alloc).
        if file.seek(0, os.SEEK_END):
            file.seek(0)
            file.truncate()
        self.carry(version)
        return file

    def open_sparse(self, n_bytes: int, end: bytes) -> FileIO:
        """Create a sparse file of ``n_bytes`` bytes with ``end`` as its end, and return it open."""
        file = self.open()
        try:
            # The full length at once: column chunks are then written at the offsets that they have
            # in the export, and the parts between them take no space.
            file.truncate(n_bytes)
            file.seek(-len(end), os.SEEK_END)
            write_all(file, end)
        except BaseException:
            file.close()
            raise
        return file

    def carry(self, version: AttemptVersion | None) -> None:
        """Rename the file, so that its name states the version of its bytes.

        If ``version`` is None, the name states no version, and the attempt cannot be resumed.
        """
        suffix = ""
        if version is not None:
            condition = version.condition.encode("latin-1", "replace")
            if len(condition) <= MAX_CONDITION_LENGTH:
                encoded = base64.urlsafe_b64encode(condition).decode()
                kind = "d" if version.promises_digest else "n"
                suffix = f".{version.n_bytes}-{kind}-{encoded}"
        path = f"{self._directory}{os.sep}{self._attempt}{suffix}.part"
        if path != self._path:
            # Where an open file cannot be renamed (Windows), this attempt cannot be resumed later.
            with suppress(OSError):
                self.path.rename(path)
                self._path = path

    def leave(self) -> None:
        """Leave the file for a later attempt if its download can be resumed; else delete it."""
        name = AttemptName.parse(self.path.name)
        if name is None or name.version is None or not _has_bytes(self.path):
            self.discard()
        self._is_left = True
        _under_way.discard(self._attempt)

    def discard(self) -> None:
        """Delete the file, unless `publish` or `leave` was called before."""
        if not self._is_left:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)
        _under_way.discard(self._attempt)


def write_all(file: FileIO, content: bytes) -> None:
    """Write all bytes to an unbuffered file, whose ``write`` may write only some of them."""
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def is_under_way(path: Path) -> bool:
    """Return whether this process is now writing the attempt file at a path."""
    return ".".join(path.name.split(".", 2)[:2]) in _under_way


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _has_bytes(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
