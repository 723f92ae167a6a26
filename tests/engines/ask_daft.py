"""Asked in an environment with Daft; prints JSON."""

import json
import sys

import daft
from pyiceberg.table import StaticTable

given = json.loads(sys.stdin.read())
tables = {
    name: daft.read_iceberg(StaticTable.from_metadata(metadata))
    for name, metadata in given["tables"].items()
}
answers = {}
for name, query in given["queries"].items():
    columns = daft.sql(query, **tables).to_pydict()
    answers[name] = list(zip(*columns.values(), strict=True))
sys.stdout.write(json.dumps(answers))
