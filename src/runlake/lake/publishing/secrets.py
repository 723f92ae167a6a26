"""Find values in the fields of a run that look like keys, passwords or tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

REFUSE, REDACT, ALLOW = "refuse", "redact", "allow"
POLICIES = (REFUSE, REDACT, ALLOW)
REDACTED = "[redacted]"
MAX_SHOWN = 60

# Keys, tokens and URLs with secrets, which are recognised by their form alone.
MARKED = re.compile(
    r"""
    \b(?:
        sk-[A-Za-z0-9_-]{16,}                     # OpenAI, Anthropic and others
      | (?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{10,}  # Stripe
      | gh[pousr]_[A-Za-z0-9]{20,} | github_pat_[A-Za-z0-9_]{20,}
      | gl(?:pat|dt|rt)-[A-Za-z0-9_-]{16,}
      | hf_[A-Za-z0-9]{16,}
      | wandb_v\d+_[A-Za-z0-9_-]{16,} | local-[0-9a-f]{40}
      | (?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}
      | AIza[A-Za-z0-9_-]{30,} | ya29\.[A-Za-z0-9_-]{20,}
      | xox[abeoprs]-[A-Za-z0-9-]{10,}
      | npm_[A-Za-z0-9]{30,} | pypi-[A-Za-z0-9_-]{40,}
      | dop_v1_[a-f0-9]{40,} | SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}
      | eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}   # JSON web tokens
    )
    | -----BEGIN\ (?:[A-Z0-9]+\ )*PRIVATE\ KEY-----
    | \b(?:Bearer|Basic)\ [A-Za-z0-9+/_.=-]{16,}
    | [A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:[^\s/@]+@          # a password in a URL
    | [?&;](?:sig|signature|token|api_?key|access_token|X-Amz-Signature)=[^&\s]{8,}
    | hooks\.slack\.com/services/\S{10,}
    """,
    re.VERBOSE,
)
# W&B's API keys look like this, and so do digests: the name of the value decides.
HEX = re.compile(r"[0-9a-f]{40}|[0-9a-f]{32}|[0-9a-f]{64}", re.IGNORECASE)
RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9+_=.~-]{16,}")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


OF_DIGESTS = _words(
    "commit sha sha1 sha256 hash git rev revision digest checksum md etag version id uuid "
    "fingerprint ref tree"
)
SECRET_WORDS = _words("secret secrets password passwd passphrase pwd apikey credential credentials")
# Names such as "api key" and "bearer token" mean secrets: the words before "key" and "token".
OF_KEYS = _words("api access private secret account auth encryption signing wandb openai hf")
OF_TOKENS = _words(
    "auth access api refresh bearer session hf wandb github huggingface gitlab slack bot security "
    "user personal"
)
MIN_LENGTH = 8
# Values that people write in place of a secret.
PLACEHOLDER = re.compile(
    r"^\W*$|^[<\[({$%].*|^(?:none|null|true|false|default|redacted|hidden|masked|"
    r"your[-_ ].*|x+|\*+.*|env:.*|placeholder|changeme|dummy|example)$",
    re.IGNORECASE,
)
# The name of an environment variable.
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def is_secret(name: str, value: Any) -> bool:
    """Return whether a value looks like a key, a password or a token.

    Parameters
    ----------
    name : str
        The name of the value, such as ``api_key``.
    value : Any
        The value. Only a string can be a secret.

    Examples
    --------
    >>> is_secret("lr", "ghp_0123456789abcdefghijABCDEFGHIJ012345")
    True
    >>> is_secret("db_password", "hunter2-hunter2"), is_secret("pad_token", "<pad>")
    (True, False)
    >>> is_secret("git_commit", "0123456789abcdef0123456789abcdef01234567")
    False
    """
    if not isinstance(value, str) or len(value) < MIN_LENGTH:
        return False
    if MARKED.search(value):
        return True
    text = value.strip()
    words = [word.lower() for word in WORDS.findall(name)]
    if _names_secret(words):
        is_elsewhere = PLACEHOLDER.match(text) or VARIABLE.fullmatch(text)
        return not is_elsewhere and not re.search(r"\s", text)
    # These names often have harmless values, so the value must look random too.
    if words in (["key"], ["auth"]):
        return RANDOM.fullmatch(text) is not None
    is_of_digest = bool(OF_DIGESTS.intersection(words))
    return len(text) == 40 and HEX.fullmatch(text) is not None and not is_of_digest  # noqa: PLR2004


def _names_secret(words: list[str]) -> bool:
    if SECRET_WORDS.intersection(words) or words == ["token"]:
        return True
    return any(
        (last == "key" and first in OF_KEYS)
        or (last == "token" and first in OF_TOKENS)
        or (first, last) == ("connection", "string")
        for first, last in pairwise(words)
    )


def find_secrets(name: str, value: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the values that look like secrets, such as ``config.db.password``.

    A name of a value may look like a secret too. Its path is yielded, with ``[redacted]`` in place
    of the name.

    Parameters
    ----------
    name : str
        The name of the value.
    value : Any
        The value, which may consist of nested dicts and lists.
    path : str
        Path of the dict or list that contains the value.
    """
    # A key of a dict may be a secret itself, which an error must not show.
    shown = REDACTED if is_secret("", name) else name
    place = f"{path}.{shown}" if path else shown
    if shown != name:
        yield place
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from find_secrets(str(key), item, place)
    elif isinstance(value, (list, tuple)):
        yield from _secrets_of_list(name, value, place)
    elif is_secret(name, value):
        yield place


def _secrets_of_list(name: str, values: list[Any] | tuple[Any, ...], place: str) -> Iterator[str]:
    for at, item in enumerate(values):
        if isinstance(item, (Mapping, list, tuple)):
            for found in find_secrets(name, item, ""):
                yield f"{place}[{at}]{found.removeprefix(name)}"
        elif is_secret(name, item) or _follows_flag(values, at):
            yield f"{place}[{at}]"


def _follows_flag(values: list[Any] | tuple[Any, ...], at: int) -> bool:
    """Return whether an item is the value of the option before it, as in ``--api-key VALUE``."""
    before = values[at - 1] if at else None
    return isinstance(before, str) and before.startswith("-") and is_secret(before, values[at])


def redacted(name: str, value: Any) -> Any:
    """Return a copy of a value in which keys and strings that look like secrets are replaced.

    Parameters
    ----------
    name : str
        The name of the value.
    value : Any
        The value, which may consist of nested dicts and lists.
    """
    if isinstance(value, Mapping):
        return {
            REDACTED if is_secret("", str(key)) else key: redacted(str(key), item)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [
            REDACTED if _follows_flag(value, at) else redacted(name, item)
            for at, item in enumerate(value)
        ]
    return REDACTED if is_secret(name, value) else value
