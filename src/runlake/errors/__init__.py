"""All errors and warnings of runlake; every error derives from `RunlakeError`.

::

    RunlakeError                    (also named Error, as in wandb)
    |- SettingsError                a setting is missing or wrong
    |  `- UsageError                no API key where one is needed
    |     `- UnsupportedError       the backend is too old for the call
    |- CommError                    what W&B scripts catch around a call
    |  |- InvalidArgument           also ValueError; raised before any request
    |  |  |- InvalidType            also TypeError
    |  |  |- SecretsFound           paths: values that look like keys or passwords
    |  |  `- LocalFileNotFoundError    also FileNotFoundError
    |  |- WaitTimeout               also TimeoutError
    |  |- ArtifactMismatch          also ValueError
    |  |  `- ArtifactFileMissing    also FileNotFoundError
    |  |- ArtifactEntryNotFound     also KeyError
    |  `- WandbApiFailedError       a request or a file transfer failed
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
    |     |  |- UnsupportedByBackend      lacks: field or type missing from its schema
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
    |  |- CacheFull                 report: what was pulled before
    |  `- NotCached                 an offline read needs a file that is not on disk
    `- MissingExtra                 also ImportError; names the extra

``Error``, ``CommError``, ``UsageError``, ``AuthenticationError``, ``WandbApiFailedError``,
``RunNotFoundError`` and ``IncompleteRunHistoryError`` have the names of wandb's own errors, so that
scripts written for wandb catch them.
"""

from __future__ import annotations

from typing import Any

from runlake.errors.screen import MAX_MESSAGE, shortened, without_controls


class RunlakeError(Exception):
    """Base class of all errors of runlake.

    Parameters
    ----------
    message : str
        What happened, to which run, file or key, and what to do next.
    **facts
        The facts of the message as values, such as ``path`` or ``status``. Each fact becomes an
        attribute of the error, and is pickled with the error. An error has only the facts that are
        known where it is raised, so read them with ``getattr(error, "status", None)``.
    """

    facts: dict[str, Any]

    def __init__(self, message: str, **facts: Any) -> None:
        # The message may quote names that other people chose, and Python prints a traceback's
        # message to the terminal without escaping anything.
        message = shortened(without_controls(message), MAX_MESSAGE)
        super().__init__(message)
        self.message = message
        self.facts = facts

    def __getattr__(self, name: str) -> Any:
        # Not `self.facts`: if it is not set yet, that would call this method without end.
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
    """A setting is missing or wrong.

    ``setting`` is the name of the setting or of its environment variable, ``source`` says where its
    value came from.
    """


class UsageError(SettingsError):
    """No API key is configured for the backend."""


class UnsupportedError(UsageError):
    """The backend is too old for the call."""


class CommError(RunlakeError):
    """A call failed; scripts written for wandb catch this class around their calls."""

    @property
    def exc(self) -> BaseException:
        """The cause of this error; this error itself if it has no cause.

        ``exc`` is wandb's name for ``__cause__``.
        """
        return self.__cause__ or self


class InvalidArgument(CommError, ValueError):
    """An argument is of the wrong type or out of range; nothing was sent."""


class InvalidType(InvalidArgument, TypeError):
    """An argument, or a value inside an argument, has an unusable type; nothing was sent."""


class SecretsFound(InvalidArgument):
    """Values of runs look like keys or passwords, so nothing was published.

    ``paths`` has the run and the path of each such value.
    """


class LocalFileNotFoundError(InvalidArgument, FileNotFoundError):
    """A local file or directory does not exist, although the call needs it."""


class WaitTimeout(CommError, TimeoutError):
    """A run did not finish within the given time."""


class ArtifactMismatch(CommError, ValueError):
    """The files of a directory differ from the files of the artifact."""


class ArtifactFileMissing(ArtifactMismatch, FileNotFoundError):
    """A file of the artifact is missing in a directory."""


class ArtifactEntryNotFound(CommError, KeyError):
    """The artifact has no file of that name."""

    def __str__(self) -> str:
        return self.message


class WandbApiFailedError(CommError):
    """A request to the backend or its storage failed."""


class OfflineError(WandbApiFailedError):
    """Offline mode is on, and ``operation`` needs the backend."""


class BackendError(WandbApiFailedError):
    """The backend refused a request, or failed to answer it.

    ``operation`` is the request's name, ``origin`` the backend's address, ``status`` the HTTP
    status, ``attempts`` how often the request was sent.
    """


class Unreachable(BackendError):
    """The backend, or its storage host, could not be reached or did not answer in time."""


class AuthenticationError(BackendError):
    """The backend does not know the API key."""


class AccessDenied(BackendError):
    """The backend knows the API key, but the key's user may not do this."""


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
    """The call needs a field or type that the backend does not have; ``lacks`` is its name."""


class ProtocolError(BackendError):
    """The backend's response does not follow the W&B protocol."""


class FileTransferError(WandbApiFailedError):
    """A file could not be downloaded, uploaded or written; ``status`` is the host's HTTP status."""


class ExportError(FileTransferError):
    """A history export could not be used.

    ``run`` is the path of the run, ``export`` the path in the URL of the export.
    """


class ExportExpired(ExportError):
    """The signed URL of an export expired, and a new URL was refused too."""


class ExportChanged(ExportError):
    """An export was replaced by another version while its parts were being downloaded."""


class ExportCorrupt(ExportError):
    """The file that the storage sent is not the export that the backend offered."""


class IncompleteRunHistoryError(ExportError):
    """The run has rows that are in no export yet, but the call requires complete exports."""


class CacheError(RunlakeError):
    """The cache directory, or a file in the cache, could not be used; ``path`` says which."""


class CacheLocked(CacheError, TimeoutError):
    """Another process held the run's lock for longer than the lock timeout."""


class CacheCorrupt(CacheError):
    """A cached file could not be read and could not be replaced."""


class CacheFull(CacheError):
    """A pull does not fit on the disk, or into the cache's size limit beside the pinned runs.

    ``report`` is the `PullReport` of the runs that were pulled before the error.
    """


class NotCached(CacheError, CommError):
    """An offline read needs a file that is missing from the cache, or damaged."""


class MissingExtra(RunlakeError, ImportError):
    """An optional dependency is not installed; ``extra`` is the extra of runlake to install."""


class NoRowsWarning(UserWarning):
    """A scan yielded no rows although the run has rows; the message says why."""


class MixedTypesWarning(UserWarning):
    """Columns of a frame are JSON text, because no type fits all cells; the message lists them."""


class SampleWarning(UserWarning):
    """The result is a sample of the rows; the message says how many rows there are."""


class StaleWarning(UserWarning):
    """A result is from the cache and may be out of date; the message says its age, if known."""


class IncompleteWarning(UserWarning):
    """A result lacks runs, keys, steps or files, mostly because they are not on disk."""


class OddAnswerWarning(UserWarning):
    """Part of a response or an export is malformed; the message says what effect this has."""


class UnwritableCacheWarning(UserWarning):
    """The cache cannot be written, so downloaded files are not stored in it."""


# At the end, because this module imports all names above from here.
from runlake.errors import errors as errors  # noqa: E402
