"""Pages, files and headers of the embedded backend show any name literally."""

from html.parser import HTMLParser
from urllib.parse import quote

import httpx
import pytest
from tests.http_logging import LoggedRun, steps

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
def test_a_page_has_the_same_elements_for_every_name(backend, name):
    answer = httpx.get(f"{backend.base_url}/{'/'.join([quote(name, safe=''), 'p', 'runs'])}/r")
    if answer.status_code == 404:
        assert answer.headers["content-type"] == "application/json"
        return
    assert [tag for tag, attrs in Tags(answer.text).seen if not attrs] == [
        "title",
        "h1",
        "p",
        "code",
    ]
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-security-policy"] == "default-src 'none'"


@pytest.mark.parametrize("name", ["page.html", 'a"; x="b.html', "a\r\nSet-Cookie: x=1\r\n.html"])
def test_a_file_is_never_shown_as_a_page(backend, api, tmp_path, name, monkeypatch):
    path = LoggedRun(backend, "pages").log(*steps(0, 2)).finish().path
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("<script>alert(1)</script>")
    file = api.run(path).upload_file(name)
    answer = httpx.get(file.url, auth=("api", backend.api_key), follow_redirects=True)
    assert answer.text == "<script>alert(1)</script>"
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in answer.headers
