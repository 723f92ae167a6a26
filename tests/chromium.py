"""A real browser for tests of HTML: chromium of this machine, driven by playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, NoReturn

import pytest

from runlake.charts import html

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
# What a page of its own files may load.
LOCAL = ("file:", "data:", "about:", "blob:")


@contextlib.contextmanager
def started_chromium() -> Iterator[Any]:
    """Start chromium; skip the test where there is none, or fail it where CI runs.

    Until the block ends, playwright's event loop runs in this thread, and code elsewhere could
    start no other. So a fixture of this is for the tests of one file.
    """
    if html.missing_files():
        _stop_without("uPlot in the work tree: python hatch_build.py")
    if find_spec("playwright") is None:
        _stop_without("playwright: pip install playwright")
    from playwright.sync_api import Error, sync_playwright

    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    with sync_playwright() as driver:
        # Without a program of these names, playwright looks where Chrome is installed.
        channel = "chrome" if program is None else None
        try:
            browser = driver.chromium.launch(
                args=["--no-sandbox"], executable_path=program, channel=channel
            )
        except Error:
            if program is not None:
                raise
            _stop_without("chromium: make browser")
        yield browser
        browser.close()


def _stop_without(what: str) -> NoReturn:
    stop = pytest.fail if os.environ.get("CI") else pytest.skip
    stop(f"Tests of HTML in a browser need {what}.")


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
