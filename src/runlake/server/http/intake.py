"""Reads request bodies, after a check of the API key, and within limits of size and time.

The number of requests that a user can have under way is limited, and only one of these requests may
have a large body. So no user takes all threads or all memory.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anyio
from cachetools import TTLCache
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from runlake.server.http.connections import IS_LATE
from runlake.server.store.accounts import User, find_user
from runlake.server.store.database import Database

MB = 1 << 20
# Without a key, a client can send only the short requests that it needs before it has a key.
MAX_BODY_WITHOUT_KEY = 16_384
LARGE_BODY = 2 * MB
LARGE_AT_ONCE = 4
REQUESTS_AT_ONCE = 64
THREADS_PER_USER = 4
THREADS_FOR_KEYS = 4
KEYS_IN_MEMORY = 1_000
KEY_SECONDS = 60.0
# After a refusal, the rest of the body is read for this time, or up to this size, because many
# clients read the answer only after they have sent the whole body.
LINGER_SECONDS = 2.0
LINGER_BYTES = 64 * MB


class Unwelcome(Exception):
    """A request is refused before it is executed.

    Parameters
    ----------
    status : int
        The HTTP status.
    message : str
        The text for the client.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Limits of the size and duration of requests.

    Parameters
    ----------
    max_body : int
        Maximum size in bytes of the body of a GraphQL or file-stream request, unpacked.
    max_upload : int
        Maximum size in bytes of an uploaded file.
    query_timeout : float
        Seconds for which a GraphQL request may be executed.
    """

    max_body: int = 32 * MB
    max_upload: int = 50_000 * MB
    query_timeout: float = 60.0


class Intake:
    """Reads the bodies of a server's requests.

    Parameters
    ----------
    database : Database
        Database in which the user of an API key is looked up.
    limits : RequestLimits
        Limits of sizes and times.
    """

    def __init__(self, database: Database, limits: RequestLimits) -> None:
        self._database = database
        self.limits = limits
        self._lanes: dict[int | None, _Lanes] = defaultdict(_Lanes)
        self._large = anyio.Semaphore(LARGE_AT_ONCE, fast_acquire=True)
        self._admitted: TTLCache[str | None, User | None] = TTLCache(KEYS_IN_MEMORY, KEY_SECONDS)
        self._key_threads = ThreadPoolExecutor(THREADS_FOR_KEYS, "runlake-keys")

    async def admit(self, request: Request) -> User | None:
        """Return the user of a request's API key, before the body is read; None without a key.

        A wrong key is refused. The user of a key is remembered for a minute. Unlike this method,
        `confirm` looks up the key each time.
        """
        authorization = request.headers.get("authorization")
        user = self._admitted.get(authorization)
        if user is None and authorization:
            # These threads only look up keys, so slow requests in other threads do not delay them.
            loop = asyncio.get_running_loop()
            user = await loop.run_in_executor(self._key_threads, self.confirm, request)
            self._admitted[authorization] = user
        return user

    def confirm(self, request: Request) -> User | None:
        """Return the user of a request's API key from the database; None without a key.

        Reading the database takes time, so this must not be called on the event loop.

        Raises
        ------
        Unwelcome
            If the key is wrong.
        """
        authorization = request.headers.get("authorization")
        user = find_user(self._database, authorization)
        if authorization and user is None:
            raise Unwelcome(401, "invalid API key")
        return user

    @asynccontextmanager
    async def body(self, request: Request, user: User | None) -> AsyncIterator[bytes]:
        """Read the body of a request; run the ``with`` block once the user may use a thread.

        Each user can use only a few threads at once.

        Parameters
        ----------
        request : Request
            The request whose body is read.
        user : User or None
            The user of the request; if None, only short bodies are read.

        Yields
        ------
        bytes
            The body, unpacked.

        Raises
        ------
        Unwelcome
            If the body is too large, too slow or packed in an unknown way, or the user has too many
            requests under way.
        """
        lanes = self._lanes[user.id if user else None]
        if user is not None and lanes.n_requests >= REQUESTS_AT_ONCE:
            raise Unwelcome(429, f"more than {REQUESTS_AT_ONCE} requests at once; try again")
        lanes.n_requests += 1
        try:
            async with AsyncExitStack() as stack:
                body = bytearray()
                is_large = False
                limit = MAX_BODY_WITHOUT_KEY if user is None else self.limits.max_body
                async for piece in _unpacked(request, _pieces(request, limit), limit):
                    if not is_large and max(_announced(request), len(body)) > LARGE_BODY:
                        is_large = True
                        # The user's own turn first: a request that waits for its user must not
                        # occupy one of the turns of all users.
                        await stack.enter_async_context(lanes.large)
                        await stack.enter_async_context(self._large)
                    body += piece
                # Only now: a client that sends its body slowly must not occupy a thread.
                await stack.enter_async_context(lanes.threads)
                yield bytes(body)
        finally:
            lanes.n_requests -= 1

    def upload(self, request: Request) -> AsyncIterator[bytes]:
        """Return an uploaded file in pieces; raise `Unwelcome` if it is too large or too slow."""
        return _pieces(request, self.limits.max_upload)


async def _unpacked(
    request: Request, pieces: AsyncIterator[bytes], limit: int
) -> AsyncIterator[bytes]:
    """Yield a request body, decompressed, in pieces.

    Raise `Unwelcome` if the decompressed body is longer than ``limit`` bytes, or the compression is
    faulty or unknown.
    """
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        async for piece in pieces:
            yield piece
        return
    if encoding != "gzip":
        raise Unwelcome(415, f"a body may be packed with gzip, not with {encoding!r:.40}")
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    n_bytes = 0
    async for piece in pieces:
        waiting, is_more = piece, True
        while is_more and not unpacker.eof:
            try:
                unpacked = unpacker.decompress(waiting, MB)
            except zlib.error:
                raise Unwelcome(400, "the body is not packed with gzip") from None
            waiting = unpacker.unconsumed_tail
            is_more = bool(waiting) or len(unpacked) == MB
            n_bytes += len(unpacked)
            if n_bytes > limit:
                raise _too_large(limit)
            yield unpacked
            # Unpacking takes some milliseconds per MB: other requests get their turn in between.
            await asyncio.sleep(0)
        if waiting or unpacker.unused_data:
            raise Unwelcome(400, "the body goes on after the end of its gzip stream")
    if not unpacker.eof:
        raise Unwelcome(400, "the body ends before the end of its gzip stream")


def _too_large(limit: int) -> Unwelcome:
    return Unwelcome(413, f"the body is larger than {limit:,} bytes, the limit of this server")


async def _pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    if _announced(request) > limit:
        raise _too_large(limit)
    n_bytes, is_more = 0, True
    while is_more:
        message = await request.receive()
        if IS_LATE in request.scope:
            raise Unwelcome(408, "the body arrives too slowly")
        if message["type"] == "http.disconnect":
            raise Unwelcome(400, "the connection ended before the body")
        piece = message.get("body", b"")
        is_more = message.get("more_body", False)
        n_bytes += len(piece)
        if n_bytes > limit:
            raise _too_large(limit)
        yield piece


class _Lanes:
    """Counts and limits the requests that a user has under way."""

    def __init__(self) -> None:
        self.n_requests = 0
        self.large = anyio.Semaphore(1, fast_acquire=True)
        self.threads = anyio.Semaphore(THREADS_PER_USER, fast_acquire=True)


class LastAnswer(JSONResponse):
    """A JSON response to a client that may still be sending a body; closes the connection."""

    def __init__(self, content: Any, status_code: int) -> None:
        super().__init__(content, status_code, {"Connection": "close"})

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Send the response, and read some of the request body meanwhile."""
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                await _read_on(receive)
        await send({"type": "http.response.body"})


async def refuse(_: Request, error: Exception) -> LastAnswer:
    """Return the response to a request for which `Unwelcome` was raised."""
    status = error.status if isinstance(error, Unwelcome) else 400
    return LastAnswer({"errors": [{"message": str(error)}]}, status)


async def _read_on(receive: Receive) -> None:
    n_bytes = 0
    while n_bytes < LINGER_BYTES:
        message = await receive()
        n_bytes += len(message.get("body", b""))
        if not message.get("more_body"):
            return


def _announced(request: Request) -> int:
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0  # noqa: PLR2004
