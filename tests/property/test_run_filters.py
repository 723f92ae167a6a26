"""The SQL of a filter matches the same runs as a simple evaluation of the filter in Python."""

import json
import math
import operator
import re
import tempfile
from functools import partial
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runlake.server.runs import asked_indexes
from runlake.server.runs.lists import count_runs, list_runs
from runlake.server.store.database import Database

KEYS = ["a", "b", "a", "b", "a.b", "b.a", "value"]
ODD_KEYS = ["it's", 'q"q', "é", "", "p%q"]
MISSING = object()
ORDERED = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 2),
    st.integers(-1, 2),
    st.sampled_from([0.5, 1.0, math.nan, math.inf, -math.inf, 1e300, 2**70, -(2**63)]),
    st.sampled_from(["", "a", "ab", "1", "é", "it's", "\0", "x\ny", "NaN"]),
)
keys = st.sampled_from(KEYS * 3 + ODD_KEYS)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=4,
)
documents = st.dictionaries(keys, scalars | scalars | values, min_size=1, max_size=4)
runs = st.fixed_dictionaries(
    {
        "config": documents,
        "summary": documents,
        "state": st.sampled_from(["running", "finished"]),
        "tags": st.lists(st.sampled_from(["a", "ab", "é"]), max_size=2, unique=True),
    }
)


def run_of(value):
    return {"config": {"a": value}, "summary": {"a": None}, "state": "running", "tags": []}


@st.composite
def logged_and_filters(draw):
    """Draw runs, and a filter whose values are, or nearly are, in the runs."""
    logged = draw(st.lists(runs, min_size=2, max_size=4))
    known = [("state", run["state"]) for run in logged]
    known += [("tags", tag) for run in logged for tag in run["tags"]]
    for run in logged:
        for section, document in (("config", "config"), ("summary_metrics", "summary")):
            known += [
                (f"{section}.{path}{suffix}", value)
                for path, value in walked(run[document])
                for suffix in ("", ".value")[: 1 + (section == "config")]
            ]
    fields = st.sampled_from([field for field, _ in known] + ["config.none", "config.a.b.a"])
    operands = st.sampled_from([value for _, value in known]) | scalars
    comparisons = st.one_of(
        st.tuples(st.sampled_from(["$eq", "$ne", "$gt", "$gte", "$lt", "$lte"]), operands),
        st.tuples(st.sampled_from(["$in", "$nin", "$all"]), st.lists(operands, max_size=3)),
        st.tuples(st.just("$exists"), st.booleans()),
        st.tuples(st.just("$regex"), st.sampled_from(["^a", "b$", "a|1", "", "."])),
    )
    one = st.tuples(fields, comparisons).map(lambda pair: {pair[0]: dict([pair[1]])})
    pairs = st.tuples(fields, comparisons, comparisons).map(
        lambda parts: {parts[0]: {"$not": dict(parts[1:])}}
    )
    equal = st.sampled_from(known).map(lambda pair: {pair[0]: pair[1]})
    leaves = one | pairs | equal
    groups = st.recursive(
        leaves,
        lambda inner: st.tuples(
            st.sampled_from(["$and", "$or", "$nor"]), st.lists(inner, max_size=3)
        ).map(lambda pair: {pair[0]: pair[1]}),
        max_leaves=4,
    )
    return logged, draw(leaves | groups)


def walked(document):
    for key, value in document.items():
        yield key, value
        if isinstance(value, dict):
            for path, inner in walked(value):
                yield f"{key}.{path}", inner


@pytest.fixture(scope="module")
def database():
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        # Every list makes the indexes that lists of large projects make.
        patch.setattr(asked_indexes, "MIN_RUNS", 1)
        patch.setattr(asked_indexes, "IDLE_SECONDS", 0.0)
        database = Database(Path(name) / "runs.sqlite")
        database.connection().execute("PRAGMA synchronous = OFF")
        with database.transaction() as connection:
            connection.execute("INSERT INTO projects (id, entity, name) VALUES (1, 'me', 'p')")
        yield database


@settings(deadline=None)
@given(case=logged_and_filters())
def test_sql_keeps_the_runs_that_the_filter_language_keeps(database, case):
    logged, wanted = case
    store(database, logged)
    expected = [i for i, run in enumerate(logged) if keeps(run, wanted)]
    text = json.dumps(wanted)
    page = list_runs(database, 1, filters=text, order=None, first=50, after=None)
    assert [int(row["name"]) for row in page.rows] == expected
    assert count_runs(database, 1, text) == len(expected)


@settings(deadline=None)
@given(
    logged=st.lists(runs, max_size=6),
    key=st.sampled_from(["config.a", "summary_metrics.a.b", "state", "created_at", "name"]),
    sign=st.sampled_from("+-"),
    per_page=st.integers(1, 3),
)
# A page that ends at the lowest integer of SQLite.
@example(logged=[run_of(0), run_of(-(2**63)), run_of(1)], key="config.a", sign="+", per_page=1)
def test_pages_are_the_whole_list_in_order(database, logged, key, sign, per_page):
    store(database, logged)

    def page(first, after):
        return list_runs(database, 1, filters=None, order=sign + key, first=first, after=after)

    whole = [row["name"] for row in page(100, None).rows]
    found, after = [], None
    while True:
        part = page(per_page, after)
        found += [row["name"] for row in part.rows]
        if not part.has_next:
            break
        after = part.cursors[-1]
    assert found == whole
    assert sorted(whole) == [str(i) for i in range(len(logged))]


def store(database, logged):
    with database.transaction() as connection:
        connection.execute("DELETE FROM runs")
        for index, run in enumerate(logged):
            wrapped = {key: {"value": value} for key, value in run["config"].items()}
            connection.execute(
                "INSERT INTO runs (project_id, name, state, config, summary, tags, created_at, "
                "heartbeat_at) VALUES (1, ?, ?, ?, ?, ?, ?, 0)",
                (
                    str(index),
                    run["state"],
                    json.dumps(wrapped),
                    json.dumps(run["summary"]),
                    json.dumps(run["tags"]),
                    float(index),
                ),
            )


def keeps(run, wanted):
    return all(_keeps_entry(run, key, value) for key, value in wanted.items())


def _keeps_entry(run, key, value):
    if key in {"$and", "$or", "$nor"}:
        kept = [keeps(run, part) for part in value]
        return {"$and": all(kept), "$or": any(kept), "$nor": not any(kept)}[key]
    if key == "tags":
        return _fits_tags(run["tags"], value)
    found = run["state"] if key == "state" else _found(run, key)
    return _fits(found, value)


def _found(run, key):
    section, _, path = key.partition(".")
    document = run["config" if section == "config" else "summary"]
    for alternative in _alternatives(path):
        found = _resolved(document, alternative.split("."))
        if found is not MISSING:
            return found
    return MISSING


def _alternatives(path):
    parts = path.split(".")
    yield path
    for at in range(1, len(parts)):
        if parts[at] == "value":
            yield ".".join(parts[:at] + parts[at + 1 :])


def _resolved(value, parts):
    """Follow a dotted path; longer keys are tried first."""
    if not parts:
        return value
    if isinstance(value, dict):
        for length in range(len(parts), 0, -1):
            key = ".".join(parts[:length])
            if key in value:
                found = _resolved(value[key], parts[length:])
                if found is not MISSING:
                    return found
    return MISSING


def _is_operators(wanted):
    return isinstance(wanted, dict) and any(key.startswith("$") for key in wanted)


def _fits(found, wanted):
    if not _is_operators(wanted):
        return _equal(found, wanted)
    return all(_fits_operator(found, name, operand) for name, operand in wanted.items())


def _fits_operator(found, name, operand):
    if name == "$not":
        return not _fits(found, operand)
    if name == "$exists":
        return (found is not MISSING) == operand
    if name in {"$eq", "$ne"}:
        return _equal(found, operand) == (name == "$eq")
    if name in {"$in", "$nin", "$all"}:
        return _fits_list(operand, name, partial(_equal, found), partial(_is_or_holds, found))
    if name == "$regex":
        return isinstance(found, str) and re.search(operand, found) is not None
    return _compared(found, name, operand)


def _fits_list(operands, name, is_one, has_one):
    if name == "$all":
        return operands != [] and all(map(has_one, operands))
    return any(map(is_one, operands)) == (name == "$in")


def _is_or_holds(found, wanted):
    is_one = isinstance(found, list) and wanted is not None and not isinstance(wanted, list | dict)
    return _equal(found, wanted) or (is_one and any(_equal(one, wanted) for one in found))


def _compared(found, name, operand):
    if operand is None:
        return _equal(found, None) and name.endswith("e")
    alike = [kind for kind in (bool, str) if isinstance(found, kind) and isinstance(operand, kind)]
    numbers = all(_is_number(value) for value in (found, operand))
    return (bool(alike) or numbers) and ORDERED[name](found, operand)


def _fits_tags(tags, wanted):
    if not _is_operators(wanted):
        return _tags_equal(tags, wanted)
    return all(_fits_tags_operator(tags, name, operand) for name, operand in wanted.items())


def _fits_tags_operator(tags, name, operand):
    if name == "$not":
        return not _fits_tags(tags, operand)
    if name == "$exists":
        return bool(tags) == operand
    if name in {"$eq", "$ne"}:
        return _tags_equal(tags, operand) == (name == "$eq")
    if name in {"$in", "$nin", "$all"}:
        return _fits_list(operand, name, partial(_tags_equal, tags), partial(_tags_equal, tags))
    if name in ORDERED and operand is None:
        return not tags and name.endswith("e")
    return any(_fits_operator(tag, name, operand) for tag in tags)


def _tags_equal(tags, wanted):
    if wanted is None:
        return not tags
    if isinstance(wanted, list):
        return _equal(tags, wanted)
    return any(_equal(tag, wanted) for tag in tags)


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _equal(found, wanted):
    """Compare as the filter language does: types must agree; NaN is null and equals no value."""
    if found is MISSING or _is_null(found):
        return wanted is None
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_equal_inside, found, wanted))
    if isinstance(found, dict) and isinstance(wanted, dict):
        return found.keys() == wanted.keys() and all(
            _equal_inside(found[key], wanted[key]) for key in found
        )
    if _is_number(found) and _is_number(wanted):
        return float(found) == float(wanted)
    return type(found) is type(wanted) and found == wanted


def _equal_inside(found, wanted):
    return _equal(found, None if _is_null(wanted) else wanted)


def _is_null(value):
    return value is None or (isinstance(value, float) and math.isnan(value))
