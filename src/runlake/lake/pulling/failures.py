"""Say why a run could not be pulled, and what the next pull will do about it."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor

from runlake.errors import (
    AccessDenied,
    AuthenticationError,
    CacheCorrupt,
    CacheLocked,
    ExportCorrupt,
    ExportError,
    ProtocolError,
    RunlakeError,
    RunNotFoundError,
    Unreachable,
)
from runlake.lake.clusters.executors import has_lost_worker
from runlake.lake.report import Failure

LOST_AGAIN = "it is pulled again; if its worker ends again, look at the worker's log."
ASKED_AGAIN = "it is requested again; what is on disk is kept."
LACKING_AGAIN = "what it lacks is requested again; what is on disk is kept."
# The first class that matches counts, so a subclass stands before its base class.
RETRIES: tuple[tuple[type[BaseException], str], ...] = (
    (RunNotFoundError, "it is skipped, unless the backend lists it again."),
    (AccessDenied, "it is requested again, with the API key of that time."),
    (AuthenticationError, "it is requested again, with the API key of that time."),
    (ExportCorrupt, "the export is downloaded again; its other exports are kept."),
    (ExportError, "the missing exports are requested again; its other exports are kept."),
    (Unreachable, ASKED_AGAIN),
    (ProtocolError, ASKED_AGAIN),
    (CacheLocked, "it waits for the lock again."),
    (CacheCorrupt, "the file is downloaded again."),
)


def failure_of(error: BaseException) -> Failure:
    """Return the `Failure` for an error that the pull of one run has raised."""
    if has_lost_worker(error):
        return Failure(_lost(error), type(error).__name__, LOST_AGAIN)
    retry = next((text for kind, text in RETRIES if isinstance(error, kind)), ASKED_AGAIN)
    reason = str(error) if isinstance(error, (RunlakeError, OSError)) else repr(error)
    return Failure(reason, type(error).__name__, retry)


def _lost(error: BaseException) -> str:
    if isinstance(error, BrokenExecutor):
        return f"The executor lost a worker, and runs no more tasks ({error})."
    return "Each worker that pulled it ended, also when it pulled no other run: it was killed."
