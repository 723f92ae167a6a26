"""Split URLs: remove signatures, and find the origin, host and target of a URL."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import SplitResult, urlsplit

import httpx

# A path and query that httpx would leave as they are: nothing to escape, no dots to resolve.
# httpx, which parses all other URLs, refuses those of more than 65,536 characters.
SHORT_URL = 1 << 14
PLAIN_TARGET = re.compile(
    r"(?:/(?!\.)(?:[\w.~=&+,;:@!-]|%[0-9A-F]{2})*)+(?:\?(?:[\w.~=&+,;:@!/-]|%[0-9A-F]{2})+)?",
    re.ASCII,
)
# The beginning of a URL in which host and port need no further parsing.
PLAIN_ORIGIN = re.compile(r"(https?)://([A-Za-z0-9.-]+(?::[0-9]{1,5})?)[/?]")


def bare(url: str) -> str:
    """Return a URL without query and fragment; the query may contain a signature."""
    return url.partition("?")[0].partition("#")[0]


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, such as ``https://api.wandb.ai:443``.

    If the URL is malformed, return it without query and fragment.
    """
    if plain := PLAIN_ORIGIN.match(url):
        return _origin(plain[1], plain[2])
    try:
        parts = urlsplit(url)
        return _origin(parts.scheme, parts.netloc)
    except ValueError:
        return bare(url)


@lru_cache(maxsize=256)
def _origin(scheme: str, netloc: str) -> str:
    parts = SplitResult(scheme, netloc, "", "", "")
    port = parts.port or {"http": 80, "https": 443}.get(scheme)
    host = (parts.hostname or "").lower()
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def target_of(url: str) -> bytes:
    """Return path and query of an absolute URL, escaped for a request line.

    Raises
    ------
    httpx.InvalidURL, ValueError
        If the URL is malformed.

    Examples
    --------
    >>> target_of("https://a/b c?d=e#f")
    b'/b%20c?d=e'
    """
    _, _, rest = url.partition("://")
    target = rest[rest.find("/") :] if "/" in rest else ""
    if len(url) <= SHORT_URL and url.isprintable() and PLAIN_TARGET.fullmatch(target):
        return target.encode("ascii")
    return httpx.URL(url).raw_path


@dataclass(frozen=True, slots=True)
class Host:
    """The part of a URL that names its host.

    Parameters
    ----------
    scheme, host : bytes
        Scheme, and name or address of the host.
    port : int or None
        Port; None means the default port of the scheme.
    netloc : bytes
        Host and port, for the header ``Host``.
    auth : bytes or None
        Value of the header ``Authorization`` for the user and password in the URL; None without
        them.
    """

    scheme: bytes
    host: bytes
    port: int | None
    netloc: bytes
    auth: bytes | None


def host_of_url(url: str) -> Host:
    """Return the host of an absolute URL; errors are as in `parse_origin` and `urlsplit`."""
    if plain := PLAIN_ORIGIN.match(url):
        return parse_origin(plain[1], plain[2])
    parts = urlsplit(url)
    return parse_origin(parts.scheme, parts.netloc)


@lru_cache(maxsize=256)
def parse_origin(scheme: str, netloc: str) -> Host:
    """Return the `Host` for the scheme and network location of a URL.

    Raises
    ------
    httpx.InvalidURL, ValueError
        If host or port cannot exist, or the URL is not http(s).
    """
    url = httpx.URL(f"{scheme}://{netloc}/")
    # `port` and `host` raise ValueError for some values that httpx accepts, but cannot connect to.
    port = SplitResult(scheme, netloc, "", "", "").port
    if scheme not in {"http", "https"} or not url.host or port == 0:
        raise ValueError
    auth = basic_auth(url.username, url.password) if url.userinfo else None
    return Host(url.raw_scheme, url.raw_host, url.port, url.netloc, auth)


def basic_auth(name: str, password: str) -> bytes:
    """Return the value of the header ``Authorization`` for a user and a password (RFC 7617)."""
    return b"Basic " + base64.b64encode(f"{name}:{password}".encode())
