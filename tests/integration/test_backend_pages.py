"""Pages, files and headers of the embedded backend show any name literally."""

import asyncio
from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import pytest
from tests.http_logging import LoggedRun

from runlake.server.http.pages import show_names

NAMES = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "a\r\nSet-Cookie: x=1\r\n\r\n<b>",
    "\x1b]52;c;aGk=\x07\u202e\u65e5\u672c",
]


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.seen = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, attrs))


@pytest.mark.parametrize("name", NAMES)
def test_what_can_be_no_entity_has_no_page(backend, name):
    answer = httpx.get(f"{backend.base_url}/{'/'.join([quote(name, safe=''), 'p', 'runs'])}/r")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("name", NAMES)
def test_without_a_package_of_pages_a_page_has_the_same_elements_for_every_name(name):
    status, headers, body = asked(show_names, f"/{name.replace('/', '')}/p/runs/r")
    assert status == 200
    assert Tags(body.decode()).seen == [("title", []), ("h1", []), ("p", []), ("code", [])]
    assert headers[b"content-security-policy"] == b"default-src 'none'"
    assert asked(show_names, "/team/p")[0] == 404


def asked(app, path):
    """Return status, headers and body of the answer of an ASGI application."""
    messages = []

    async def send(message):
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "headers": []}
    asyncio.run(app(scope, None, send))
    start, *rest = messages
    return start["status"], dict(start["headers"]), b"".join(one["body"] for one in rest)


@pytest.mark.parametrize("name", ["page.html", 'a"; x="b.html', "a\r\nSet-Cookie: x=1\r\n.html"])
def test_a_file_is_never_shown_as_a_page(backend, api, tmp_path, name, monkeypatch):
    path = LoggedRun(backend, "pages").log({"_step": 0, "loss": 1.0}).finish().path
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("<script>alert(1)</script>")
    file = api.run(path).upload_file(name)
    answer = httpx.get(file.url, auth=("api", backend.api_key), follow_redirects=True)
    assert answer.text == "<script>alert(1)</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers
