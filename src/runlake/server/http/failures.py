"""Answers requests that fail because of the client or because the disk is full."""

from __future__ import annotations

import errno
import sqlite3
from typing import Any

from starlette.requests import Request

from runlake.server.http.intake import LastAnswer, Unwelcome, refuse

FULL_DISK = {errno.ENOSPC, errno.EDQUOT}


async def _refuse_for_space(_: Request, error: Exception) -> LastAnswer:
    """Return an HTTP 507 response if the disk is full; otherwise raise the exception again."""
    if not is_full_disk(error):
        raise error
    message = "the disk of the server is full: nothing of the request was stored"
    return LastAnswer({"errors": [{"message": message}]}, 507)


def is_full_disk(error: BaseException) -> bool:
    """Return whether an exception of the system or of SQLite says that the disk is full."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return isinstance(error, OSError) and error.errno in FULL_DISK


FAILURES: dict[Any, Any] = {
    Unwelcome: refuse,
    OSError: _refuse_for_space,
    sqlite3.Error: _refuse_for_space,
}
