"""A request ends when its time or its answer's size is over."""

import sqlite3
import threading
from contextlib import closing

import pytest

from runlake.server.graphql.budget import Budget
from runlake.server.refused import Refused

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def test_an_answer_ends_at_its_size():
    budget = Budget(max_answer=10)
    budget.spend("12345")
    budget.spend(["123", None, "45"])
    budget.spend(17)
    with pytest.raises(Refused, match="the answer is too large"):
        budget.spend("1")


def test_a_request_ends_at_its_time():
    with pytest.raises(Refused, match="took more than 0 seconds"):
        Budget(seconds=0).spend(None)


def test_a_statement_without_end_is_interrupted():
    budget = Budget()
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.set_progress_handler(
            lambda: threading.Thread(target=budget.interrupt).start(), 1000
        )
        with budget.interrupting(connection), pytest.raises(sqlite3.OperationalError):
            connection.execute(ENDLESS)
        connection.set_progress_handler(None, 0)
        budget.interrupt()
        assert connection.execute("SELECT 1").fetchone() == (1,)
