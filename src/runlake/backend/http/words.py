"""Make a server's text fit for an error message: short, on one line, without secrets."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from urllib.parse import unquote

from runlake.errors.screen import one_line
from runlake.settings import Secret

MAX_CHARACTERS = 1000
READ_CHARACTERS = 20_000  # the rest of a longer text is ignored
FRAGMENT = 8  # this many consecutive characters of a secret, or more, are masked
MASK = "***"
MAX_DECODINGS = 3  # a text may be percent-encoded or HTML-escaped several times over
# Characters around a fragment that may be part of the secret, so the whole token is masked.
# The patterns are compiled at the first error.
_WORD = r"[A-Za-z0-9+/=_%~.\-]+"
_CREDENTIALS = r"(?i)\b(basic|bearer)(\s|%20|\+)+[A-Za-z0-9+/=_%~.\-]+"
_SIGNED_URL = r"(?i)\b(https?://[^\s?#\"'<>]+)\?[^\s\"'<>]*"
_USER = r"(?i)\b(https?://)[^\s/@]+@"
_SIGNATURE = r"(?i)\b((?:x-amz-|x-goog-)?(?:signature|credential|security-token)|sig)=[^\s&\"'<>]+"


def safe_words(text: str, key: Secret | None = None) -> str:
    r"""Return a server's text as it can be quoted in an error: short, with secrets masked.

    Parameters
    ----------
    text : str
        An error message, reason phrase, header value or page.
    key : Secret, optional
        The API key to mask, whole or in part. The key is found as plain text, percent-encoded, with
        HTML entities, and in base64. In base64 the key may begin at any offset, alone or after
        ``api:``.

    Returns
    -------
    str
        One line of at most about 1,000 characters, with control characters escaped, and without
        signatures and query strings of URLs.

    Examples
    --------
    >>> safe_words("no such user: Basic YXBpOjAxMjM0NTY3\n")
    'no such user: Basic ***'
    """
    found = text[:READ_CHARACTERS]
    found = re.sub(_CREDENTIALS, lambda match: f"{match[1]} {MASK}", found)
    found = re.sub(_SIGNED_URL, r"\1?...", found)
    found = re.sub(_USER, r"\1", found)
    found = re.sub(_SIGNATURE, lambda match: f"{match[1]}={MASK}", found)
    if key is not None:
        found = _masked(found, _fragments(key.reveal()))
    found = one_line(" ".join(found.split()))
    return found if len(found) <= MAX_CHARACTERS else f"{found[:MAX_CHARACTERS]} ..."


def html_title(page: str) -> str:
    """Return the title of an HTML page, else its first heading, else ``""``."""
    import html

    for tag in ("title", "h1"):
        match = re.search(rf"(?is)<{tag}[^>]*>(.{{0,2000}}?)</{tag}>", page)
        if match:
            return html.unescape(re.sub(r"<[^>]*>", " ", match[1])).strip()
    return ""


def _masked(text: str, fragments: frozenset[str]) -> str:
    # Imported only at the first error, because importing its table of entities is slow.
    import html

    found = seen = _without(text, fragments)
    for _ in range(MAX_DECODINGS):
        decoded = html.unescape(unquote(seen))
        if decoded == seen:
            break
        seen = _without(decoded, fragments)
        found = found if seen == decoded else seen
    return found


def _without(text: str, fragments: frozenset[str]) -> str:
    pieces, end = [], 0
    for start, stop in _spans(text, fragments):
        pieces += [text[end:start], MASK]
        end = stop
    return "".join([*pieces, text[end:]])


def _spans(text: str, fragments: frozenset[str]) -> Iterator[tuple[int, int]]:
    for token in re.finditer(_WORD, text):
        folded = token[0].lower()
        if any(
            folded[start : start + FRAGMENT] in fragments
            for start in range(max(1, len(folded) - FRAGMENT + 1))
        ):
            yield token.span()


def _fragments(key: str) -> frozenset[str]:
    """Return all substrings of `FRAGMENT` characters of the key and of its base64 forms.

    The substrings are in lower case.
    """
    forms = [key]
    # Base64 encodes three bytes at a time, so a text has three forms, by its offset modulo 3.
    for prefix in (b"", b":", b"::", b"api:"):
        content = prefix + key.encode()
        forms += [base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()]
    return frozenset(
        form[start : start + FRAGMENT]
        for form in (form.rstrip("=").lower() for form in forms)
        for start in range(max(1, len(form) - FRAGMENT + 1))
    )
