"""Define the columns of the packed tables."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from runlake.lake.packed.place import DOCUMENTS, FLOATS, INTEGERS, METRICS, RUNS, STATS, TEXTS

ARROW = {
    "string": pa.large_string(),
    "int": pa.int32(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
}
# Iceberg's field id of a column is the column's position in its table, from 1.
KEY_ID, RUN_ID_FIELD = 1, 2


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a packed table: the column's name, and Iceberg's name of its type."""

    name: str
    kind: str


def _columns(text: str) -> tuple[TableColumn, ...]:
    return tuple(TableColumn(*word.split(":")) for word in text.split())


_AXIS = "key:string run:int step:long "
# The catalog's columns of a run, as they were when the run was packed.
FIELDS = _columns(
    "backend:string entity:string project:string run_id:string name:string "
    "state:string created_at:string heartbeat_at:string grp:string job_type:string user:string "
    "sweep:string notes:string tags:string history_line_count:long last_step:long "
    "n_live_rows:long offered_at:double pulled_at:double created_us:long heartbeat_us:long "
    "config:string summary:string attrs:string exact:string"
)
SCHEMAS = {
    FLOATS: _columns(_AXIS + "value:double"),
    INTEGERS: _columns(_AXIS + "value:long"),
    TEXTS: _columns(_AXIS + "value:string"),
    DOCUMENTS: _columns(_AXIS + "value:string"),
    # `n` counts values, `nan` those of them that are NaN; minimum and maximum leave NaN out.
    # `kind`, `first_step`, `last_step`, `count` and `is_known` are what the exports' statistics
    # say, and `place` is the key's position among those of its run.
    STATS: _columns(
        "key:string run:int type:string kind:string place:int n:long nan:long min:double "
        "min_step:long max:double max_step:long last:double at_step:long first_step:long "
        "last_step:long count:long is_known:boolean"
    ),
    # `run` is column 2 in all tables.
    RUNS: (
        TableColumn("directory", "string"),
        TableColumn("run", "int"),
        TableColumn("source", "string"),
        TableColumn("n_rows", "long"),
        *FIELDS,
    ),
}


def arrow_schema(table: str, *, has_dictionary: bool = False) -> pa.Schema:
    """Return the Arrow schema of a table's files, with Iceberg's field ids.

    Parameters
    ----------
    table : str
        The table.
    has_dictionary : bool
        Whether keys are dictionary-encoded in memory. In the file they are strings in any case.
    """
    # The schema of a file without nulls says so, and readers need not decode where nulls are. For
    # Iceberg the columns are optional in any case.
    is_nullable = table not in METRICS
    fields = [
        pa.field(column.name, ARROW[column.kind], is_nullable, {"PARQUET:field_id": str(number)})
        for number, column in enumerate(SCHEMAS[table], 1)
    ]
    if has_dictionary:
        fields[0] = fields[0].with_type(pa.dictionary(pa.int32(), pa.string()))
    return pa.schema(fields)
