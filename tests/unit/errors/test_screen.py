"""Names that other people chose cannot steer a terminal, nor fail to print."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.errors.screen import (
    MAX_LINE,
    for_screen,
    line_for_screen,
    one_line,
    shortened,
    without_controls,
)

STEERING = "\x00\x07\x0b\r\x1b\x7f\x9b\u061c\u200e\u2028\u2029\u202e\u2066\ud800"


@pytest.mark.parametrize("character", STEERING)
def test_a_character_that_steers_is_escaped(character):
    assert without_controls(f"a{character}b") == f"a{ascii(character)[1:-1]}b"


def test_lines_and_tabs_stay_unless_a_line_is_wanted():
    assert without_controls("a\tb\nc") == "a\tb\nc"
    assert one_line("a\tb\nc\r") == r"a\tb\nc\r"
    assert without_controls("日本 é \U0001f600") == "日本 é \U0001f600"


@given(st.text(), st.integers(1, 50))
def test_a_shortened_text_is_short_and_has_both_ends(text, n):
    found = shortened(text, n)
    assert len(found) <= max(n, 0) + len(" ... ")
    if len(text) <= n:
        assert found == text
    else:
        head, _, tail = found.partition(" ... ") if " ... " not in text else ("", "", "")
        assert text.startswith(head)
        assert text.endswith(tail)


@given(st.text(st.characters()))
def test_shown_text_is_printable_whatever_stdout_can_encode(text):
    assert set(for_screen(text)).isdisjoint(STEERING)
    assert "\n" not in line_for_screen(text)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("ascii", r"\u65e5 \x1b"),
        ("latin-1", r"\u65e5 \x1b"),
        ("utf-8", "日 \\x1b"),
        ("nonsense", "日 \\x1b"),
    ],
)
def test_what_stdout_cannot_encode_is_escaped(monkeypatch, encoding, shown):
    class Output(io.StringIO):
        pass

    output = Output()
    output.__class__.encoding = encoding
    monkeypatch.setattr("sys.stdout", output)
    assert for_screen("日 \x1b") == shown


def test_a_program_without_stdout_is_shown_all(monkeypatch):
    monkeypatch.setattr("sys.stdout", None)
    assert for_screen("日") == "日"


def test_a_line_is_bounded():
    assert len(line_for_screen("x" * 10**6)) <= MAX_LINE + len(" ... ")
