"""The table of keys."""

import polars as pl

from runlake.history.frames.key_table import SCHEMA, key_table
from runlake.history.plan.key_facts import KeyFacts


def test_keys_are_in_alphabetical_order_with_null_for_what_is_unknown():
    table = key_table(
        [
            KeyFacts("loss", "number", 10, 0, 9, 0.5, 2.0),
            KeyFacts("a\ud800", "mixed", None, None, None, None, None),
        ]
    )
    assert table.schema == SCHEMA
    assert table.rows() == [
        ("a\\ud800", "mixed", None, None, None, None, None),
        ("loss", "number", 10, 0, 9, 0.5, 2.0),
    ]


def test_a_run_without_keys_has_an_empty_table_of_the_same_columns():
    assert key_table([]).schema == SCHEMA
    assert isinstance(key_table([]), pl.DataFrame)
