"""Every error that runlake raises, in one tree.

::

    RunlakeError                    (also named Error, as in wandb)
    |- SettingsError                a setting is missing or wrong
    |  `- UsageError                no API key where one is needed
    |     `- UnsupportedError       the backend is too old for what was asked
    |- CommError                    what W&B scripts catch around a call
    |  |- InvalidArgument           also ValueError; raised before any request
    |  |  |- InvalidType            also TypeError
    |  |  `- LocalFileNotFoundError    also FileNotFoundError
    |  |- WaitTimeout               also TimeoutError
    |  |- ArtifactMismatch          also ValueError
    |  |  `- ArtifactFileMissing    also FileNotFoundError
    |  |- ArtifactEntryNotFound     also KeyError
    |  `- WandbApiFailedError       a request or a file did not deliver
    |     |- OfflineError           operation, origin; nothing was sent
    |     |- BackendError           operation, origin, status, attempts
    |     |  |- Unreachable
    |     |  |- AuthenticationError
    |     |  |- AccessDenied
    |     |  |- RunNotFoundError    also ValueError
    |     |  |- ProjectNotFoundError      also ValueError
    |     |  |- SweepNotFoundError        also ValueError
    |     |  |- RunFileNotFoundError      also FileNotFoundError
    |     |  |- ArtifactNotFoundError     also ValueError
    |     |  |- UnsupportedByBackend      lacks: what its schema does not have
    |     |  `- ProtocolError
    |     `- FileTransferError      status
    |        `- ExportError         run, export
    |           |- ExportExpired
    |           |- ExportChanged
    |           |- ExportCorrupt
    |           `- IncompleteRunHistoryError
    |- CacheError                   path
    |  |- CacheLocked               also TimeoutError
    |  |- CacheCorrupt
    |  `- NotCached                 what an offline read wants is not on disk
    `- MissingExtra                 also ImportError; names the extra

``Error``, ``CommError``, ``UsageError``, ``AuthenticationError``, ``WandbApiFailedError``,
``RunNotFoundError`` and ``IncompleteRunHistoryError`` carry the names that wandb users catch.
"""

from __future__ import annotations

from typing import Any

from runlake.errors.screen import MAX_MESSAGE, shortened, without_controls


class RunlakeError(Exception):
    """Base of every error of runlake.

    Parameters
    ----------
    message : str
        What happened, to what, and a way out.
    **facts
        The same as values: each becomes an attribute, and survives pickling.
    """

    facts: dict[str, Any]

    def __init__(self, message: str, **facts: Any) -> None:
        # Names of others stand in it, and Python writes it to a terminal as it is.
        message = shortened(without_controls(message), MAX_MESSAGE)
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        facts = self.__dict__.get("facts", {})
        if name in facts:
            return facts[name]
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.facts)


def _rebuild(kind: type[RunlakeError], message: str, facts: dict[str, Any]) -> RunlakeError:
    return kind(message, **facts)


Error = RunlakeError


class SettingsError(RunlakeError):
    """A setting is missing or wrong; ``setting`` names it, ``source`` where it came from."""


class UsageError(SettingsError):
    """No API key is configured for the backend."""


class UnsupportedError(UsageError):
    """The backend is too old for what was asked of it."""


class CommError(RunlakeError):
    """A call could not be answered; the class that W&B scripts catch."""

    @property
    def exc(self) -> BaseException:
        """The error behind this one, under the name that W&B scripts use."""
        return self.__cause__ or self


class InvalidArgument(CommError, ValueError):
    """An argument is of the wrong type or out of range; nothing was sent."""


class InvalidType(InvalidArgument, TypeError):
    """An argument, or a value in it, is of a type that cannot be used; nothing was sent."""


class LocalFileNotFoundError(InvalidArgument, FileNotFoundError):
    """A file to upload is not there; nothing was sent."""


class WaitTimeout(CommError, TimeoutError):
    """A run did not come to its end within the time that was given."""


class ArtifactMismatch(CommError, ValueError):
    """A directory does not hold what the artifact holds."""


class ArtifactFileMissing(ArtifactMismatch, FileNotFoundError):
    """A directory lacks a file of the artifact."""


class ArtifactEntryNotFound(CommError, KeyError):
    """The artifact has no file of that name."""

    def __str__(self) -> str:
        return self.message


class WandbApiFailedError(CommError):
    """A request to the backend or its storage did not deliver."""


class OfflineError(WandbApiFailedError):
    """Offline mode is on, and the answer is not in the cache; ``operation`` says what would ask."""


class BackendError(WandbApiFailedError):
    """The backend refused or failed; ``operation``, ``origin`` and ``status`` say how."""


class Unreachable(BackendError):
    """No answer came from the backend within the deadline."""


class AuthenticationError(BackendError):
    """The backend does not know the API key."""


class AccessDenied(BackendError):
    """The API key is known, but does not allow this."""


class RunNotFoundError(BackendError, ValueError):
    """The run, or its project, does not exist or is not visible to this API key."""


class ProjectNotFoundError(BackendError, ValueError):
    """The project does not exist or is not visible to this API key."""


class SweepNotFoundError(BackendError, ValueError):
    """The sweep does not exist or is not visible to this API key."""


class RunFileNotFoundError(BackendError, FileNotFoundError):
    """The run has no file of that name."""


class ArtifactNotFoundError(BackendError, ValueError):
    """The artifact does not exist or is not visible to this API key."""


class UnsupportedByBackend(BackendError):
    """The schema of the backend lacks what the call needs; ``lacks`` says what."""


class ProtocolError(BackendError):
    """The backend answered with something that is not the W&B protocol."""


class FileTransferError(WandbApiFailedError):
    """A file could not be downloaded or uploaded; ``status`` is what its host answered."""


class ExportError(FileTransferError):
    """A history export could not be used; ``run`` and ``export`` name it."""


class ExportExpired(ExportError):
    """The signed URL of an export ran out, and a new one was refused too."""


class ExportChanged(ExportError):
    """An export was replaced by another version while it was read in parts."""


class ExportCorrupt(ExportError):
    """What the storage sent is not the export that was promised."""


class IncompleteRunHistoryError(ExportError):
    """The run has rows in no export yet, and the call asked for complete exports."""


class CacheError(RunlakeError):
    """The cache directory could not be used; ``path`` names the place."""


class CacheLocked(CacheError, TimeoutError):
    """Another process holds the run's lock for longer than the deadline."""


class CacheCorrupt(CacheError):
    """A cached file could not be read and could not be replaced."""


class NotCached(CacheError, CommError):
    """What an offline read wants is not in the cache, or damaged there."""


class MissingExtra(RunlakeError, ImportError):
    """An optional dependency is not installed; ``extra`` names what to install."""


class NoRowsWarning(UserWarning):
    """A scan yielded no rows although the run has some; the text says why."""


class MixedTypesWarning(UserWarning):
    """Columns of a frame are JSON text, because their cells fit no type; the text names them."""


class SampleWarning(UserWarning):
    """What came back is a sample of more rows; the text says of how many."""


class StaleWarning(UserWarning):
    """An answer is of an earlier moment; the text says how old it is."""


class OddAnswerWarning(UserWarning):
    """A backend's answer, or an export, is odd in a part; the text says what that costs."""


class UnwritableCacheWarning(UserWarning):
    """The cache cannot be written, so that what was fetched is not kept."""


# Last, because it takes its names from here.
from runlake.errors import errors as errors  # noqa: E402
