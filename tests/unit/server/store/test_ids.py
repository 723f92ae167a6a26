"""Opaque ids."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.server.store.ids import MAX_NUMBER, make_id, parse_id, parse_number


@given(st.sampled_from(["Run", "Artifact"]), st.integers(0, MAX_NUMBER))
def test_an_id_is_parsed_for_its_type_only(kind, number):
    text = make_id(kind, number)
    assert parse_id(text, kind) == number
    assert parse_id(text, "Other") is None


@pytest.mark.parametrize(
    "content", [b"", b"Run:v1:", b"Run:v1:-1", b"Run:v2:1", b"Run:v1:x", b"\xff"]
)
def test_a_text_that_is_no_id_is_none(content):
    assert parse_id(base64.b64encode(content).decode(), "Run") is None
    assert parse_id("not base64!", "Run") is None
    assert parse_id(make_id("Run", MAX_NUMBER + 1), "Run") is None


@pytest.mark.parametrize("text", ["-1", "x", "", "1_0", str(MAX_NUMBER + 1), "9" * 5_000])
def test_a_text_that_is_no_number_of_a_row_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        parse_number(text)
