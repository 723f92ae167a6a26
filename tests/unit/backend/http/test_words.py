"""A server's text in an error is one short line without secrets."""

import base64
import html
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runlake.backend.http.words import MASK, MAX_CHARACTERS, html_title, safe_words
from runlake.settings.secret import Secret

KEY = "0a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6e7f8a9b"
SECRET = Secret(KEY)


def twice(text):
    return quote(quote(text, safe=""), safe="")


FORMS = [
    KEY,
    KEY.upper(),
    KEY[5:20],
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(f"api:{KEY}".encode()).decode(),
    base64.urlsafe_b64encode(f":{KEY}".encode()).decode(),
    "".join(f"%{ord(letter):02x}" for letter in KEY),
    twice("".join(f"%{ord(letter):02x}" for letter in KEY)),
    "".join(f"&#{ord(letter)};" for letter in KEY),
    "".join(f"&amp;#x{ord(letter):x};" for letter in KEY),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("around", ["{}", "no user {} here", "x={}&y=1", "<b>{}</b>", "a.{}-b"])
def test_no_form_of_the_key_is_shown(form, around):
    shown = safe_words(around.format(form), SECRET)
    assert MASK in shown
    plain = html.unescape(html.unescape(shown)).lower()
    for start in range(len(KEY) - 8):
        assert KEY[start : start + 8] not in plain


@given(st.text(max_size=30), st.text(max_size=30))
def test_the_key_is_masked_whatever_stands_around_it(before, after):
    assert KEY not in safe_words(before + KEY + after, SECRET)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET http://h/a?X-Amz-Signature=abc&x=1 failed", "GET http://h/a?... failed"),
        ("http://me:pw@host/x", "http://host/x"),
        ("Signature=abc&x=1", "Signature=***&x=1"),
        ("x-goog-credential=abc def", "x-goog-credential=*** def"),
        ("sig=abc", "sig=***"),
        ("Bearer abc.def", "Bearer ***"),
        ("basic%20abc", "basic ***"),
        ("a\n\n  b\tc\x1b[0m", "a b c\\x1b[0m"),
        ("plain words", "plain words"),
    ],
)
def test_signatures_passwords_and_control_characters_are_not_shown(text, shown):
    assert safe_words(text) == shown


def test_a_long_text_is_shortened():
    shown = safe_words("word " * 10_000)
    assert len(shown) == MAX_CHARACTERS + len(" ...")
    assert shown.endswith(" ...")


@pytest.mark.parametrize(
    ("page", "title"),
    [
        ("<html><head><TITLE lang=x>502 &amp; <b>Bad</b></TITLE>", "502 &  Bad"),
        ("<h1>Not\nfound</h1>", "Not\nfound"),
        ("<title></title><h1>x</h1>", ""),
        ("<p>none</p>", ""),
        ("<title>" + "x" * 5000, ""),
    ],
)
def test_a_page_is_shown_by_its_title(page, title):
    assert html_title(page) == title
