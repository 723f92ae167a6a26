"""The one seam to the network: origins, credentials, timeouts, and foreign errors made ours."""

from __future__ import annotations

import base64
import logging
import os
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import httpx

from runlake.backend.bandwidth import shared_bandwidth
from runlake.backend.budget import Budget
from runlake.backend.reply import Reply
from runlake.backend.retry import Transient, is_retryable
from runlake.backend.stop import Stop
from runlake.backend.trust import trust
from runlake.backend.words import safe_words
from runlake.errors import (
    AccessDenied,
    AuthenticationError,
    BackendError,
    FileTransferError,
    OfflineError,
    ProtocolError,
    Unreachable,
    UsageError,
)
from runlake.settings import Secret, Settings

USER_AGENT = "runlake/0.1"
MAX_REDIRECTS = 5
UPLOAD_BYTES = 1 << 18
SLOWEST_HOST = 4 << 20  # bytes per second that it checks and keeps
REDIRECTS = {301, 302, 303, 307, 308}


class Client:
    """Sends requests to one backend and to the storage hosts that it names.

    Parameters
    ----------
    settings : Settings
        Building a client opens no socket; the first request does. After a fork each process has
        its own connections.
    budget : Budget, optional
        Whom to ask before each request to the API's own origin; unlimited if omitted.
    """

    def __init__(self, settings: Settings, budget: Budget | None = None) -> None:
        self.settings = settings
        self.budget = budget
        self.round_trip = 0.0  # seconds that the last request to the API took
        self._connections: tuple[int, dict[bool, httpx.Client]] | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "budget": self.budget}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["settings"], state["budget"])  # type: ignore[misc]

    @property
    def origin(self) -> str:
        """Scheme, host and port of the API."""
        return _origin(self.settings.base_url)

    def post(self, path: str, payload: object, *, operation: str) -> Any:
        """Post JSON to the API once and return the JSON of its answer.

        Parameters
        ----------
        path : str
            Below the base URL, with a leading slash.
        payload : object
            Anything that JSON can carry.
        operation : str
            What to call the request in errors.

        Returns
        -------
        Any
            The decoded body of a 2xx answer.

        Raises
        ------
        Transient
            Around the error to show, where another try may succeed.
        BackendError
            Where it will not.
        OfflineError
            In offline mode.
        """
        url = self.settings.base_url + path
        self._refuse_offline(operation)
        auth = self._auth(url, is_required=True) or httpx.Auth()
        http = self._http()
        turn = self._turn(url, operation)
        started = time.monotonic()
        try:
            response = http.post(url, json=payload, headers={"User-Agent": USER_AGENT}, auth=auth)
        except httpx.HTTPError as error:
            raise Transient(
                _unreachable(error, operation, url),
                is_refusal=isinstance(error, httpx.ConnectError),
            ) from error
        self.round_trip = time.monotonic() - started
        self._learn(url, turn, response)
        if not response.is_success:
            raise self._refusal(response, operation)
        try:
            return response.json()
        except ValueError as error:
            raise ProtocolError(
                f"{self.origin} answered {operation} with something that is not JSON. "
                "Is WANDB_BASE_URL the address of the API?",
                operation=operation,
                origin=self.origin,
                status=response.status_code,
            ) from error

    @contextmanager
    def open(
        self, url: str, headers: Mapping[str, str], stop: Stop | None = None
    ) -> Iterator[Reply]:
        """Get a file from a storage host; the API key goes along to the API's own origin only.

        Parameters
        ----------
        url : str
            Absolute http(s) URL; redirects are followed, and the rule holds at every hop.
        headers : mapping
            Request headers, such as ``Range`` or ``If-None-Match``.
        stop : Stop, optional
            Ends the request, from any thread.

        Yields
        ------
        Reply
            Any status; the body is read while the context is open.

        Raises
        ------
        Transient
            Around `Unreachable`, where another try may succeed.
        FileTransferError
            If the URL, or a redirect, is not http(s), or redirects do not end.
        OfflineError
            In offline mode.
        """
        self._refuse_offline("a download")
        stop = stop or Stop()
        for _ in range(MAX_REDIRECTS + 1):
            if urlsplit(url).scheme not in {"http", "https"}:
                raise FileTransferError(
                    f"The backend offers a file at what is no http(s) URL: {_bare(url)!r}."
                )
            stop.check()
            http = self._http(is_bulk=True)
            request = http.build_request(
                "GET",
                _bare(url),
                extensions=_signed(url),
                headers={
                    "User-Agent": USER_AGENT,
                    "Accept-Encoding": "identity",
                    **headers,
                },
            )
            turn = self._turn(url, "a download")
            try:
                response = http.send(request, stream=True, auth=self._auth(url))
            except httpx.HTTPError as error:
                stop.check()
                raise Transient(_unreachable(error, "Download", url)) from error
            try:
                self._learn(url, turn, response)
                if response.status_code not in REDIRECTS:
                    with stop.watch(_socket(response)):
                        yield self._reply(response, stop, url)
                    return
                url = urljoin(url, response.headers.get("location", ""))
            finally:
                response.close()
        raise FileTransferError(
            f"{_origin(url)} redirects a download more than {MAX_REDIRECTS} times."
        )

    def put(
        self, url: str, content: BinaryIO, n_bytes: int, headers: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str]]:
        """Send a file to a storage host, piece by piece; the key goes to the API's origin only.

        Parameters
        ----------
        url : str
            Absolute http(s) URL; redirects are not followed.
        content : binary file
            Read from where it stands to its end.
        n_bytes : int
            How many bytes that is.
        headers : mapping
            Request headers.

        Returns
        -------
        tuple of int and mapping
            Status and headers of the answer.

        Raises
        ------
        Transient
            Around `Unreachable`, where another try may succeed.
        FileTransferError
            If the URL is not http(s).
        OfflineError
            In offline mode.
        """
        self._refuse_offline("an upload")
        if urlsplit(url).scheme not in {"http", "https"}:
            raise FileTransferError(
                f"The backend wants a file at what is no http(s) URL: {_bare(url)!r}."
            )
        sent = {
            "User-Agent": USER_AGENT,
            **headers,
            "Content-Length": str(n_bytes),
        }
        # A host may answer long after the last byte, once it has checked and kept them all.
        seconds = self.settings.timeout
        patience = httpx.Timeout(seconds, read=seconds + n_bytes / SLOWEST_HOST)
        pieces = _pieces(content, n_bytes)
        http = self._http()
        turn = self._turn(url, "an upload")
        try:
            response = http.put(
                _bare(url),
                content=pieces,
                headers=sent,
                auth=self._auth(url) or httpx.Auth(),
                timeout=patience,
                extensions=_signed(url),
            )
        except httpx.HTTPError as error:
            raise Transient(_unreachable(error, "Upload", url)) from error
        self._learn(url, turn, response)
        return response.status_code, response.headers

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            if self._connections:
                _close(self._connections[1], self._connections[0])
            self._connections = None

    def _reply(self, response: httpx.Response, stop: Stop, url: str) -> Reply:
        limit = self.settings.max_bandwidth
        return Reply(
            response,
            stop,
            shared_bandwidth(limit) if limit else None,
            lambda error: Transient(_unreachable(error, "Download", url)),
        )

    def _http(self, *, is_bulk: bool = False) -> httpx.Client:
        """Return the pool for small requests, or the one for the bodies of files.

        Files want a connection per worker: over HTTP/2 they would share one, and its flow control.
        """
        with self._lock:
            if self._connections is None or self._connections[0] != os.getpid():
                pools: dict[bool, httpx.Client] = {}
                # Not a __del__: a forked child must not close what its parent still uses.
                weakref.finalize(self, _close, pools, os.getpid())
                self._connections = (os.getpid(), pools)
            pools = self._connections[1]
            if is_bulk not in pools:
                pools[is_bulk] = self._connect(is_bulk=is_bulk)
            return pools[is_bulk]

    def _connect(self, *, is_bulk: bool) -> httpx.Client:
        for name in ("httpcore.http11", "httpcore.http2"):
            logging.getLogger(name).addFilter(_is_no_redirect)
        settings = self.settings
        verify: ssl.SSLContext | bool = settings.verify_ssl
        if settings.verify_ssl and settings.ca_bundle:
            verify = trust(settings.ca_bundle)
        return httpx.Client(
            http2=not is_bulk,
            verify=verify,
            timeout=httpx.Timeout(settings.timeout, connect=min(10.0, settings.timeout), pool=None),
            limits=httpx.Limits(max_connections=None if is_bulk else settings.max_workers * 2),
            follow_redirects=False,
        )

    def _refuse_offline(self, operation: str) -> None:
        if self.settings.offline:
            raise OfflineError(
                f"{operation[:1].upper()}{operation[1:]} needs {self.origin}, and offline mode is "
                "on. To go online, unset RUNLAKE_OFFLINE, or build the Api without offline=True.",
                operation=operation,
                origin=self.origin,
            )

    def _turn(self, url: str, operation: str) -> float:
        """Wait until the API's own origin may be asked; other hosts know no limit."""
        if self.budget is None or _origin(url) != self.origin:
            return 0.0
        try:
            return self.budget.acquire(self.settings.lock_timeout)
        except TimeoutError as error:
            raise BackendError(
                f"So many requests to {self.origin} wait for the limit of this API key that "
                f"{operation} had no turn within {self.settings.lock_timeout:g} seconds. Wait for "
                "the other processes, or raise RUNLAKE_LOCK_TIMEOUT.",
                operation=operation,
                origin=self.origin,
            ) from error

    def _learn(self, url: str, turn: float, response: httpx.Response) -> None:
        if self.budget is not None and _origin(url) == self.origin:
            self.budget.learn(turn, response.status_code, response.headers)

    def _auth(self, url: str, *, is_required: bool = False) -> _KeyAuth | None:
        if _origin(url) != self.origin:
            return None
        key = self.settings.api_key
        if key is None:
            if not is_required:
                return None
            raise UsageError(
                f"No API key is configured for {self.origin}. Set WANDB_API_KEY, or add an entry "
                f"for machine {urlsplit(url).netloc} to ~/.netrc.",
                setting="api_key",
            )
        return _KeyAuth(key)

    def _refusal(self, response: httpx.Response, operation: str) -> Exception:
        status = response.status_code
        facts = {"operation": operation, "origin": self.origin, "status": status}
        said = _said(response, self.settings.api_key)
        if status == httpx.codes.UNAUTHORIZED:
            return AuthenticationError(
                f"{self.origin} does not know this API key (HTTP 401). Check WANDB_API_KEY, or the "
                "key in ~/.netrc.",
                **facts,
            )
        if status == httpx.codes.FORBIDDEN:
            return AccessDenied(
                f"{self.origin} does not allow {operation} with this API key (HTTP 403){said}.",
                **facts,
            )
        error = BackendError(
            f"{self.origin} answered {operation} with HTTP {status}{said}.", **facts
        )
        if is_retryable(status):
            return Transient(error, retry_after=response.headers.get("retry-after"))
        return error


class _KeyAuth(httpx.Auth):
    """Adds the API key as the request leaves: tools that print the variables of frames see none."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        request.headers["Authorization"] = (
            "Basic " + base64.b64encode(f"api:{self._key.reveal()}".encode()).decode()
        )
        yield request


def _pieces(content: BinaryIO, n_bytes: int) -> Iterator[bytes]:
    """Yield so many bytes and no more: a file may grow while it is sent."""
    while n_bytes and (piece := content.read(min(UPLOAD_BYTES, n_bytes))):
        n_bytes -= len(piece)
        yield piece


def _close(pools: dict[bool, httpx.Client], pid: int) -> None:
    if os.getpid() == pid:
        for pool in pools.values():
            pool.close()


def _is_no_redirect(record: logging.LogRecord) -> bool:
    """Keep the signatures of redirects out of what httpcore logs."""
    return "location'" not in record.getMessage().lower()


def _socket(response: httpx.Response) -> socket.socket | None:
    stream = response.extensions.get("network_stream")
    found = stream.get_extra_info("socket") if stream is not None else None
    return found if isinstance(found, socket.socket) else None


def _said(response: httpx.Response, key: Secret | None) -> str:
    try:
        body = response.json()
        messages = [str(error["message"]) for error in body["errors"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return ": " + safe_words("; ".join(messages), key).rstrip(".")


def _unreachable(error: httpx.HTTPError, operation: str, url: str) -> Unreachable:
    origin = _origin(url)
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Unreachable(
            f"{operation} at {origin} failed: its certificate is not signed for this host by an "
            "authority that this client trusts. Name the authority's file in REQUESTS_CA_BUNDLE "
            "or SSL_CERT_FILE.",
            operation=operation,
            origin=origin,
        )
    what = "took too long" if isinstance(error, httpx.TimeoutException) else "failed"
    return Unreachable(
        f"{operation} at {origin} {what} ({type(error).__name__}). Is the backend running, and is "
        "WANDB_BASE_URL right?",
        operation=operation,
        origin=origin,
    )


def _signed(url: str) -> dict[str, bytes]:
    """Return how to ask for a URL of which httpx, which logs URLs, knows no more than `_bare`."""
    return {"target": httpx.URL(url).raw_path}


def _bare(url: str) -> str:
    """Return a URL without its query, which may be a signature."""
    return url.partition("?")[0]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"
