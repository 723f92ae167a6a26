"""A real browser for the tests of HTML: chromium of this machine, driven by playwright."""

import shutil
from importlib.util import find_spec

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def chromium():
    """A started chromium; tests are skipped where there is none.

    It ends with the tests of a file: until then playwright's event loop runs in this thread, and
    tests elsewhere could start no other.
    """
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None or find_spec("playwright") is None:
        pytest.skip("There is no chromium, or no playwright, on this machine: make browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Opened:
    """A page, and what went wrong on it."""

    def __init__(self, page):
        self.page = page
        self.wrongs = []
        page.on("dialog", lambda dialog: self._note("dialog", dialog.message, dialog.dismiss))
        page.on("pageerror", lambda error: self._note("error", str(error)))
        page.on("request", self._note_request)
        page.on(
            "console",
            lambda said: self._note("console", said.text) if said.type == "error" else None,
        )

    def _note(self, kind, text, then=None):
        self.wrongs.append(f"{kind}: {text}")
        if then is not None:
            then()

    def _note_request(self, request):
        if not request.url.startswith(("file:", "data:", "about:", "blob:")):
            self._note("request", request.url)


@pytest.fixture
def open_html(chromium, tmp_path):
    """A function that opens HTML from a file, and returns the page and a list of its errors."""
    contexts = []

    def open_it(text, scheme="light", width=800):
        context = chromium.new_context(
            color_scheme=scheme, viewport={"width": width, "height": 600}
        )
        contexts.append(context)
        opened = Opened(context.new_page())
        file = tmp_path / f"page{len(contexts)}.html"
        file.write_text(text, encoding="utf-8")
        opened.page.goto(file.as_uri())
        return opened

    yield open_it
    for context in contexts:
        context.close()
