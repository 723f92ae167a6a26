"""What is on disk of a run: begin, publish, describe, sweep."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from runlake.cache.layout import RunDirectory, export_file_name
from runlake.exports.download import Downloaded
from runlake.exports.part import PartFile
from runlake.exports.validator import Validator
from runlake.exports.verify import ExportFacts, RowGroup

SCHEMA_VERSION = 2
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
    """

    exports: Mapping[str, StoredExport]
    freshness: tuple[str | None, str | None, int | None] | None = None

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
        schemas = [
            pa.ipc.read_schema(pa.BufferReader(_bytes(text))) for text in document["schemas"]
        ]
        exports = (_parse_export(entry, schemas) for entry in document["exports"])
        freshness = document["freshness"]
        return StoredManifest(
            {export.object: export for export in exports}, tuple(freshness) if freshness else None
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
        "schemas": [base64.b64encode(schema).decode() for schema in schemas],
        "exports": exports,
    }
    part = PartFile(directory.path, "manifest")
    try:
        with part.open() as file:
            file.write(json.dumps(document, separators=(",", ":")).encode())
            file.flush()
            os.fsync(file.fileno())
        part.path.replace(directory.manifest)
    finally:
        part.discard()


def prepare(directory: RunDirectory) -> None:
    """Make the directory of a run.

    Parameters
    ----------
    directory : RunDirectory
        The run, whose lock the caller holds.
    """
    directory.path.mkdir(parents=True, exist_ok=True)
    tag = directory.root / "CACHEDIR.TAG"
    if not tag.exists():
        tag.write_text(TAG)


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


def _describe_export(export: StoredExport, schemas: dict[bytes, int]) -> dict[str, Any]:
    facts = export.facts
    schema = facts.schema.remove_metadata().serialize().to_pybytes()
    return {
        "object": export.object,
        "file": export.file,
        "validator": asdict(export.validator),
        "n_bytes": export.n_bytes,
        "is_ascending": facts.is_ascending,
        "row_groups": [[g.n_rows, g.first_step, g.last_step] for g in facts.row_groups],
        "schema": schemas.setdefault(schema, len(schemas)),
        "null_counts": dict(facts.null_counts),
    }


def _parse_export(entry: Mapping[str, Any], schemas: list[pa.Schema]) -> StoredExport:
    facts = ExportFacts(
        tuple(RowGroup(*group) for group in entry["row_groups"]),
        entry["is_ascending"],
        schemas[entry["schema"]],
        entry["null_counts"],
    )
    validator = Validator(**entry["validator"])
    return StoredExport(entry["object"], entry["file"], validator, entry["n_bytes"], facts)


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
