"""Logs one JSON line per request, without API keys and signatures."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class AccessLog:
    """ASGI middleware that logs each request before the last piece of the response is sent.

    Parameters
    ----------
    app : ASGIApp
        The application that answers the requests.
    file : Path or None
        File to which lines are appended; if None, nothing is logged.
    """

    def __init__(self, app: ASGIApp, file: Path | None) -> None:
        self._app = app
        self._file = file
        self._guard = threading.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and log it."""
        if scope["type"] != "http" or self._file is None:
            await self._app(scope, receive, send)
            return
        status = 0
        n_bytes = 0
        is_written = False

        async def count(message: Message) -> None:
            nonlocal status, n_bytes, is_written
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                n_bytes += len(message.get("body", b""))
                # Write the line before the last piece is sent, so that a client that has the whole
                # response finds the line of its request in the log.
                if not message.get("more_body"):
                    self._write(scope, status, n_bytes)
                    is_written = True
            await send(message)

        try:
            await self._app(scope, receive, count)
        finally:
            # The application failed, or the client left before the end of the response.
            if not is_written:
                self._write(scope, status, n_bytes)

    def _write(self, scope: Scope, status: int, n_bytes: int) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        entry: dict[str, Any] = {
            "time": time.time(),
            "origin": scope.get("runlake.origin", "api"),
            "method": scope["method"],
            "path": scope["path"],
            "operation": scope.get("runlake.operation"),
            "status": status,
            "bytes_sent": n_bytes,
            "has_authorization": b"authorization" in headers,
            "user_agent": headers.get(b"user-agent", b"").decode("latin-1"),
            "range": headers.get(b"range", b"").decode("latin-1") or None,
        }
        if self._file is not None:
            with self._guard, self._file.open("a") as log:
                log.write(json.dumps(entry) + "\n")
