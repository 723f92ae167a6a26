"""Fixtures for pages: a backend with runs, a browser, and pages of pulled runs."""

from __future__ import annotations

import pytest
from tests.chromium import Opened, started_chromium
from tests.pages.serving import served


@pytest.fixture(scope="module")
def chromium():
    """One browser for the tests of a file."""
    with started_chromium() as browser:
        yield browser


@pytest.fixture
def open_page(chromium):
    """A function that opens an address, and returns the page and a list of what went wrong on it.

    With ``key``, the API key of an embedded backend, the visitor is logged in.
    """
    contexts = []

    def open_it(address, *, key=None, scheme="light", width=1000, height=800):
        origin = "/".join(address.split("/")[:3])
        context = chromium.new_context(
            color_scheme=scheme, viewport={"width": width, "height": height}
        )
        contexts.append(context)
        if key is not None:
            log_in(context, origin, key)
        opened = Opened(context.new_page(), origin)
        opened.page.goto(address)
        return opened

    yield open_it
    for context in contexts:
        context.close()


def log_in(context, origin, key):
    """Log a browser context in, by the form that a person fills in."""
    page = context.new_page()
    page.goto(f"{origin}/-/login")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(lambda url: "/-/login" not in url)
    page.close()


@pytest.fixture(scope="module")
def pages_of():
    """A function that serves the pages of a source in this process, and returns their address."""
    running = []

    def serve(source):
        place = served(source)
        running.append(place)
        return place.__enter__()

    yield serve
    for place in running:
        place.__exit__(None, None, None)
