"""The example notebooks run, and what they show is safe."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from tests.html_elements import assert_safe
from tests.thorough import some_of

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_committed_without_outputs(name):
    cells = json.loads((FOLDER / name).read_text())["cells"]
    assert all(not cell.get("outputs") and not cell.get("execution_count") for cell in cells)
    assert name in (ROOT / "docs" / "how-to" / "notebooks.md").read_text()


# Libraries of Jupyter use features of asyncio that they have not replaced yet.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", some_of(NOTEBOOKS))
def test_a_notebook_runs(name):
    book = nbformat.read(FOLDER / name, as_version=4)
    place = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(book, timeout=120, kernel_name="python3", resources=place).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    shown = [output["data"] for output in outputs if "data" in output]
    cards = [data["text/html"] for data in shown if 'class="runlake"' in data.get("text/html", "")]
    assert cards
    for card in cards:
        assert_safe(card)
