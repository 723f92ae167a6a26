"""Publish runs of a lake: copy their packed rows to a place that other programs read.

The steps are in an order in which a reader never sees a part: data files, then Iceberg's metadata
of each table, then ``lake.json``, which names one moment of all tables.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from runlake.errors import InvalidArgument
from runlake.lake.bucket import Bucket
from runlake.lake.packed.pack import pack
from runlake.lake.packed.place import PackedPlace
from runlake.lake.packed.state import NAMES, read_packed_runs
from runlake.lake.packed.table import open_tables
from runlake.lake.publishing.fields import checked_fields
from runlake.lake.publishing.report import PublishReport
from runlake.lake.publishing.target import open_target
from runlake.lake.publishing.upload import Source, add_runs, mirror_runs
from runlake.settings import Settings

SHOWN_RUNS = 5


@dataclass(frozen=True, slots=True)
class Request:
    """What to publish.

    Parameters
    ----------
    settings : Settings
        The settings of the lake.
    directories : sequence of str
        The runs' directories relative to the root of the lake.
    bucket : Bucket
        The place.
    secrets : {"refuse", "redact", "allow"}
        What to do with values that look like secrets.
    catalog : mapping of str to str or None
        pyiceberg's properties of a catalog that several writers share.
    """

    settings: Settings
    directories: Sequence[str]
    bucket: Bucket
    secrets: str
    catalog: Mapping[str, str] | None


def publish(request: Request) -> PublishReport:
    """Publish runs; see `LakeRuns.publish`."""
    packed = pack(request.settings, set(request.directories))
    place = PackedPlace(request.settings.cache_dir)
    with (
        open_tables(place) as tables,
        tempfile.TemporaryDirectory(prefix="runlake-publish-") as directory,
    ):
        moment = tables.snapshot_ids()
        runs = read_packed_runs(tables, moment, NAMES)
        runs = runs.filter(pl.col("directory").is_in(list(request.directories)))
        if runs.is_empty():
            raise _nothing(request, packed.left_out)
        runs, redacted = checked_fields(runs, request.secrets)
        source = Source(tables.load_at(moment), runs)
        with open_target(request.bucket, request.catalog, Path(directory)) as target:
            if target.is_shared:
                sent = add_runs(target, source, Path(directory))
            else:
                sent = mirror_runs(target, source, Path(directory))
            publication = target.announce(len(runs))
    files = [file for one in publication.tables.values() for file in one.files]
    return PublishReport(
        request.bucket.url,
        publication.n_runs,
        len(files),
        sum(file.n_bytes for file in files),
        sent.n_files,
        sent.n_bytes,
        packed.left_out,
        redacted,
        {name: target.url_of(one.metadata) for name, one in publication.tables.items()},
    )


def _nothing(request: Request, left_out: Mapping[str, str]) -> InvalidArgument:
    why = "; ".join(f"{run}: {reason}" for run, reason in list(left_out.items())[:SHOWN_RUNS])
    return InvalidArgument(
        f"There are no runs to publish at {request.bucket.url!r}. {why or 'Pull some first.'}"
    )
