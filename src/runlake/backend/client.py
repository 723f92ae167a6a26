"""The one seam to the network: origins, credentials, timeouts, and foreign errors made ours."""

from __future__ import annotations

import base64
import os
import ssl
import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urljoin, urlsplit

import httpx

from runlake.backend.retry import Transient
from runlake.errors import (
    AccessDenied,
    AuthenticationError,
    BackendError,
    FileTransferError,
    ProtocolError,
    Unreachable,
    UsageError,
)
from runlake.settings import Settings

USER_AGENT = "runlake/0.1"
MAX_REDIRECTS = 5
UPLOAD_BYTES = 1 << 18
SLOWEST_HOST = 4 << 20  # bytes per second that it checks and keeps
REDIRECTS = {301, 302, 303, 307, 308}


@dataclass(frozen=True, slots=True)
class Reply:
    """A storage host's answer whose body has not been read yet.

    Parameters
    ----------
    status : int
        HTTP status.
    headers : mapping
        Case-insensitive header names.
    """

    status: int
    headers: Mapping[str, str]
    response: httpx.Response

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the body piece by piece, without transfer or content encoding.

        Raises
        ------
        Transient
            If the connection breaks before the promised length.
        """
        try:
            if "content-encoding" in self.headers:
                yield from self.response.iter_bytes()
            else:
                yield from self.response.iter_raw()
        except httpx.HTTPError as error:
            raise Transient(_unreachable(error, "Download", str(self.response.url))) from error


class Client:
    """Sends requests to one backend and to the storage hosts that it names.

    Parameters
    ----------
    settings : Settings
        Building a client opens no socket; the first request does. After a fork each process has
        its own connections.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._connections: tuple[int, httpx.Client] | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["settings"])  # type: ignore[misc]

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
        """
        url = self.settings.base_url + path
        headers = {"User-Agent": USER_AGENT, **self._authorization(url, is_required=True)}
        try:
            response = self._http().post(url, json=payload, headers=headers)
        except httpx.HTTPError as error:
            raise Transient(
                _unreachable(error, operation, url),
                is_refusal=isinstance(error, httpx.ConnectError),
            ) from error
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
    def open(self, url: str, headers: Mapping[str, str]) -> Iterator[Reply]:
        """Get a file from a storage host; the API key goes along to the API's own origin only.

        Parameters
        ----------
        url : str
            Absolute http(s) URL; redirects are followed, and the rule holds at every hop.
        headers : mapping
            Request headers, such as ``Range`` or ``If-None-Match``.

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
        """
        for _ in range(MAX_REDIRECTS + 1):
            if urlsplit(url).scheme not in {"http", "https"}:
                raise FileTransferError(
                    f"The backend offers a file at what is no http(s) URL: {_bare(url)!r}."
                )
            http = self._http()
            request = http.build_request(
                "GET",
                url,
                headers={
                    "User-Agent": USER_AGENT,
                    "Accept-Encoding": "identity",
                    **headers,
                    **self._authorization(url),
                },
            )
            try:
                response = http.send(request, stream=True)
            except httpx.HTTPError as error:
                raise Transient(_unreachable(error, "Download", url)) from error
            try:
                if response.status_code not in REDIRECTS:
                    yield Reply(response.status_code, response.headers, response)
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
        """
        if urlsplit(url).scheme not in {"http", "https"}:
            raise FileTransferError(
                f"The backend wants a file at what is no http(s) URL: {_bare(url)!r}."
            )
        sent = {
            "User-Agent": USER_AGENT,
            **headers,
            "Content-Length": str(n_bytes),
            **self._authorization(url),
        }
        # A host may answer long after the last byte, once it has checked and kept them all.
        seconds = self.settings.timeout
        patience = httpx.Timeout(seconds, read=seconds + n_bytes / SLOWEST_HOST)
        pieces = _pieces(content, n_bytes)
        try:
            response = self._http().put(url, content=pieces, headers=sent, timeout=patience)
        except httpx.HTTPError as error:
            raise Transient(_unreachable(error, "Upload", url)) from error
        return response.status_code, response.headers

    def close(self) -> None:
        """Close the connections; the next request opens new ones."""
        with self._lock:
            if self._connections and self._connections[0] == os.getpid():
                self._connections[1].close()
            self._connections = None

    def _http(self) -> httpx.Client:
        with self._lock:
            if self._connections is None or self._connections[0] != os.getpid():
                connections = self._connect()
                # Not a __del__: a forked child must not close what its parent still uses.
                weakref.finalize(self, _close, connections, os.getpid())
                self._connections = (os.getpid(), connections)
            return self._connections[1]

    def _connect(self) -> httpx.Client:
        settings = self.settings
        verify: ssl.SSLContext | bool = settings.verify_ssl
        if settings.verify_ssl and settings.ca_bundle:
            verify = ssl.create_default_context(cafile=settings.ca_bundle)
        return httpx.Client(
            http2=True,
            verify=verify,
            timeout=httpx.Timeout(settings.timeout, connect=min(10.0, settings.timeout)),
            limits=httpx.Limits(max_connections=settings.max_workers * 2),
            follow_redirects=False,
        )

    def _authorization(self, url: str, *, is_required: bool = False) -> dict[str, str]:
        if _origin(url) != self.origin:
            return {}
        key = self.settings.api_key
        if key is None:
            if not is_required:
                return {}
            raise UsageError(
                f"No API key is configured for {self.origin}. Set WANDB_API_KEY, or add an entry "
                f"for machine {urlsplit(url).netloc} to ~/.netrc.",
                setting="api_key",
            )
        token = base64.b64encode(f"api:{key.reveal()}".encode()).decode()
        return {"Authorization": f"Basic {token}"}

    def _refusal(self, response: httpx.Response, operation: str) -> Exception:
        status = response.status_code
        facts = {"operation": operation, "origin": self.origin, "status": status}
        said = _said(response)
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
        if status == httpx.codes.TOO_MANY_REQUESTS or (status >= 500 and status != 501):  # noqa: PLR2004
            return Transient(error, retry_after=response.headers.get("retry-after"))
        return error


def _pieces(content: BinaryIO, n_bytes: int) -> Iterator[bytes]:
    """Yield so many bytes and no more: a file may grow while it is sent."""
    while n_bytes and (piece := content.read(min(UPLOAD_BYTES, n_bytes))):
        n_bytes -= len(piece)
        yield piece


def _close(connections: httpx.Client, pid: int) -> None:
    if os.getpid() == pid:
        connections.close()


def _said(response: httpx.Response) -> str:
    try:
        body = response.json()
        messages = [str(error["message"]) for error in body["errors"]]
    except (ValueError, KeyError, TypeError):
        return ""
    return ": " + "; ".join(messages).rstrip(".")


def _unreachable(error: httpx.HTTPError, operation: str, url: str) -> Unreachable:
    origin = _origin(url)
    what = "took too long" if isinstance(error, httpx.TimeoutException) else "failed"
    return Unreachable(
        f"{operation} at {origin} {what} ({type(error).__name__}). Is the backend running, and is "
        "WANDB_BASE_URL right?",
        operation=operation,
        origin=origin,
    )


def _bare(url: str) -> str:
    """Return a URL without its query, which may be a signature."""
    return url.partition("?")[0]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return f"{parts.scheme}://{(parts.hostname or '').lower()}:{port}"
