"""Copy the rows of the runs to publish from packed data files, and renumber the runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from runlake.lake.packed.moment import PackedFile
from runlake.lake.packed.schemas import arrow_schema
from runlake.lake.packed.segments import SHARED_ROWS, open_writer

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of the runs to publish, in the lake and in the publication.

    Packed tables name each run by a number.

    Parameters
    ----------
    new : mapping of int to int
        The keys are the runs' numbers in the lake, the values are their numbers in the publication.
    """

    new: Mapping[int, int]

    @property
    def are_kept(self) -> bool:
        """True if all runs keep their numbers."""
        return all(old == new for old, new in self.new.items())

    def within(self, first: int | None, last: int | None) -> dict[int, int]:
        """Return the items of ``new`` whose keys are at least ``first`` and at most ``last``.

        A bound that is None has no effect.
        """
        return {
            old: new
            for old, new in self.new.items()
            if (first is None or old >= first) and (last is None or old <= last)
        }

    def has_all(self, file: PackedFile) -> bool:
        """Return whether a file is published without a change.

        This is true only if each number from the file's first run to its last run is of a run that
        is published and keeps its number.
        """
        if file.first_run is None or file.last_run is None:
            return False
        some = self.within(file.first_run, file.last_run)
        # A number that is missing may be of a run that must not be published.
        is_whole = len(some) == file.last_run - file.first_run + 1
        return is_whole and all(old == new for old, new in some.items())


def name_of(file: PackedFile, numbers: Numbers) -> str:
    """Return the name of the published copy of a packed file.

    The copy has only the rows of runs to publish. Two copies of one file with the same runs have
    the same name, so that a second publication does not upload the rows again.
    """
    path = Path(file.path)
    if numbers.has_all(file):
        return path.name
    some = sorted(numbers.within(file.first_run, file.last_run).items())
    text = f"{path.name}\n{some}"
    digest = blake2b(text.encode(), digest_size=DIGEST_BYTES).hexdigest()
    new = [after for _, after in some]
    return f"{min(new):010d}-{max(new):010d}-{digest}.parquet"


def copy_rows(file: PackedFile, table: str, numbers: Numbers, target: Path) -> int:
    """Copy the rows to publish from a packed file into a new file, a few row groups at a time.

    Parameters
    ----------
    file : PackedFile
        The file, sorted by key, run and step.
    table : str
        Name of the file's table.
    numbers : Numbers
        The runs to publish.
    target : Path
        The new file; it is not written if there is no row to publish.

    Returns
    -------
    int
        Number of rows that were written.
    """
    schema = arrow_schema(table, has_dictionary=True)
    some = numbers.within(file.first_run, file.last_run)
    n_rows = 0
    writer = None
    try:
        for rows in _chosen(file, schema, some):
            if writer is None:
                writer = open_writer(target, schema)
            writer.write_table(rows)
            n_rows += rows.num_rows
    finally:
        if writer is not None:
            writer.close()
    return n_rows


def _chosen(file: PackedFile, schema: pa.Schema, some: Mapping[int, int]) -> Iterator[pa.Table]:
    old = np.array(sorted(some), np.int32)
    new = np.array([some[one] for one in sorted(some)], np.int32)
    held: list[pa.Table] = []
    n_held = 0
    # Damaged pages are not copied: in the new file, they would have right checksums.
    with pq.ParquetFile(
        file.path, read_dictionary=["key"], page_checksum_verification=True
    ) as source:
        for group in range(source.num_row_groups):
            rows = _numbered(source.read_row_group(group), old, new, schema)
            if not rows.num_rows:
                continue
            held.append(rows)
            n_held += rows.num_rows
            # Row groups from which most rows were dropped are joined to larger ones.
            if n_held >= SHARED_ROWS:
                yield pa.concat_tables(held).unify_dictionaries()
                held, n_held = [], 0
    if held:
        yield pa.concat_tables(held).unify_dictionaries()


def _numbered(rows: pa.Table, old: np.ndarray, new: np.ndarray, schema: pa.Schema) -> pa.Table:
    """Return the rows of the runs to publish, with the new numbers of the runs."""
    numbers = rows["run"].to_numpy()
    places = np.searchsorted(old, numbers)
    is_chosen = places < len(old)
    is_chosen[is_chosen] = old[places[is_chosen]] == numbers[is_chosen]
    if not is_chosen.all():
        rows = rows.filter(pa.array(is_chosen))
    renumbered = pa.array(new[places[is_chosen]], pa.int32())
    columns = [
        renumbered if name == "run" else rows[name].cast(schema.field(name).type)
        for name in schema.names
    ]
    return pa.Table.from_arrays(columns, schema=schema)
