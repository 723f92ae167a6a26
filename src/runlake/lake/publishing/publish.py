"""Publish runs of a lake: copy their packed rows to a directory or bucket that others read.

Data files are written first, then Iceberg's metadata of each table, and then ``lake.json``, which
names one snapshot of each table. In this order, a reader never sees a part of a publication.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from runlake.errors import IncompleteWarning, InvalidArgument
from runlake.errors.user_line import warn
from runlake.lake.bucket import Bucket
from runlake.lake.packed.elsewhere import find_elsewhere
from runlake.lake.packed.pack import pack
from runlake.lake.packed.place import RUNS
from runlake.lake.packed.state import NAMES, empty_runs
from runlake.lake.packed.view import PackedView, open_view
from runlake.lake.publishing.fields import checked_fields
from runlake.lake.publishing.report import PublishReport
from runlake.lake.publishing.target import open_target
from runlake.lake.publishing.upload import Source, add_runs, mirror_runs
from runlake.settings import Settings
from runlake.values.counted import counted, is_or_are

SHOWN_RUNS = 5
NOT_PACKED = "it was not packed when the snapshot was taken"


@dataclass(frozen=True, slots=True)
class Request:
    """What to publish, where to publish it, and the options.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    runs : mapping of str to str
        The path of each run. The keys are the runs' directories, relative to the root of the lake.
    bucket : Bucket
        The place to publish to.
    secrets : {"refuse", "redact", "allow"}
        What to do with values that look like secrets.
    catalog : mapping of str to str or None
        pyiceberg's properties of a catalog that several writers share.
    """

    settings: Settings
    runs: Mapping[str, str]
    bucket: Bucket
    secrets: str
    catalog: Mapping[str, str] | None


def publish(request: Request) -> PublishReport:
    """Publish runs as `LakeRuns.publish` describes, and return the report."""
    view, left_out = _packed(request)
    runs = _rows_of(view, request)
    if view is None or runs.is_empty():
        raise _nothing(request, left_out)
    # Before the target is opened, so that refused runs leave nothing at the place.
    runs, redacted = checked_fields(runs, request.secrets)
    if left_out:
        n_left = len(left_out)
        warn(
            f"{counted(n_left, 'run')} {is_or_are(n_left)} not published: {_shown(left_out)}.",
            IncompleteWarning,
        )
    source = Source(view.files, runs)
    with (
        tempfile.TemporaryDirectory(prefix="runlake-publish-") as directory,
        open_target(request.bucket, request.catalog, Path(directory)) as target,
    ):
        write = add_runs if target.is_shared else mirror_runs
        sent = write(target, source, Path(directory))
        publication = target.announce(len(runs))
    files = [file for one in publication.tables.values() for file in one.files]
    return PublishReport(
        request.bucket.place,
        publication.n_runs,
        len(files),
        sum(file.n_bytes for file in files),
        sent.n_files,
        sent.n_bytes,
        left_out,
        redacted,
        {name: target.url_of(one.metadata) for name, one in publication.tables.items()},
    )


def _packed(request: Request) -> tuple[PackedView | None, dict[str, str]]:
    """Pack the runs; return the packed tables, and for each run that is not packed, the reason.

    A snapshot or a published lake is not packed; its tables are returned as they are. A published
    lake in object storage is refused.
    """
    root = request.settings.cache_dir
    # A snapshot and a published lake read tables that are elsewhere, and cannot be packed.
    there = find_elsewhere(root)
    if there is None:
        left_out = dict(pack(request.settings, set(request.runs)).left_out)
        return open_view(root), left_out
    view = open_view(root)
    if view is not None and view.storage_options is not None:
        raise InvalidArgument(
            "A published lake in object storage cannot be published again. Publish the lake that "
            "it was made of."
        )
    current = {} if view is None else view.current()
    missing = [run for directory, run in request.runs.items() if directory not in current]
    return view, dict.fromkeys(missing, NOT_PACKED)


def _rows_of(view: PackedView | None, request: Request) -> pl.DataFrame:
    """Return the rows of the packed table ``runs`` for runs that are unchanged since the pack."""
    if view is None or not view.files[RUNS]:
        return empty_runs()
    chosen = sorted(view.current().keys() & request.runs.keys())
    rows = view.scan([one.path for one in view.files[RUNS]]).select(NAMES)
    return rows.filter(pl.col("directory").is_in(chosen)).collect()


def _shown(left_out: Mapping[str, str]) -> str:
    return "; ".join(f"{run}: {reason}" for run, reason in list(left_out.items())[:SHOWN_RUNS])


def _nothing(request: Request, left_out: Mapping[str, str]) -> InvalidArgument:
    why = _shown(left_out) or "Pull some first"
    return InvalidArgument(f"There are no runs to publish at {request.bucket.place!r}. {why}.")
