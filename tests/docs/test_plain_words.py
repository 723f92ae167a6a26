"""Sources, documentation and test names use plain technical English.

The words below were misread by readers who were new to the project. Each has a standard term:
"let go of": evict, release or drop; "be had": be available; "tells of", "told of": describe or
report; "anew": again; "look-alike": similar; "whose things": the owner or default entity; "had
of": read from.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNCLEAR = re.compile(
    r"\b(?:let(?:s|ting)?\s+go\s+of|be\s+had|tell(?:s|ing)?\s+of|told\s+of|anew|look-?alikes?"
    r"|whose\s+things|had\s+of)\b",
    re.IGNORECASE,
)
# A line break within a comment or a quotation does not hide a word.
CONTINUED = re.compile(r"\n\s*(?:#|>)?\s*")
SOURCES = sorted((ROOT / "src").rglob("*.py"))
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path):
    return str(path.relative_to(ROOT))


def unclear_words(text):
    return UNCLEAR.findall(CONTINUED.sub(" ", text))


@pytest.mark.parametrize("folder", sorted({path.parent for path in SOURCES}), ids=name_of)
def test_sources_use_plain_words(folder):
    found = {name_of(path): unclear_words(path.read_text()) for path in folder.glob("*.py")}
    assert {name: words for name, words in found.items() if words} == {}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_pages_use_plain_words(page):
    assert unclear_words(page.read_text()) == []


def test_names_of_tests_use_plain_words():
    names = [n for path in TESTS for n in re.findall(r"\bdef (test_\w+)", path.read_text())]
    assert len(names) > 500
    assert [name for name in names if unclear_words(name.replace("_", " "))] == []


def test_a_word_is_found_across_a_line_break():
    assert unclear_words("values that can\n    # be had") == ["be had"]
    assert unclear_words("a manifest") == []
