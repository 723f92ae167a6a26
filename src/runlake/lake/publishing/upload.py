"""Upload the data files of a publication, and commit them to its Iceberg tables."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import polars as pl

from runlake.errors import CacheError
from runlake.lake.packed.moment import Moment, PackedFile
from runlake.lake.packed.place import METRICS, RUNS, STATS, PackedPlace
from runlake.lake.packed.schemas import SCHEMAS
from runlake.lake.packed.segments import write_rows
from runlake.lake.packed.state import NAMES, empty_runs
from runlake.lake.packed.table import Outdated
from runlake.lake.publishing.rewrite import DIGEST_BYTES, Numbers, copy_rows, name_of
from runlake.lake.publishing.target import Target, names_in

ATTEMPTS = 20
# The column `run` has 32 bits.
MAX_NUMBER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Source:
    """The packed rows to publish.

    Parameters
    ----------
    files : mapping of str to sequence of PackedFile
        The data files of each table of the lake.
    runs : DataFrame
        Rows of the table ``runs``, after the check for secrets.
    """

    files: Mapping[str, Sequence[PackedFile]]
    runs: pl.DataFrame


@dataclass(slots=True)
class Sent:
    """The files that were uploaded.

    Parameters
    ----------
    n_files, n_bytes : int
        Number of uploaded data files, and their size in bytes.
    names : dict of str to list of str
        Names of the data files that have the rows of the runs, by table. These include files that
        earlier publications have uploaded. After `add_runs`, only the files of new and changed runs
        are listed, and for the table ``runs`` its only file.
    """

    n_files: int = 0
    n_bytes: int = 0
    names: dict[str, list[str]] = field(default_factory=dict)


def mirror_runs(target: Target, source: Source, staging: Path) -> Sent:
    """Replace the contents of the tables by the given runs, and return what was uploaded.

    Parameters
    ----------
    target : Target
        The published lake.
    source : Source
        The runs to publish.
    staging : Path
        A directory on this machine, for files before their upload.
    """
    # With the numbers of the lake, whole packed files are uploaded without rewriting them.
    numbers = Numbers({number: number for number in source.runs["run"]})
    sent = _send(target, source, numbers, staging)
    _send_rows(target, sent, RUNS, source.runs.select(NAMES).sort("run"), staging)
    for table in (*METRICS, STATS):
        _replace(target, table, sent.names[table])
    ids = {table: target.tables.heads()[table] for table in (*METRICS, STATS)}
    # The table `runs` last: its commit names the snapshots of the other tables that belong to it.
    base = target.tables.snapshot_ids().runs
    old = set(target.files_of(RUNS, base))
    new = set(sent.names[RUNS])
    removed = [target.url_of(name) for name in sorted(old - new)]
    added = [target.url_of(name) for name in sorted(new - old)]
    try:
        target.tables.commit_runs(base, removed, added, ids)
    except Outdated as error:
        raise _busy(target) from error
    return sent


def add_runs(target: Target, source: Source, staging: Path) -> Sent:
    """Add new and changed runs to tables that writers share, and return what was uploaded.

    Parameters
    ----------
    target, source, staging
        As for `mirror_runs`.
    """
    moment = target.tables.snapshot_ids()
    known = dict(_published(target, moment).select("directory", "source").iter_rows())
    # `source` names the exports of a run by their content, so equal text means equal rows.
    sources = zip(source.runs["directory"], source.runs["source"], strict=True)
    is_new = [known.get(directory) != text for directory, text in sources]
    fresh = source.runs.filter(pl.Series(is_new, dtype=pl.Boolean)).sort("run")
    if fresh.is_empty():
        return Sent()
    numbers = _take_numbers(target, fresh["run"].to_list())
    sent = _send(target, Source(source.files, fresh), numbers, staging)
    for table in (*METRICS, STATS):
        target.tables.append(table, [target.url_of(name) for name in sent.names[table]])
    renumbered = fresh.with_columns(
        pl.col("run").replace_strict(dict(numbers.new), return_dtype=pl.Int32)
    )
    _commit_added(target, sent, renumbered.select(NAMES), staging)
    return sent


def _commit_added(target: Target, sent: Sent, added: pl.DataFrame, staging: Path) -> None:
    """Commit runs to the table ``runs``, in place of the runs' earlier versions."""
    for _ in range(ATTEMPTS):
        # Again for each attempt: a commit is refused if another writer was faster.
        target.tables.reload()
        moment = target.tables.snapshot_ids()
        heads = target.tables.heads()
        kept = _published(target, moment).filter(
            ~pl.col("directory").is_in(added["directory"].implode())
        )
        old = target.files_of(RUNS, moment.runs)
        sent.names[RUNS] = []
        rows = pl.concat([kept.select(NAMES), added]).sort("run")
        # A name of this attempt alone, because the file is deleted if the commit is refused.
        _send_rows(target, sent, RUNS, rows, staging, unique=secrets.token_hex(4))
        ids = {table: heads[table] for table in (*METRICS, STATS)}
        try:
            target.tables.commit_runs(
                moment.runs,
                [target.url_of(name) for name in old],
                [target.url_of(name) for name in sent.names[RUNS]],
                ids,
            )
        except Outdated:
            target.bucket.delete(sent.names[RUNS])
        else:
            return
    raise _busy(target)


def _published(target: Target, moment: Moment) -> pl.DataFrame:
    """Return the rows of the published table ``runs`` in the snapshot that ``moment`` names."""
    names = target.files_of(RUNS, moment.runs)
    places = [target.bucket.place_of(name) for name in names]
    if not places:
        return empty_runs()
    options = dict(target.bucket.options) or None
    return pl.scan_parquet(places, glob=False, storage_options=options).select(NAMES).collect()


def _take_numbers(target: Target, old: Sequence[int]) -> Numbers:
    """Return new consecutive numbers for runs; no published file has rows with these numbers.

    The first number is random, so that several writers need no common counter.
    """
    heads = target.tables.heads()
    files = [one for table in METRICS for one in target.tables.files_of(table, heads[table])]
    while True:
        first = 1 + secrets.randbelow(MAX_NUMBER - len(old))
        last = first + len(old) - 1
        if not any((one.first_run or 0) <= last and first <= (one.last_run or 0) for one in files):
            return Numbers(dict(zip(old, range(first, last + 1), strict=True)))


def _send(target: Target, source: Source, numbers: Numbers, staging: Path) -> Sent:
    """Upload files with the rows of runs for all tables except ``runs``.

    Files that the bucket already has are not uploaded again.
    """
    sent = Sent(names={table: [] for table in (*METRICS, STATS, RUNS)})
    present = names_in(target.bucket, (*METRICS, STATS))
    for table in METRICS:
        for file in source.files[table]:
            if numbers.within(file.first_run, file.last_run):
                _send_file(target, sent, table, file, numbers, present, staging)
    _send_rows(target, sent, STATS, _stats_of(source, numbers), staging, present)
    return sent


def _send_file(
    target: Target,
    sent: Sent,
    table: str,
    file: PackedFile,
    numbers: Numbers,
    present: Mapping[str, int],
    staging: Path,
) -> None:
    name = f"{table}/data/{name_of(file, numbers)}"
    if name in present:
        sent.names[table].append(name)
        return
    if numbers.has_all(file):
        _upload(target, sent, table, name, Path(file.path))
        return
    part = staging / "part.parquet"
    if copy_rows(file, table, numbers, part):
        _upload(target, sent, table, name, part)
        part.unlink()


def _stats_of(source: Source, numbers: Numbers) -> pl.DataFrame:
    files = [one.path for one in source.files[STATS]]
    new = pl.col("run").replace_strict(dict(numbers.new), return_dtype=pl.Int32)
    # glob=False: the path of a lake may have brackets or stars.
    rows = pl.scan_parquet(files, glob=False)
    chosen = rows.filter(pl.col("run").is_in(sorted(numbers.new)))
    return chosen.with_columns(new).collect().sort("key", "run")


def _send_rows(
    target: Target,
    sent: Sent,
    table: str,
    rows: pl.DataFrame,
    staging: Path,
    present: Mapping[str, int] | None = None,
    *,
    unique: str = "",
) -> None:
    """Upload a frame as the only file of a table.

    The name of the file has a digest of its content, and ends with the text ``unique``. If
    ``present`` (the names of the bucket's files) has this name, nothing is uploaded.
    """
    names = [column.name for column in SCHEMAS[table]]
    first, last = int(rows["run"].min()), int(rows["run"].max())  # type: ignore[arg-type]
    written = write_rows(PackedPlace(staging), table, (first, last), rows.select(names))
    digest = blake2b(Path(written.path).read_bytes(), digest_size=DIGEST_BYTES).hexdigest()
    name = f"{table}/data/{first:010d}-{last:010d}-{digest}{unique}.parquet"
    if present is None or name not in present:
        _upload(target, sent, table, name, Path(written.path))
    else:
        sent.names[table].append(name)
    Path(written.path).unlink()


def _upload(target: Target, sent: Sent, table: str, name: str, path: Path) -> None:
    target.bucket.write(name, path)
    sent.n_files += 1
    sent.n_bytes += path.stat().st_size
    sent.names[table].append(name)


def _replace(target: Target, table: str, names: Sequence[str]) -> None:
    # A publication that was killed may have left files in the newest snapshot.
    old, new = set(target.files_of(table, target.tables.heads()[table])), set(names)
    if old == new:
        return
    try:
        target.tables.replace(
            table,
            [target.url_of(name) for name in sorted(old - new)],
            [target.url_of(name) for name in sorted(new - old)],
        )
    except Outdated as error:
        raise _busy(target) from error


def _busy(target: Target) -> CacheError:
    return CacheError(
        f"Other processes change the published lake at {target.bucket.place!r}. Publish again.",
        path=target.bucket.url,
    )
