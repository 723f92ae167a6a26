"""A real browser for tests of HTML: chromium of this machine, driven by playwright."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# What a page of its own files may load.
LOCAL = ("file:", "data:", "about:", "blob:")


@contextlib.contextmanager
def started_chromium() -> Iterator[Any]:
    """Start chromium; skip the test where there is none.

    Until the block ends, playwright's event loop runs in this thread, and code elsewhere could
    start no other. So a fixture of this is for the tests of one file.
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
    """A page, and what went wrong on it: dialogs, errors, and requests to anything else.

    Parameters
    ----------
    page : Page
        The page of playwright.
    origin : str, optional
        The server whose pages are opened; if omitted, pages are files.
    """

    def __init__(self, page: Any, origin: str | None = None) -> None:
        self.page = page
        self.wrongs: list[str] = []
        self._allowed = LOCAL if origin is None else (f"{origin}/", "data:", "blob:", "about:")
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
        if not request.url.startswith(self._allowed):
            self._note("request", request.url)
