"""Connections to DuckDB print nothing themselves."""

import subprocess
import sys

CODE = """
import duckdb
from runlake.history.sql.instance import MANY_COLUMNS, open_connection

setting = "SELECT current_setting('enable_progress_bar')"
print(duckdb.connect().sql(setting).fetchall()[0][0])
for n_columns, is_alone in [(1, False), (1, True), (MANY_COLUMNS + 1, False)]:
    print(open_connection(n_columns, is_alone=is_alone).sql(setting).fetchall()[0][0])
"""


def test_no_connection_has_a_progress_bar_where_duckdb_would_show_one():
    # DuckDB takes a program without a file, as in a notebook, for an interactive one.
    command = [sys.executable, "-c", CODE]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    assert printed == ["True", "False", "False", "False"]
