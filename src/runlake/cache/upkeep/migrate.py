"""Runs that an older runlake pulled: taken over without a download, and left to it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from runlake.cache.disk.file_state import FileState
from runlake.cache.disk.links import is_regular, read_small_file
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import run_lock
from runlake.cache.store import (
    MAX_MANIFEST_BYTES,
    Offer,
    StoredExport,
    StoredManifest,
    write_manifest,
)
from runlake.errors import CacheError
from runlake.exports.validator import Validator
from runlake.exports.verify import NotAsPromised, verify_export
from runlake.settings import Settings

FIRST_LAYOUT = "v1"


def adopt_older_layout(directory: RunDirectory, settings: Settings) -> None:
    """Take over what an older layout holds of a run, unless this one has it already.

    Files are hard-linked, so that both layouts have them and neither pays twice; an older runlake
    goes on with its own. A file that is not what its host promised is left behind.

    Parameters
    ----------
    directory : RunDirectory
        The run in this layout.
    settings : Settings
        How to lock the run.
    """
    older = directory.root / FIRST_LAYOUT / directory.path.relative_to(directory.version_root)
    if directory.manifest.exists() or not (older / "manifest.json").exists():
        return
    # What cannot be taken over is fetched as if it had never been there.
    with (
        suppress(
            OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError, CacheError
        ),
        run_lock(directory, settings.lock_timeout, locking=settings.locking),
    ):
        if not directory.manifest.exists():
            _adopt_run(directory, older)


def _adopt_run(directory: RunDirectory, older: Path) -> None:
    document = json.loads(read_small_file(older / "manifest.json", MAX_MANIFEST_BYTES))
    if document["version"] != 1:
        return
    directory.path.mkdir(parents=True, exist_ok=True)
    adopted = [_adopt(entry, older, directory.path) for entry in document["exports"]]
    exports = {export.object: export for export in adopted if export is not None}
    offer = None
    if document["freshness"] and len(exports) == len(document["exports"]):
        # The older layout did not note live rows: without that the run is not known to be over.
        state, heartbeat_at, line_count = document["freshness"]
        identities = {name: export.identity for name, export in exports.items()}
        offer = Offer(state, heartbeat_at, line_count, -1, None, time.time(), identities)
    write_manifest(directory, StoredManifest(exports, offer))


def _adopt(entry: Mapping[str, Any], older: Path, newer: Path) -> StoredExport | None:
    path = newer / Path(entry["file"]).name
    if not is_regular(older / path.name):
        return None
    try:
        with suppress(FileExistsError):
            os.link(older / path.name, path, follow_symlinks=False)
        # The older layout kept no checksum; most hosts give the MD5 of an object as its ETag.
        promised = Validator.from_headers({"etag": entry["etag"] or ""})
        version = Validator(entry["etag"], entry["last_modified"], promised.md5)
        verified = verify_export(path, version, n_bytes=entry["n_bytes"])
        return StoredExport(
            urlsplit(entry["object"]).path,
            path,
            version,
            verified.n_bytes,
            verified.crc32c,
            FileState.of(path),
            verified.facts,
        )
    except (OSError, NotAsPromised):
        return None
