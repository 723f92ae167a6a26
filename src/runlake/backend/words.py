"""What a server says, made fit for an error message."""

from __future__ import annotations

import base64
import re

from runlake.settings import Secret

MAX_CHARACTERS = 1000
SHORTEST_KEY = 4  # a shorter one would hide parts of ordinary words
SHORTEST_FORM = 8


def safe_words(text: str, key: Secret | None) -> str:
    r"""Return a server's text on one short line of printable characters, without the API key.

    Parameters
    ----------
    text : str
        Whatever the server sent.
    key : Secret or None
        Masked as it is and in base64, alone or inside of a longer text.

    Returns
    -------
    str
        About 1,000 characters at most.

    Examples
    --------
    >>> safe_words("no key\x1b[31m 12345\n", Secret("12345"))
    'no key[31m ***'
    """
    words = "".join(filter(str.isprintable, " ".join(text.split())))
    if key is not None and len(key.reveal()) >= SHORTEST_KEY:
        words = re.sub("|".join(map(re.escape, _forms(key))), "***", words)
    return words if len(words) <= MAX_CHARACTERS else words[:MAX_CHARACTERS].rstrip() + " ..."


def _forms(key: Secret) -> list[str]:
    """Return the key and the characters of base64 that depend on nothing but the key."""
    plain = key.reveal().encode()
    forms = [key.reveal()]
    for n_before in range(3):
        n_all = n_before + len(plain)
        first, end = -(-n_before * 8 // 6), n_all * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            form = encode(bytes(n_before) + plain).decode()[first:end]
            if len(form) >= SHORTEST_FORM:
                forms.append(form)
    return forms
