"""Digests of artifact files: MD5, or XXH128 if the user chose it in the wandb SDK."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runlake.cache.artifacts.contents import file_md5
from runlake.cache.artifacts.manifest import XXH128, Entry, Manifest
from runlake.cache.disk.links import is_regular
from runlake.errors import MissingExtra

MANIFEST_HEADER = b"wandb-artifact-manifest-v1\n"


def is_intact(path: Path, entry: Entry) -> bool:
    """Read a whole file, and return whether it exists and has the digest of an entry.

    Raises
    ------
    MissingExtra
        If the digest is an XXH128, and the package that computes it is not installed.
    """
    if entry.algorithm != XXH128:
        return entry.md5 is not None and file_md5(path) == entry.md5
    if not is_regular(path):
        return False
    try:
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, _xxh128()).digest()
    except OSError:
        return False
    return base64.b64encode(digest).decode() == entry.digest


def manifest_digest(manifest: Manifest) -> str:
    """Return an artifact's digest in hex, computed from the names and digests of its files."""
    kinds = {entry.algorithm for entry in manifest.entries.values()}
    digest = _xxh128()() if XXH128 in kinds else hashlib.md5(usedforsecurity=False)
    # Header, order and lines are those of the wandb SDK, so that both compute the same digest.
    digest.update(MANIFEST_HEADER)
    for name, entry in sorted(manifest.entries.items()):
        digest.update(f"{name}:{entry.digest}\n".encode())
    return str(digest.hexdigest())


def _xxh128() -> Callable[[], Any]:
    try:
        import xxhash
    except ImportError as error:
        raise MissingExtra(
            "The files of this artifact have XXH128 digests, which cannot be checked without a "
            "package. Install it: pip install 'runlake[xxhash]'.",
            extra="xxhash",
        ) from error
    return xxhash.xxh128
