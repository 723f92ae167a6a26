"""Digests of artifact files: MD5, or XXH128 where the SDK was asked for it."""

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
    """Tell whether a file is there with the digest of an entry; reads all of it.

    Raises
    ------
    MissingExtra
        If the digest is of a kind that needs a package which is not installed.
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
    """Return the digest of names and digests of all files, in hex."""
    kinds = {entry.algorithm for entry in manifest.entries.values()}
    digest = _xxh128()() if XXH128 in kinds else hashlib.md5(usedforsecurity=False)
    digest.update(MANIFEST_HEADER)
    for name, entry in sorted(manifest.entries.items()):
        digest.update(f"{name}:{entry.digest}\n".encode())
    return str(digest.hexdigest())


def _xxh128() -> Callable[[], Any]:
    try:
        import xxhash
    except ImportError as error:
        raise MissingExtra(
            "The files of this artifact were digested by XXH128, and are not used unchecked. "
            "Install the package that checks them: pip install 'runlake[xxhash]'.",
            extra="xxhash",
        ) from error
    return xxhash.xxh128
