"""Write the rows of local runs to Parquet files, stored like the exports of other runs."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from runlake.cache.layout import RunDirectory
from runlake.cache.stored_export import StoredExport, publish
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.footers.statistics import read_export_facts
from runlake.exports.validator import Validator
from runlake.exports.verify import digest_file, verify_export
from runlake.lake.local.columns import column_of
from runlake.values import STEP

# An export is written when its rows reach one of these limits, which bounds the memory.
MAX_ROWS = 50_000
MAX_BYTES = 24 << 20
MAX_CELLS = 1 << 24
ROW_GROUP_ROWS = 4096
NO_LEAVES = {dict, type(None)}
KINDS: Mapping[type, str] = {bool: "number", int: "number", float: "number", str: "string"}
KeyCounts = dict[str, Counter[str]]
Keep = Callable[[StoredExport], None]


class RecordedRows:
    """The rows of one ``.wandb`` file, which are written to exports of bounded size.

    Parameters
    ----------
    directory : RunDirectory
        The run's directory, in which the exports are published.
    name : str
        Prefix of the names of the exports. If several exports have a key at one step, the value in
        the export with the highest name is used.
    keep : callable
        Called with each export that was written.
    counts : dict
        For each key, the number of values of each kind (``number``, ``string``, ``list`` and
        others). The rows' values are added to these counts.
    """

    def __init__(self, directory: RunDirectory, name: str, keep: Keep, counts: KeyCounts) -> None:
        self._directory = directory
        self._name = name
        self._keep = keep
        self._counts = counts
        self._rows: dict[int, dict[str, Any]] = {}
        self._keys: set[str] = set()
        self._n_bytes = 0
        self._n_files = 0

    def add(self, step: int, row: dict[str, Any], n_bytes: int) -> None:
        """Add a row with dotted keys; a value replaces an earlier value of the same key and step.

        Parameters
        ----------
        step : int
            The step of the row.
        row : dict
            The values of the row by dotted key, without nulls.
        n_bytes : int
            Approximate size of the row in memory, in bytes.
        """
        if step in self._rows:
            self._rows[step].update(row)
        else:
            self._rows[step] = row
        self._keys.update(row)
        self._n_bytes += n_bytes
        n_rows = len(self._rows)
        is_long = n_rows >= MAX_ROWS or n_rows * len(self._keys) >= MAX_CELLS
        if is_long or self._n_bytes >= MAX_BYTES:
            self.write()

    def write(self) -> None:
        """Write the rows that are in no export yet into a new export, if there are such rows."""
        if not self._rows:
            return
        steps = sorted(self._rows)
        cells = self._cells(steps)
        with AttemptFile(self._directory.path, f"{self._name}/{self._n_files:06d}") as attempt:
            # Creates the file under the name of the attempt; pyarrow then writes to this name.
            attempt.open().close()
            _write_file(attempt, steps, cells)
            digest = digest_file(attempt.path, Validator())
            # The digest is the version, so that another content has another file name.
            validator = Validator(f'"{digest.crc32c:08x}"', crc32c=digest.crc32c)
            verified = verify_export(attempt.path, validator, digest=digest)
            self._keep(publish(self._directory, attempt, verified))
        self._n_files += 1
        self._rows, self._n_bytes = {}, 0
        self._keys.clear()

    def _cells(self, steps: Iterable[int]) -> dict[str, dict[int, Any]]:
        """Return the values of each key by row index; add their number, by kind, to the counts."""
        cells: dict[str, dict[int, Any]] = {}
        for position, step in enumerate(steps):
            for key, value in self._rows[step].items():
                if key in cells:
                    cells[key][position] = value
                else:
                    cells[key] = {position: value}
        cells.pop(STEP, None)
        for key, of_key in cells.items():
            self._counts.setdefault(key, Counter()).update(_kinds(of_key.values()))
        return cells


def _write_file(
    attempt: AttemptFile, steps: list[int], cells: Mapping[str, Mapping[int, Any]]
) -> None:
    try:
        _write_table(attempt, steps, cells)
    except (pa.ArrowException, OSError):
        # For some types of lists and dicts, pyarrow writes files that it cannot read.
        _write_table(attempt, steps, cells, nested_as_text=True)
    with attempt.path.open("rb") as file:
        os.fsync(file.fileno())


def _write_table(
    attempt: AttemptFile,
    steps: list[int],
    cells: Mapping[str, Mapping[int, Any]],
    *,
    nested_as_text: bool = False,
) -> None:
    columns = {STEP: pa.array(steps, pa.int64())}
    for key, of_key in cells.items():
        # JSON allows lone surrogates in names and Parquet does not: they are written as escapes.
        name = key.encode("utf-8", "backslashreplace").decode()
        columns[name] = column_of(key, of_key, len(steps), nested_as_text=nested_as_text)
    table = pa.table(columns)
    pq.write_table(
        table,
        attempt.path,
        row_group_size=ROW_GROUP_ROWS,
        compression="snappy",
        write_page_checksum=True,
    )
    with pq.ParquetFile(attempt.path) as parquet:
        if parquet.metadata.num_rows != table.num_rows or parquet.schema_arrow != table.schema:
            raise pa.ArrowInvalid("the file does not have the rows and types that were written")


def counts_of(exports: Iterable[StoredExport]) -> KeyCounts:
    """Count the values of each key by kind, from the Parquet statistics of the given exports."""
    counts: KeyCounts = {}
    for export in exports:
        facts = read_export_facts(export.path)
        for key, column in facts.columns.items():
            if key != STEP:
                n_values = facts.n_rows - (column.n_nulls or 0)
                counts.setdefault(key, Counter())[_kind_of(column.type)] += n_values
    return counts


def describe_keys(counts: KeyCounts, last_step: int) -> dict[str, Any] | None:
    """Return a run's keys in the form of a backend's ``historyKeys``; None without keys."""
    if not counts:
        return None
    keys = {
        key: {"typeCounts": [{"type": kind, "count": n} for kind, n in of_key.items()]}
        for key, of_key in counts.items()
    }
    return {"keys": keys, "lastStep": last_step, "sets": []}


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with dotted keys and without nulls; media and empty dicts remain values.

    Examples
    --------
    >>> flat({"val": {"loss": 1.0}, "img": {"_type": "image-file"}, "none": None, "no": {}})
    {'val.loss': 1.0, 'img': {'_type': 'image-file'}, 'no': {}}
    """
    return dict(row) if NO_LEAVES.isdisjoint(map(type, row.values())) else dict(_leaves("", row))


def _leaves(prefix: str, row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in row.items():
        if type(value) is dict and value and "_type" not in value:
            yield from _leaves(f"{prefix}{key}.", value)
        elif value is not None:
            yield prefix + key, value


def _kinds(values: Iterable[Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for kind, n in Counter(map(type, values)).items():
        if kind is dict:
            found.update(_kind(value) for value in values if type(value) is dict)
        else:
            found["list" if kind is list else KINDS.get(kind, "nil")] += n
    return found


def _kind(value: Mapping[str, Any]) -> str:
    named = value.get("_type")
    return named if isinstance(named, str) else "map"


def _kind_of(dtype: pa.DataType) -> str:
    if pa.types.is_string(dtype):
        return "string"
    if pa.types.is_list(dtype):
        return "list"
    is_number = pa.types.is_integer(dtype) or pa.types.is_floating(dtype)
    return "number" if is_number or pa.types.is_boolean(dtype) else "map"
