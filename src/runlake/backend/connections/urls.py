"""URLs without their signatures, and the origins of URLs."""

from __future__ import annotations

from urllib.parse import urlsplit


def bare(url: str) -> str:
    """Return a URL without query and fragment; the query may be a signature."""
    return url.partition("?")[0].partition("#")[0]


def origin_of(url: str) -> str:
    """Return scheme, host and port of a URL, such as ``https://api.wandb.ai:443``."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return bare(url)
    host = (parts.hostname or "").lower()
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"
