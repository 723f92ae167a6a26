"""Runs in a cache directory, as if they had been pulled from a backend; no backend is needed."""

import json
import shutil
import time
import uuid
from email.utils import formatdate
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from google_crc32c import value as crc32c

import runlake
from runlake.cache.catalog import Catalog
from runlake.cache.disk.file_state import FileState
from runlake.cache.layout import RunDirectory, export_file_name
from runlake.cache.store import LastOffer, StoredManifest, tag_root, write_manifest
from runlake.cache.stored_export import StoredExport
from runlake.exports.footers.statistics import read_export_facts
from runlake.exports.validator import Validator
from runlake.values import RunPath

BACKEND = "https://runs.example"


def store_run(
    lake: runlake.Lake,
    run_id: str,
    tables: list[Any],
    *,
    project: str = "p",
    config: dict[str, Any] | None = None,
    at: int = 0,
    note: bool = True,
) -> tuple[RunDirectory, StoredManifest, dict[Any, Any]]:
    """Store a run in place of an earlier one with its id; return what notes it in the catalog.

    Parameters
    ----------
    lake : Lake
        The lake.
    run_id, project : str
        The run is ``team/<project>/<run_id>``.
    tables : list of pyarrow.Table
        An export each, the oldest first, with a column ``_step``.
    config : dict, optional
        The run's config.
    at : int
        When the run was created, in seconds since 1970; lakes list the oldest run first.
    note : bool
        Note the run in the catalog now.
    """
    directory = RunDirectory(lake.path, BACKEND, RunPath("team", project, run_id))
    tag_root(directory)
    shutil.rmtree(directory.path, ignore_errors=True)
    directory.path.mkdir(parents=True)
    exports = {}
    for number, table in enumerate(tables):
        name, etag = f"/{run_id}/{number}", uuid.uuid4().hex
        partial = directory.path / "new"
        pq.write_table(table, partial)
        content = partial.read_bytes()
        path = directory.path / export_file_name(name, etag, len(content))
        partial.rename(path)
        validator = Validator(etag, formatdate(number, usegmt=True), crc32c=crc32c(content))
        exports[name] = StoredExport(
            name,
            path,
            validator,
            len(content),
            crc32c(content),
            FileState.of(path),
            read_export_facts(path),
        )
    facts = [export.facts for export in exports.values()]
    last = max((one.last_step for one in facts if one.last_step is not None), default=-1)
    n_rows = sum(one.n_rows for one in facts)
    created = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at))
    identities = {name: export.identity for name, export in exports.items()}
    offer = LastOffer("finished", created, n_rows, last, 0, time.time(), identities)
    attrs = {
        "name": run_id,
        "displayName": run_id,
        "state": "finished",
        "createdAt": created,
        "config": json.dumps({key: {"value": one} for key, one in (config or {}).items()}),
        "summaryMetrics": "{}",
    }
    manifest = StoredManifest(exports, offer, attrs, is_pinned=True, pulled_at=time.time())
    write_manifest(directory, manifest, is_durable=False)
    columns = {one.path: dict(one.facts.columns) for one in exports.values()}
    if note:
        Catalog(lake.path).note_columns(columns)
        Catalog(lake.path).note_run(directory, manifest)
    return directory, manifest, columns


def delete_run(lake, run_id, *, project="p"):
    """Delete a run of `store_run` from disk and from the catalog."""
    directory = RunDirectory(lake.path, BACKEND, RunPath("team", project, run_id))
    shutil.rmtree(directory.path, ignore_errors=True)
    Catalog(lake.path).forget_run(directory.relative)


def table_of(rows):
    """Return an export of rows, which are dicts with ``_step``; types are those of the values."""
    names = list(dict.fromkeys(key for row in rows for key in row)) or ["_step"]
    columns = {}
    for name in names:
        cells = [row.get(name) for row in rows]
        has_floats = any(isinstance(cell, float) for cell in cells)
        columns[name] = pa.array(
            [float(c) if has_floats and isinstance(c, int) else c for c in cells]
        )
    if not rows:
        columns["_step"] = pa.array([], pa.int64())
    return pa.table(columns)
