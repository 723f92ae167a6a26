"""URLs without what must not be shown, and the origins of them."""

from __future__ import annotations

from urllib.parse import urlsplit


def bare(url: str) -> str:
    """Return a URL without its query, which may be a signature."""
    return url.partition("?")[0].partition("#")[0]


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return bare(url)
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
