import pytest
from tests.chromium import Opened, started_chromium


@pytest.fixture(scope="module")
def chromium():
    with started_chromium() as browser:
        yield browser


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
