"""The example notebooks as nbconvert executes and renders them, in a real browser."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from tests.browser.test_charts import COUNT_PIXELS, keep

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))
# In place of what the page of nbconvert loads from the network, for formulas and diagrams.
NO_SCRIPT = "data:text/javascript,"
LOADED = ("require_js_url", "mathjax_url", "mermaid_js_url", "mermaid_layout_elk_js_url")
IS_INVERTED = "e => getComputedStyle(e).filter.startsWith('invert')"

pytestmark = [
    pytest.mark.thorough,
    # Libraries of Jupyter use features of asyncio that they have not replaced yet.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture(scope="module", params=NOTEBOOKS)
def book(request, tmp_path_factory):
    """A notebook with its outputs."""
    folder = tmp_path_factory.mktemp("executed")
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--output-dir"]
    done = subprocess.run(
        [*command, folder, FOLDER / request.param],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return nbformat.read(folder / request.param, as_version=4)


def shown_by(book):
    """Return the HTML of all outputs."""
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    return [html for one in outputs if (html := one.get("data", {}).get("text/html"))]


# The system prefers light colors: the theme of the notebook wins.
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_rendered_notebook_shows_charts_and_cards_and_loads_nothing(
    open_html, book, theme, request
):
    # Costs a second, which every process that collects tests would need.
    from nbconvert import HTMLExporter

    shown = shown_by(book)
    settings = {"theme": theme, **dict.fromkeys(LOADED, NO_SCRIPT)}
    text, _ = HTMLExporter(**settings).from_notebook_node(book)
    opened = open_html(text, width=1000)
    page = opened.page
    charts = [frame for frame in page.frames if frame.locator(".runlake-chart").count()]
    assert len(charts) == sum("runlake-chart" in one for one in shown)
    for frame in charts:
        assert frame.locator("canvas").first.evaluate(COUNT_PIXELS) > 1_000
        assert frame.evaluate("document.documentElement.scrollHeight <= innerHeight")
        assert frame.frame_element().evaluate(IS_INVERTED) is (theme == "dark")
    cards = page.locator(".runlake")
    assert cards.count() == sum('class="runlake"' in one for one in shown) > 0
    assert cards.evaluate_all("all => all.every((card) => card.clientHeight > 30)")
    cell = cards.locator("td:not(.n)").first
    assert cell.evaluate("e => getComputedStyle(e).textAlign") == "left"
    pictures = page.locator(".runlake img")
    assert pictures.evaluate_all("all => all.every((image) => image.naturalWidth > 0)")
    page.set_viewport_size({"width": 1000, "height": page.evaluate("document.body.scrollHeight")})
    keep(page, f"notebook-{request.node.callspec.id}")
    assert opened.wrongs == []
