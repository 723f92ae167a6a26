"""Convert failures of requests to runlake's errors, which show no secret."""

from __future__ import annotations

from contextlib import suppress

import httpx

from runlake.backend.connections.exchange import LOCATION
from runlake.backend.connections.urls import bare, origin_of
from runlake.backend.http.decoding import NotDecodable, decoded
from runlake.backend.http.json_text import parse_json
from runlake.backend.http.retry import Transient
from runlake.backend.http.statuses import FORBIDDEN, REDIRECTS, UNAUTHORIZED, is_retryable
from runlake.backend.http.words import html_title, safe_words
from runlake.errors import (
    AccessDenied,
    AuthenticationError,
    BackendError,
    FileTransferError,
    ProtocolError,
    Unreachable,
)
from runlake.settings import Settings

MAX_ERROR_BYTES = 64 << 10
# Errors of a connection that was open, but ended before the whole response arrived.
CUT = (httpx.RemoteProtocolError, httpx.ReadError)


class Failures:
    """Creates the errors that one `Client` raises.

    Parameters
    ----------
    settings : Settings
        Source of the base URL, and of the API key, which is removed from errors.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._origin = origin_of(settings.base_url)

    def quote(self, text: object) -> str:
        """Return a server's text for an error message: shortened, with the API key masked."""
        return safe_words(str(text), self._settings.api_key)

    def host_of(self, url: str) -> str:
        """Return scheme, host and port of a URL, for an error message."""
        return self.quote(origin_of(url))

    def refusal(self, response: httpx.Response, operation: str, what: str) -> Exception:
        """Return the error for a response of the API whose status is not 2xx."""
        status = response.status_code
        facts = {"operation": operation, "origin": self._origin, "status": status}
        said = self._said(response)
        if status == UNAUTHORIZED:
            return AuthenticationError(
                f"{self._origin} does not know this API key (HTTP 401). Check WANDB_API_KEY, or "
                "the key in ~/.netrc.",
                **facts,
            )
        if status == FORBIDDEN:
            return AccessDenied(
                f"{self._origin} does not allow {what} with this API key (HTTP 403){said}.",
                **facts,
            )
        error = BackendError(f"{self._origin} answered {what} with HTTP {status}{said}.", **facts)
        if is_retryable(status):
            return Transient(error, retry_after=response.headers.get("retry-after"))
        return error

    def not_json(self, content: bytes, status: int, operation: str, what: str) -> ProtocolError:
        """Return the error for a response of the API that is not JSON."""
        page = content[:MAX_ERROR_BYTES].decode(errors="replace")
        text = self.quote(html_title(page) if page.lstrip().startswith("<") else page[:100])
        glimpse = f": {text!r}" if text else ""
        return ProtocolError(
            f"{self._origin} answered {what} with something that is not JSON{glimpse}. Is "
            "WANDB_BASE_URL the address of the API?",
            operation=operation,
            origin=self._origin,
            status=status,
        )

    def of_download(self, error: Exception, url: str, what: str) -> Exception:
        """Return the error of runlake for an error that a download raised.

        ``error`` is an error of httpx, or says that the body is malformed or too long.
        """
        if isinstance(error, httpx.HTTPError):
            return Transient(self.unreachable(error, f"The download of {what}", url, "Download"))
        return FileTransferError(f"{self.host_of(url)} did not send {what} correctly: {error}.")

    def unreachable(
        self, error: httpx.HTTPError, what: str, url: str, operation: str, about: str = ""
    ) -> Unreachable:
        """Return the error for a host that cannot be reached, or does not answer in time."""
        origin = self.host_of(url)
        facts = {"operation": operation, "origin": origin}
        place = f"{origin}{about}"
        said = str(error)
        # httpx has no class of its own for this: it is a ConnectError with OpenSSL's text.
        if "CERTIFICATE_VERIFY_FAILED" in said:
            return Unreachable(
                f"{what} at {place} failed: its certificate is not signed for this host by an "
                "authority that this client trusts. Name the authority's file in "
                "REQUESTS_CA_BUNDLE or SSL_CERT_FILE.",
                **facts,
            )
        if isinstance(error, (httpx.ReadTimeout, httpx.WriteTimeout)):
            return Unreachable(
                f"{what} at {place} took too long: {said or 'no answer'}. Try again later, or "
                "raise WANDB_HTTP_TIMEOUT.",
                **facts,
            )
        verb = "took too long" if isinstance(error, httpx.TimeoutException) else "failed"
        name = type(error).__name__
        reason = f"{name}: {self.quote(said)}" if isinstance(error, httpx.ProxyError) else name
        way_out = "Is the backend running, and is WANDB_BASE_URL right?"
        if origin_of(url) != self._origin:
            way_out = (
                "The backend names this storage host, which ended the connection before the file "
                "was complete. Try again later; if it happens again, ask the host's administrator."
                if isinstance(error, CUT)
                else "The backend names this storage host, which does not answer. Can it be "
                "reached from here, and does it need a proxy? Else try again later."
            )
        return Unreachable(f"{what} at {place} {verb} ({reason}). {way_out}", **facts)

    def _said(self, response: httpx.Response) -> str:
        """Return the message in a response that is not 2xx, as text to append to an error.

        The text begins with a colon, and is empty if there is no message. For a redirect, the text
        names the target without its query.
        """
        if response.status_code in REDIRECTS:
            place = bare(response.extensions[LOCATION])
            return f": a redirect to {self.quote(repr(place))}; check WANDB_BASE_URL"
        content = b""
        encoding = response.headers.get("content-encoding", "")
        # Report the status even if the body does not arrive or decode.
        with suppress(httpx.HTTPError, NotDecodable):
            for piece in decoded(response.iter_raw(), encoding):
                content += piece
                if len(content) >= MAX_ERROR_BYTES:
                    break
        try:
            errors = parse_json(content)["errors"]
            text = "; ".join(str(error["message"]) for error in errors)
        except (ValueError, KeyError, TypeError):
            page = content.decode(errors="replace")
            text = html_title(page) if "<" in page else page
        found = self.quote(text).rstrip(".")
        return f": {found}" if found else ""
