"""Values derived from columns are computed once, and stay in their process."""

import copy
import pickle
import threading

import pyarrow as pa
import pytest

from runlake.exports.footers.known_columns import ColumnFacts, KnownColumns
from runlake.history.plan.key_columns import KeyColumns, key_columns

COLUMNS = {"_step": ColumnFacts.of(pa.int64()), "loss": ColumnFacts.of(pa.float64(), 3, 0.5, 2.0)}


@pytest.fixture
def columns():
    return KnownColumns(COLUMNS, b"footer")


def test_a_function_is_called_once_per_arguments(columns):
    calls = []

    def note(_, *arguments):
        calls.append(arguments)
        return object()

    first = columns.once(note, 1)
    assert columns.once(note, 1) is first
    assert columns.once(note, 2) is not first
    assert KnownColumns(COLUMNS).once(note, 1) is not first
    assert calls == [(1,), (2,), (1,)]


def test_threads_are_given_the_same_object(columns):
    gate = threading.Barrier(8)

    def make(_):
        gate.wait()
        return object()

    found = []
    threads = [threading.Thread(target=lambda: found.append(columns.once(make))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1


def test_a_function_that_fails_is_called_again(columns):
    def fail(_):
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            columns.once(fail)
    assert columns.once(len) == 2


@pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_derived_values_are_not_pickled(columns, again):
    held = key_columns(columns, ("loss",))
    # A lock can be neither pickled nor copied.
    columns.once(lambda _: threading.Lock())
    held.once(lambda _: threading.Lock())
    carried, carried_held = again((columns, held))
    assert carried == columns
    assert carried.footer == b"footer"
    assert carried_held == held
    assert type(carried_held) is KeyColumns
