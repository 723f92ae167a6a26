"""Compare the files of a snapshot with the digests in its record."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runlake.cache.companions import FILES
from runlake.cache.layout import RunDirectory, snapshot_root
from runlake.cache.store import read_manifest
from runlake.cache.stored_files import ALL_FILES
from runlake.lake.snapshots.record import FIELDS, RecordedRun, file_digest, record_run
from runlake.lake.snapshots.snapshots import find_snapshot

if TYPE_CHECKING:
    import polars as pl

INTACT, DAMAGED = "intact", "damaged"


def verify_snapshot(root: Path, name: str) -> pl.DataFrame:
    """Compare all files of a snapshot with the digests in its record; return a row per run.

    The columns are those of `Lake.verify`, without the numbers of artifacts.

    Raises
    ------
    NotCached
        If the lake has no snapshot of this name.
    """
    import polars as pl

    record = find_snapshot(root, name)
    place = snapshot_root(root, name)
    damaged = [path for path, one in record.packed.items() if file_digest(root / path) != one]
    rows = []
    known: dict[Path, str] = {}
    for recorded in record.runs:
        directory = RunDirectory(place, recorded.backend, recorded.run)
        reason = _difference(recorded, record_run(directory, known))
        # An empty digest: the export had been dropped, and the rows are in packed files only.
        if reason is None and damaged and not all(recorded.digests.values()):
            reason = f"the packed file {damaged[0]!r}, with its rows, is damaged or gone"
        manifest = read_manifest(directory)
        files = manifest.beside.get(FILES)
        pulled_at = manifest.pulled_at
        rows.append(
            {
                "entity": recorded.run.entity,
                "project": recorded.run.project,
                "run_id": recorded.run.run_id,
                "status": INTACT if reason is None else DAMAGED,
                "reason": reason or "all its bytes are those of the snapshot",
                "has_all_files": files is not None and ALL_FILES in files.asked,
                "pulled_at": None if pulled_at is None else datetime.fromtimestamp(pulled_at, UTC),
            }
        )
    return pl.DataFrame(
        rows,
        schema={
            **dict.fromkeys(("entity", "project", "run_id", "status", "reason"), pl.String),
            "has_all_files": pl.Boolean,
            "pulled_at": pl.Datetime("us", "UTC"),
        },
    )


def _difference(recorded: RecordedRun, found: RecordedRun) -> str | None:
    """Describe the first file of a run that differs from the record; None if all are equal."""
    if recorded.digests == found.digests:
        return None
    # First, because a damaged manifest names no files, so that all other files seem to be gone.
    if recorded.digests[FIELDS] != found.digests[FIELDS]:
        return "its manifest, with config and summary, is damaged or gone"
    names = sorted({*recorded.digests, *found.digests})
    first = next(one for one in names if recorded.digests.get(one) != found.digests.get(one))
    return f"the file {first!r} is damaged or gone"
