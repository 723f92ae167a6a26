"""What is on disk of a run: begin, publish, describe, sweep."""

from __future__ import annotations

import base64
import json
import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from runlake.cache.layout import PART_NAME, RunDirectory, export_file_name, safe_name
from runlake.exports.download import Downloaded, Validator
from runlake.exports.manifest import Export, Freshness, Manifest
from runlake.exports.verify import ExportFacts, RowGroup
from runlake.values import RunPath

SCHEMA_VERSION = 1
ABANDONED_SECONDS = 24 * 3600.0
TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This directory holds downloads of runlake; everything in it can be fetched again.\n"
)


@dataclass(frozen=True, slots=True)
class StoredExport:
    """An export on disk.

    Parameters
    ----------
    object : str
        Its URL without signature.
    file : str
        File name in the run's directory.
    validator : Validator
        Which version it is.
    n_bytes : int
        Length of the file.
    facts : ExportFacts
        What planning needs to know of it.
    """

    object: str
    file: str
    validator: Validator
    n_bytes: int
    facts: ExportFacts


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """What is on disk of a run, and when it was last known to be current.

    Parameters
    ----------
    exports : mapping of str to StoredExport
        By object.
    freshness : tuple or None
        `Manifest.freshness` of the last offer whose exports were all current.
    offer : Manifest or None
        That offer, where the exports were the whole history; its URLs have no signature.
    """

    exports: Mapping[str, StoredExport]
    freshness: Freshness | None = None
    offer: Manifest | None = None

    @property
    def between_offers(self) -> StoredManifest:
        """The manifest while a pull goes on: some of its exports are of an older offer."""
        return replace(self, freshness=None, offer=None)

    def as_of(self, offered: Manifest) -> StoredManifest:
        """Return the manifest for an offer whose exports are all on disk."""
        is_whole = offered.live_steps == ()
        return replace(
            self,
            freshness=offered.freshness,
            offer=offered.without_signatures() if is_whole else None,
        )

    def with_export(self, export: StoredExport) -> StoredManifest:
        """Return this manifest with one export more, or another version of it."""
        return replace(self, exports={**self.exports, export.object: export})


def read_manifest(directory: RunDirectory) -> StoredManifest:
    """Read what is on disk of a run.

    Parameters
    ----------
    directory : RunDirectory
        The run.

    Returns
    -------
    StoredManifest
        Empty where there is none, or one that cannot be read: then all is fetched again.
    """
    try:
        document = json.loads(directory.manifest.read_bytes())
        if document["version"] != SCHEMA_VERSION:
            return StoredManifest({})
        schemas = [_parse_schema(text) for text in document["schemas"]]
        exports = (_parse_export(entry, schemas) for entry in document["exports"])
        freshness = document["freshness"]
        return StoredManifest(
            {export.object: export for export in exports},
            tuple(freshness) if freshness else None,
            _parse_offer(document.get("offer"), directory.run, freshness),
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, pa.ArrowException):
        return StoredManifest({})


def write_manifest(directory: RunDirectory, manifest: StoredManifest) -> None:
    """Replace the manifest of a run atomically.

    Parameters
    ----------
    directory : RunDirectory
        The run, whose lock the caller holds.
    manifest : StoredManifest
        What to write.
    """
    schemas: dict[bytes, int] = {}
    exports = [_describe_export(export, schemas) for export in manifest.exports.values()]
    document = {
        "version": SCHEMA_VERSION,
        "run": str(directory.run),
        "backend": directory.base_url,
        "freshness": manifest.freshness,
        "offer": _describe_offer(manifest.offer),
        "schemas": [base64.b64encode(schema).decode() for schema in schemas],
        "exports": exports,
    }
    part = directory.part("manifest")
    try:
        with part.open("w") as file:
            json.dump(document, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        part.replace(directory.manifest)
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def prepare(directory: RunDirectory) -> None:
    """Make the directory of a run, and let go of what dead attempts left in it.

    Parameters
    ----------
    directory : RunDirectory
        The run, whose lock the caller holds. A lock can lie, hence only attempts of processes
        that are known to be dead, or of yesterday, are swept.
    """
    directory.path.mkdir(parents=True, exist_ok=True)
    tag = directory.root / "CACHEDIR.TAG"
    if not tag.exists():
        tag.write_text(TAG)
    for part in directory.path.glob("*.part"):
        if _is_abandoned(part):
            with suppress(OSError):
                part.unlink()


def publish(
    directory: RunDirectory, object_path: str, part: Path, downloaded: Downloaded
) -> StoredExport:
    """Give a complete download its final name.

    Parameters
    ----------
    directory : RunDirectory
        The run.
    object_path : str
        URL of the export without its signature.
    part : Path
        The attempt's file, flushed to disk.
    downloaded : Downloaded
        What was found in it.

    Returns
    -------
    StoredExport
        What the manifest has to say of it.
    """
    validator = downloaded.validator
    name = export_file_name(
        object_path, validator.etag or validator.last_modified or "", downloaded.n_bytes
    )
    part.replace(directory.path / name)
    return StoredExport(object_path, name, validator, downloaded.n_bytes, downloaded.facts)


def _is_abandoned(part: Path) -> bool:
    try:
        if time.time() - part.stat().st_mtime > ABANDONED_SECONDS:
            return True
    except OSError:
        return False
    named = PART_NAME.fullmatch(part.name)
    if named is None or named["host"] != safe_name(socket.gethostname()):
        return False
    return os.name == "posix" and not _is_alive(int(named["pid"]))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # Not ours to signal, hence alive.
        return True
    return True


def _describe_export(export: StoredExport, schemas: dict[bytes, int]) -> dict[str, Any]:
    facts = export.facts
    schema = facts.schema.remove_metadata().serialize().to_pybytes()
    return {
        "object": export.object,
        "file": export.file,
        "etag": export.validator.etag,
        "last_modified": export.validator.last_modified,
        "n_bytes": export.n_bytes,
        "is_ascending": facts.is_ascending,
        "row_groups": [[g.n_rows, g.first_step, g.last_step] for g in facts.row_groups],
        "schema": schemas.setdefault(schema, len(schemas)),
        "null_counts": dict(facts.null_counts),
    }


@lru_cache(maxsize=256)
def _parse_schema(text: str) -> pa.Schema:
    """Parse a schema; the runs of a project mostly have the same."""
    return pa.ipc.read_schema(pa.BufferReader(_bytes(text)))


def _parse_export(entry: Mapping[str, Any], schemas: list[pa.Schema]) -> StoredExport:
    facts = ExportFacts(
        tuple(RowGroup(*group) for group in entry["row_groups"]),
        entry["is_ascending"],
        schemas[entry["schema"]],
        entry["null_counts"],
    )
    validator = Validator(entry["etag"], entry["last_modified"])
    return StoredExport(entry["object"], entry["file"], validator, entry["n_bytes"], facts)


def _describe_offer(offer: Manifest | None) -> dict[str, Any] | None:
    if offer is None:
        return None
    return {
        "last_step": offer.last_step,
        "key_counts": dict(offer.key_counts),
        "objects": [export.object for export in offer.exports],
    }


def _parse_offer(
    entry: Mapping[str, Any] | None, run: RunPath, freshness: list[Any] | None
) -> Manifest | None:
    if entry is None or freshness is None:
        return None
    state, heartbeat_at, line_count = freshness
    return Manifest(
        path=run,
        state=state,
        heartbeat_at=heartbeat_at,
        line_count=line_count,
        last_step=entry["last_step"],
        key_counts=entry["key_counts"],
        exports=tuple(Export(name) for name in entry["objects"]),
        live_steps=(),
    )


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
