"""The HTTP client that sends all requests: credentials per origin, timeouts, errors."""

from __future__ import annotations

import json
import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar
from urllib.parse import urljoin, urlsplit

import httpx

from runlake.backend.connections.exchange import READ_BYTES, FileRequest, FileResponse
from runlake.backend.connections.network import without_frames
from runlake.backend.connections.pace import Patience
from runlake.backend.connections.pools import Connections, KeyAuth
from runlake.backend.connections.urls import Host, bare, host_of_url, origin_of, target_of
from runlake.backend.http.bandwidth import shared_bandwidth
from runlake.backend.http.budget import Budget
from runlake.backend.http.decoding import ACCEPTED, NotDecodable, TooLarge, read_answer
from runlake.backend.http.failures import Failures
from runlake.backend.http.json_text import parse_json
from runlake.backend.http.reply import Reply
from runlake.backend.http.retry import Transient
from runlake.backend.http.statuses import REDIRECTS
from runlake.backend.http.stop import Stop
from runlake.errors import (
    BackendError,
    FileTransferError,
    InvalidType,
    OfflineError,
    ProtocolError,
    SettingsError,
    UsageError,
)
from runlake.settings import Settings

if TYPE_CHECKING:
    from runlake.backend.connections.multiplexer import Begun

USER_AGENT = "runlake/0.1"
MAX_REDIRECTS = 5
# A host that is up accepts a connection quickly, however long its responses take.
CONNECT_SECONDS = 10.0
ANSWER_TIMEOUTS = 4  # limit for a whole response of the API, in multiples of the timeout
HEAD_TIMEOUTS = 2  # limit for the headers of a file, in multiples of the timeout
# Few headers, because hosts parse each one. HTTP/1.1 keeps connections open without a header.
DOWNLOAD_HEADERS = (
    # Ask for no compression, because ranges, lengths and digests refer to the file's own bytes.
    (b"Accept-Encoding", b"identity"),
    (b"User-Agent", USER_AGENT.encode()),
)
LONG_READ_BYTES = 1 << 20
UPLOAD_BYTES = 1 << 18
SLOWEST_HOST = 4 << 20  # bytes per second at which a slow host checks and stores an upload
T = TypeVar("T")


class Client:
    """Sends requests to one backend, and to the storage hosts in the backend's URLs.

    The first request opens the first socket. A forked child process opens its own connections.

    Parameters
    ----------
    settings : Settings
        Source of base URL, API key and timeouts.
    budget : Budget, optional
        Limits the rate of requests to the API (not to storage hosts); no limit if omitted.
    """

    def __init__(self, settings: Settings, budget: Budget | None = None) -> None:
        self.settings = settings
        self.budget = budget
        self.round_trip = 0.0  # duration of the last request to the API, in seconds
        self.bytes_per_second = 0.0  # rate of the last long download; 0 before the first
        self.n_requests = 0  # requests to the API and to storage hosts, with retries
        self._origin = origin_of(settings.base_url)
        self._counting = threading.Lock()
        self._file_latency = math.inf
        self._connections = Connections(settings)
        self._failures = Failures(settings)

    def __getstate__(self) -> dict[str, Any]:
        # Sockets and locks cannot be pickled: the copy opens connections of its own.
        return {"settings": self.settings, "budget": self.budget}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["settings"], state["budget"])  # type: ignore[misc]

    @property
    def origin(self) -> str:
        """Scheme, host and port of the API, such as ``https://api.wandb.ai:443``."""
        return self._origin

    @property
    def latency(self) -> float:
        """An estimate of the time until a host begins to answer, in seconds.

        This is the smaller of two durations: the duration of the last request to the API, and the
        shortest wait until a storage host began to answer. It is 0 before the first request to the
        API.
        """
        return min(self.round_trip, self._file_latency)

    def post(self, path: str, payload: object, *, operation: str, what: str | None = None) -> Any:
        """Post JSON to the API once, without retries, and return the parsed JSON of the response.

        Parameters
        ----------
        path : str
            Path below the base URL, with a leading slash.
        payload : object
            A value that JSON can represent.
        operation : str
            Name of the request in errors, such as ``"Runs"``.
        what : str, optional
            Text for error messages: the operation, and the run or other object that the request is
            about; if omitted, ``operation``.

        Returns
        -------
        Any
            The parsed body of a 2xx response.

        Raises
        ------
        Transient
            If another attempt may succeed; its ``error`` is the error to show to the user.
        BackendError
            If another attempt would fail too.
        UsageError
            If no API key is configured.
        OfflineError
            In offline mode.
        """
        what = what or operation
        url = self.settings.base_url + path
        self._refuse_offline(operation)
        self._require_key(url)
        seconds = self.settings.timeout
        patience = Patience(seconds, seconds * ANSWER_TIMEOUTS)
        http = self._connections.pool(url)
        request = http.build_request(
            "POST",
            self._api_url(url),
            content=_as_json(payload, what),
            headers={
                "User-Agent": USER_AGENT,
                "Accept-Encoding": ACCEPTED,
                "Content-Type": "application/json",
            },
            extensions=self._timeouts(patience),
        )
        turn = self._turn(url, operation)
        started = time.monotonic()
        try:
            response = http.send(request, stream=True, auth=self._auth(url))
            try:
                self._learn(url, turn, response.status_code, response.headers)
                if not response.is_success:
                    raise self._failures.refusal(response, operation, what)
                content = self._answer(response, what)
            finally:
                response.close()
        except httpx.HTTPError as error:
            raise Transient(
                self._failures.unreachable(
                    error, operation, url, operation, what.removeprefix(operation)
                ),
                is_refusal=isinstance(error, httpx.ConnectError),
            ) from without_frames(error)
        self.round_trip = time.monotonic() - started
        try:
            return parse_json(content)
        except ValueError as error:
            status = response.status_code
            raise self._failures.not_json(content, status, operation, what) from error

    @contextmanager
    def open(
        self,
        url: str,
        headers: Mapping[str, str],
        stop: Stop | None = None,
        *,
        what: str = "a file",
        begun: Begun[Any] | None = None,
    ) -> Iterator[Reply]:
        """Request a file from a storage host, and yield the response.

        Parameters
        ----------
        url : str
            Absolute http(s) URL. Redirects are followed. The API key is sent only to a URL, or
            target of a redirect, that has the API's own origin.
        headers : mapping
            Request headers, such as ``Range`` or ``If-None-Match``.
        stop : Stop, optional
            A flag that ends the request; any thread may set it. While this method waits for the
            headers of the response, it does not notice the flag.
        what : str
            Name of the file in error messages.
        begun : Begun, optional
            This request as `begin` yielded it, if `begin` has sent it already.

        Yields
        ------
        Reply
            A response with any status except a redirect. Its body must be read inside the context.

        Raises
        ------
        Transient
            If another attempt may succeed; its ``error`` is `Unreachable`.
        FileTransferError
            If the URL, or the URL of a redirect, is not http(s), or there are too many redirects.
        OfflineError
            In offline mode.
        """
        self._refuse_offline("a download")
        stop = stop or Stop()
        for _ in range(MAX_REDIRECTS + 1):
            request = begun.request if begun else self._download_request(url, headers, what)
            stop.check()
            transport = self._connections.transport(url)
            turn = request.turn if begun else self._turn(url, "a download")
            started = time.monotonic()
            try:
                response = transport.resume(begun) if begun else transport.get(request)
            except httpx.HTTPError as error:
                # If the work was cancelled meanwhile, raise `Stopped` instead of this error.
                stop.check()
                raise self._failures.of_download(error, url, what) from without_frames(error)
            self._note_latency(begun.seconds if begun else time.monotonic() - started)
            begun = None
            # The limit was for the headers. A body may take hours, as long as bytes keep arriving.
            request.timeouts["read"].lift_total()
            try:
                self._learn(url, turn, response.status_code, response.headers)
                if response.status_code not in REDIRECTS:
                    with stop.watch(_socket(response)):
                        yield self._reply(response, stop, url, what)
                    return
                url = self._redirected(url, response.location, what)
            finally:
                response.close()
        raise FileTransferError(
            f"{self.host_of(url)} redirects the download of {what} more than {MAX_REDIRECTS} "
            "times. Ask the host's administrator."
        )

    def begin(
        self,
        waiting: deque[T],
        file_of: Callable[[T], tuple[str, Mapping[str, str]]],
        stop: Stop,
        *,
        n_connections: int,
        max_bytes: int,
        what: str = "files",
    ) -> Iterator[list[Begun[T]]]:
        """Request many small files from one storage host, all in the calling thread.

        Parameters
        ----------
        waiting : deque
            The files to request, in any form that ``file_of`` accepts. An element is removed when
            its request is sent. The caller must request the elements that remain at the end with
            `open`.
        file_of : callable
            Takes an element, and returns its URL and its request headers. All URLs must have the
            same origin.
        stop : Stop
            A flag that ends the requests; any thread may set it.
        n_connections : int
            Maximum number of connections.
        max_bytes : int
            Bodies longer than this number of bytes are left for `open` to read.
        what : str
            Name of the files in error messages.

        Yields
        ------
        list of Begun
            Sent requests, each with the part of its response that has arrived. Pass a request to
            `open` to read its whole response.
        """
        self._refuse_offline("a download")

        def request_for(file: T) -> FileRequest:
            url, headers = file_of(file)
            return self._download_request(url, headers, what, self._turn(url, "a download"))

        if not waiting:
            return
        url, headers = file_of(waiting[0])
        yield from self._connections.transport(url).begin(
            waiting,
            request_for,
            self._download_request(url, headers, what),
            n_connections=n_connections,
            max_bytes=max_bytes,
            check=stop.check,
        )

    def learn(self, begun: Begun[Any], url: str, headers: Mapping[str, str]) -> None:
        """Update the latency and the rate limit from a response that `begin` yielded.

        `open` does this itself. Call this method for a response that is read without `open`.

        Parameters
        ----------
        begun : Begun
            The request as `begin` yielded it; its response is complete.
        url : str
            The URL of the request.
        headers : mapping
            Headers of the response; names are in lower case.
        """
        self._note_latency(begun.seconds)
        self._learn(url, begun.request.turn, begun.answer.status, headers)

    def put(
        self,
        url: str,
        content: BinaryIO,
        n_bytes: int,
        headers: Mapping[str, str],
        *,
        what: str = "a file",
    ) -> tuple[int, Mapping[str, str]]:
        """Upload a file to a storage host in pieces; return status and headers of the response.

        The API key is sent only if the URL has the API's own origin.

        Parameters
        ----------
        url : str
            Absolute http(s) URL; redirects are not followed.
        content : binary file
            The file to send, from its current position on.
        n_bytes : int
            Number of bytes to send; the file may be longer.
        headers : mapping
            Request headers.
        what : str
            Name of the file in error messages.

        Returns
        -------
        tuple of int and mapping
            Status and headers of the response.

        Raises
        ------
        Transient
            If another attempt may succeed; its ``error`` is `Unreachable`.
        FileTransferError
            If the URL is not http(s).
        OfflineError
            In offline mode.
        """
        self._refuse_offline("an upload")
        _, target = self._parsed(url, what)
        # A host may answer long after the last byte, when it has checked and stored the whole file.
        seconds = self.settings.timeout
        answer = seconds + n_bytes / SLOWEST_HOST
        http = self._connections.pool(url, is_bulk=True)
        request = http.build_request(
            "PUT",
            # httpx logs URLs, and a signed URL is a secret: the query is sent in the request's
            # target.
            bare(url),
            content=_pieces(content, n_bytes),
            headers={"User-Agent": USER_AGENT, **headers, "Content-Length": str(n_bytes)},
            extensions={
                "target": target,
                **self._timeouts(Patience(answer, answer * HEAD_TIMEOUTS), Patience(seconds)),
            },
        )
        turn = self._turn(url, "an upload")
        try:
            response = http.send(request, stream=True, auth=self._auth(url))
        except httpx.HTTPError as error:
            raise Transient(
                self._failures.unreachable(error, f"The upload of {what}", url, "Upload")
            ) from without_frames(error)
        # The body is not needed.
        response.close()
        self._learn(url, turn, response.status_code, response.headers)
        return response.status_code, response.headers

    def _note_latency(self, seconds: float | None) -> None:
        self._file_latency = min(self._file_latency, seconds or math.inf)

    def quote(self, text: object) -> str:
        """Return a server's text for an error message: shortened, with the API key masked."""
        return self._failures.quote(text)

    def host_of(self, url: str) -> str:
        """Return scheme, host and port of a URL, for an error message."""
        return self._failures.host_of(url)

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        self._connections.close()

    def _download_request(
        self, url: str, headers: Mapping[str, str], what: str, turn: float = 0.0
    ) -> FileRequest:
        host, target = self._parsed(url, what)
        patience = Patience(self.settings.timeout, self.settings.timeout * HEAD_TIMEOUTS)
        return FileRequest(
            host.scheme,
            host.host,
            host.port,
            target,
            [
                (b"Host", host.netloc),
                *DOWNLOAD_HEADERS,
                *((name.encode("ascii"), text.encode("latin-1")) for name, text in headers.items()),
                *self._credentials(url, host),
            ],
            self._timeouts(patience)["timeout"],
            # Long reads make a download faster, which a download with limited speed does not need.
            READ_BYTES if self.settings.max_bandwidth else LONG_READ_BYTES,
            turn,
        )

    def _credentials(self, url: str, host: Host) -> list[tuple[bytes, bytes]]:
        auth = self._auth(url)
        if auth is not None:
            return [(b"Authorization", auth.header())]
        return [] if host.auth is None else [(b"Authorization", host.auth)]

    def _reply(self, response: FileResponse, stop: Stop, url: str, what: str) -> Reply:
        limit = self.settings.max_bandwidth
        bandwidth = shared_bandwidth(limit) if limit else None
        return Reply(
            response, stop, bandwidth, partial(self._failures.of_download, url=url, what=what)
        )

    def _timeouts(self, read: Patience, write: Patience | None = None) -> dict[str, Any]:
        # "pool" is None, which means no limit: a request that waits for a free connection waits
        # only for other requests of this client.
        connect = min(CONNECT_SECONDS, self.settings.timeout)
        # In requests to the API, one `Patience` limits both sending and reading.
        own = {"connect": connect, "read": read, "write": write or read, "pool": None}
        return {"timeout": own}

    def _api_url(self, url: str) -> httpx.URL:
        try:
            asked = httpx.URL(url)
            _check_host(asked)
        except (httpx.InvalidURL, ValueError) as error:
            raise SettingsError(
                f"The base URL {self.quote(repr(self.settings.base_url))} cannot be used: "
                f"{self.quote(error)}. Correct WANDB_BASE_URL, or base_url.",
                setting="base_url",
            ) from None
        return asked

    def _parsed(self, url: str, what: str) -> tuple[Host, bytes]:
        """Return a URL's host, and its path and query for the request line.

        httpx logs the URL of each request. So the URL is passed to httpx without the query, and the
        signed query is passed in the extension ``target``.

        Raises
        ------
        FileTransferError
            If the URL is malformed or not http(s).
        """
        with suppress(httpx.InvalidURL, ValueError, TypeError, AttributeError):
            return host_of_url(url), target_of(url)
        raise FileTransferError(
            f"The backend gives {self.quote(repr(bare(str(url))))} as the URL of {what}, "
            "which is no http(s) URL."
        )

    def _redirected(self, url: str, location: str, what: str) -> str:
        try:
            return urljoin(url, location)
        except ValueError:
            raise FileTransferError(
                f"{self.host_of(url)} redirects the download of {what} to "
                f"{self.quote(repr(bare(location)))}, which is no URL."
            ) from None

    def _answer(self, response: httpx.Response, what: str) -> bytes:
        """Return the decompressed body of a response.

        Raise `ProtocolError` if the body is implausibly large, or cannot be decompressed.
        """
        try:
            return read_answer(response.iter_raw(), response.headers.get("content-encoding", ""))
        except TooLarge as error:
            raise ProtocolError(
                f"{self.origin} answered {what} with {error}, which is too large. Request fewer "
                "rows or runs at once.",
                origin=self.origin,
            ) from None
        except NotDecodable as error:
            raise ProtocolError(
                f"The answer of {self.origin} to {what} cannot be read: {error}.",
                origin=self.origin,
            ) from error

    def _refuse_offline(self, operation: str) -> None:
        if self.settings.offline:
            raise OfflineError(
                f"{operation[:1].upper()}{operation[1:]} needs {self.origin}, and offline mode is "
                "on. To go online, unset RUNLAKE_OFFLINE, or build the Api without offline=True.",
                operation=operation,
                origin=self.origin,
            )

    def _turn(self, url: str, operation: str) -> float:
        """Count a request, and wait until the rate limit allows it.

        Return the request's turn, which `_learn` needs: the time from `Budget.acquire`. A request
        to a storage host does not wait; for it, 0 is returned.
        """
        with self._counting:
            self.n_requests += 1
        # Requests to storage hosts do not count for the limit of the API.
        if self.budget is None or origin_of(url) != self.origin:
            return 0.0
        try:
            return self.budget.acquire(self.settings.lock_timeout)
        except TimeoutError as error:
            raise BackendError(
                f"The rate limit of this API key at {self.origin} left no turn for {operation} "
                f"within {self.settings.lock_timeout:g} seconds: other processes use it up. Wait "
                "for them, or raise RUNLAKE_LOCK_TIMEOUT.",
                operation=operation,
                origin=self.origin,
            ) from error

    def _learn(self, url: str, turn: float, status: int, headers: Mapping[str, str]) -> None:
        if self.budget is not None and origin_of(url) == self.origin:
            self.budget.learn(turn, status, headers)

    def _auth(self, url: str) -> KeyAuth | None:
        key = self.settings.api_key
        # A storage host must not see the API key.
        return None if key is None or origin_of(url) != self.origin else KeyAuth(key)

    def _require_key(self, url: str) -> None:
        if self.settings.api_key is None:
            raise UsageError(
                f"No API key is configured for {self.origin}. Set WANDB_API_KEY, or add an entry "
                f"for machine {urlsplit(url).netloc} to ~/.netrc.",
                setting="api_key",
            )


def _as_json(payload: object, what: str) -> bytes:
    """Encode a request's payload as JSON; raise `InvalidType` for a type that JSON lacks."""
    try:
        return json.dumps(payload).encode()
    except (TypeError, RecursionError) as error:
        raise InvalidType(f"{what} cannot be sent: {error}.") from error


def _check_host(url: httpx.URL) -> None:
    """Raise ValueError for a host name that httpx accepts in a URL, but cannot connect to."""
    _ = url.host


def _pieces(content: BinaryIO, n_bytes: int) -> Iterator[bytes]:
    """Yield the next ``n_bytes`` bytes of a file in pieces; the file may grow while it is sent."""
    while n_bytes and (piece := content.read(min(UPLOAD_BYTES, n_bytes))):
        n_bytes -= len(piece)
        yield piece


def _socket(response: FileResponse) -> socket.socket | None:
    found = response.network_stream.get_extra_info("socket")
    return found if isinstance(found, socket.socket) else None
