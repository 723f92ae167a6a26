"""Failures of requests become errors that say what to do and show no secret."""

from pathlib import Path

import httpx
import pytest

from runlake.backend.connections.exchange import LOCATION
from runlake.backend.http.decoding import NotDecodable
from runlake.backend.http.failures import Failures
from runlake.backend.http.retry import Transient
from runlake.errors import (
    AccessDenied,
    AuthenticationError,
    BackendError,
    FileTransferError,
    ProtocolError,
    Unreachable,
)
from runlake.settings import Secret, Settings

KEY = "0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b"
API = "http://api.test:80"
FAILURES = Failures(Settings(API, API, Path("c"), Secret(KEY)))


def refusal(status, content=b"", **headers):
    # Not content=: httpx would decode it at once, and here it arrives on the wire.
    response = httpx.Response(status, stream=httpx.ByteStream(content), headers=headers)
    if "location" in headers:
        response.extensions[LOCATION] = headers["location"]
    return FAILURES.refusal(response, "Op", "the runs of 'e/p'")


@pytest.mark.parametrize(
    ("status", "kind", "text"),
    [
        (401, AuthenticationError, "does not know this API key (HTTP 401). Check WANDB_API_KEY"),
        (403, AccessDenied, "does not allow the runs of 'e/p' with this API key (HTTP 403): why."),
        (404, BackendError, "answered the runs of 'e/p' with HTTP 404: why."),
    ],
)
def test_a_refusal_is_an_error_of_its_status(status, kind, text):
    found = refusal(status, b'{"errors": [{"message": "why."}]}')
    assert type(found) is kind
    assert text in str(found)
    assert (found.operation, found.origin, found.status) == ("Op", API, status)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_temporary_refusal_is_tried_again_when_the_server_says(status):
    found = refusal(status, b"busy", **{"retry-after": "7"})
    assert isinstance(found, Transient)
    assert (found.retry_after, type(found.error)) == ("7", BackendError)
    assert "busy" in str(found.error)


@pytest.mark.parametrize(
    ("content", "headers", "text"),
    [
        (b"<html><title>Bad gateway</title>", {}, ": Bad gateway."),
        (b'{"errors": [{"message": "a"}, {"message": "b"}]}', {}, ": a; b."),
        (b'{"errors": 3}', {}, '{"errors": 3}'),
        (b"", {}, "HTTP 418."),
        (b"not gzip", {"content-encoding": "br"}, "HTTP 418."),
        (f"no {KEY}".encode(), {}, "no ***"),
    ],
)
def test_what_the_server_said_is_quoted_without_the_key(content, headers, text):
    found = str(refusal(418, content, **headers))
    assert text in found
    assert KEY not in found


def test_a_redirect_names_its_target_without_a_signature():
    found = str(refusal(302, location="https://login.test/?sig=secret"))
    assert "a redirect to 'https://login.test/'" in found
    assert "secret" not in found


def test_an_answer_that_is_no_json_is_shown_in_part():
    found = FAILURES.not_json(b"<html><h1>Sign in</h1></html>", 200, "Op", "x")
    assert isinstance(found, ProtocolError)
    assert "not JSON: 'Sign in'. Is WANDB_BASE_URL" in str(found)
    assert "not JSON. Is" in str(FAILURES.not_json(b"", 200, "Op", "x"))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (httpx.ConnectError("CERTIFICATE_VERIFY_FAILED"), "REQUESTS_CA_BUNDLE"),
        (httpx.ReadTimeout("it stalled"), "took too long: it stalled. Try again later"),
        (httpx.ConnectTimeout(""), "took too long (ConnectTimeout)"),
        (httpx.ConnectError("refused"), "failed (ConnectError). Is the backend running"),
        (httpx.ProxyError(f"403 {KEY}"), "failed (ProxyError: 403 ***)"),
    ],
)
def test_a_host_that_does_not_answer_is_named_with_a_way_out(error, text):
    found = FAILURES.unreachable(error, "The request", f"{API}/graphql", "Op")
    assert isinstance(found, Unreachable)
    assert text in str(found)
    assert API in str(found)


def test_a_storage_host_is_not_blamed_on_the_base_url():
    found = FAILURES.of_download(httpx.ConnectError("x"), "http://storage.test/f?sig=s", "a file")
    assert isinstance(found, Transient)
    assert "The backend names this storage host" in str(found.error)
    assert "sig" not in str(found.error)
    cut = FAILURES.of_download(httpx.RemoteProtocolError("x"), "http://storage.test/f", "a file")
    assert isinstance(cut, Transient)
    assert "which ended the connection before the file was complete" in str(cut.error)
    broken = FAILURES.of_download(NotDecodable("its body is not gzip"), "http://s/f", "a file")
    assert isinstance(broken, FileTransferError)
    assert "did not send a file correctly: its body is not gzip" in str(broken)
