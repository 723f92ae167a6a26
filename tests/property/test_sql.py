"""SQL over exports gives the same rows as over a table in memory, whatever footers state."""

import math
import tempfile
import warnings
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.parquet_footers import misstated
from tests.property import sources
from tests.thorough import n_examples

from runlake.errors import NoRowsWarning
from runlake.history.sql.names import quoted
from runlake.history.sql.native import _unpruned
from runlake.values import Projection, StepRange

SCHEMA = pa.schema(
    {
        "_step": pa.int64(),
        "x": pa.float64(),
        "y": pa.float32(),
        "i": pa.int64(),
        "s": pa.string(),
        "b": pa.bool_(),
    }
)
FLOATS = [math.nan, math.inf, -math.inf, -0.0, 0.0, 1.0, 2.5, -3.0, 1e300]
CELLS = {
    "x": st.sampled_from([*FLOATS, math.nan]),
    "y": st.sampled_from([value for value in FLOATS if value != 1e300]),
    "i": st.integers(-3, 3),
    "s": st.sampled_from(["", "a", "ab", "z" * 70, "z" * 69 + "y", "é"]),
    "b": st.booleans(),
}
NUMBERS = ["x", "y", "i", "_step"]
CONSTANTS = ["'nan'::DOUBLE", "'inf'::DOUBLE", "'-inf'::DOUBLE", "-0.0", "0", "1", "2.5", "-3", "7"]
TEXTS = ["''", "'a'", "'ab'", f"'{'z' * 70}'", "'zz'", "'é'"]
number = st.sampled_from(NUMBERS)
constant = st.sampled_from(CONSTANTS)
comparison = st.sampled_from(["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM"])
atoms = st.one_of(
    st.tuples(number, comparison, constant).map(" ".join),
    st.tuples(st.just("s"), comparison, st.sampled_from(TEXTS)).map(" ".join),
    st.tuples(number, comparison, number).map(" ".join),
    st.tuples(st.sampled_from(["isnan", "isfinite", "isinf"]), st.sampled_from("xy")).map(
        lambda pair: f"{pair[0]}({pair[1]})"
    ),
    st.tuples(number, constant, constant).map(lambda t: f"{t[0]} BETWEEN {t[1]} AND {t[2]}"),
    st.tuples(number, st.lists(constant, min_size=1, max_size=4)).map(
        lambda pair: f"{pair[0]} IN ({', '.join(pair[1])})"
    ),
    st.tuples(number, constant).map(lambda t: f"greatest({t[0]}, 0) > {t[1]}"),
    st.sampled_from(["b", "s LIKE 'z%'", "x IS NULL", "i IS NOT NULL", "b IS NULL", "s IS NULL"]),
)
conditions = st.recursive(
    atoms,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(
            lambda t: f"({t[0]} {t[1]} {t[2]})"
        )
        | inner.map("NOT ({})".format)
    ),
    max_leaves=4,
)
# What bounds that leave NaN out answer wrongly.
ALWAYS = ["isnan(x)", "NOT (y <= 1e9)", "x > 1e9 OR i = 1", "x <> 1"]
AGGREGATES = [
    *(f"{name}({key})" for name in ("min", "max", "count") for key in SCHEMA.names),
    "count(*)",
    "count(*) FILTER (WHERE isnan(x))",
    "bool_or(x > 1e300)",
]
ORDERED = [f"{key}{order}" for key in SCHEMA.names for order in ("", " DESC", " NULLS FIRST")]


@st.composite
def tables(draw, *, nulls=True):
    n_rows = draw(st.integers(3, 12))
    first = draw(st.sampled_from([0, 5, 20]))
    cells = {
        key: draw(
            st.lists(one | one | st.none() if nulls else one, min_size=n_rows, max_size=n_rows)
        )
        for key, one in CELLS.items()
    }
    return pa.table({"_step": range(first, first + n_rows), **cells}, schema=SCHEMA)


def question(conditions, orders):
    """Return one query with all conditions, because planning each over all files takes long."""
    cells = [f"SELECT list(_step ORDER BY _step) FROM history WHERE {c}" for c in conditions]
    cells.append(f"SELECT count(*) FROM history WHERE {conditions[0]}")
    cells.append(
        f"SELECT [{', '.join(f'CAST({one} AS VARCHAR)' for one in AGGREGATES)}] FROM history"
    )
    cells += [
        f"SELECT list(key) FROM (SELECT {by.split()[0]} AS key FROM history ORDER BY {by} LIMIT 3)"
        for by in orders
    ]
    values = "(VALUES ('nan'::DOUBLE), (1.0), ('inf')) AS v(n)"
    cells.append(f"SELECT list(_step ORDER BY _step) FROM history h JOIN {values} ON h.x = v.n")
    best = "(SELECT max(x) FROM history)"
    cells.append(f"SELECT list(_step ORDER BY _step) FROM history WHERE x = {best}")
    return f"SELECT {', '.join(f'({cell})' for cell in cells)}"


def answers(relation):
    return list(map(comparable, relation.fetchall()[0]))


def comparable(cell):
    """Return a form of a cell in which NaN equals NaN, and -0.0 equals 0.0."""
    if isinstance(cell, list):
        return list(map(comparable, cell))
    return str(cell + 0.0 if isinstance(cell, float) else cell).replace("-0.0", "0.0")


def sql_agrees(directory, files, live, query, expected):
    run = sources.as_sources(directory, files, live)
    reading = run.read(Projection(tuple(SCHEMA.names[1:]), "any"), StepRange())
    memory = duckdb.connect()
    memory.register("expected", expected)
    memory.execute("CREATE TABLE history AS SELECT * FROM expected")
    assert answers(reading.sql(query)) == answers(memory.sql(query))


def merged(tables, live):
    rows: dict[int, dict[str, object]] = {}
    for table in tables:
        for row in table.to_pylist():
            kept = {key: cell for key, cell in row.items() if cell is not None}
            rows.setdefault(row["_step"], {}).update(kept)
    for step, row in live.items():
        rows.setdefault(step, {}).update({"_step": step, **row})
    return pa.Table.from_pylist([rows[step] for step in sorted(rows)], schema=SCHEMA)


WITH_NAN = pa.table(
    {
        "_step": range(6),
        "x": [1.0, math.nan, 2.0, math.inf, 0.0, -0.0],
        "y": [1.0, 2.0, math.nan, math.nan, None, None],
        "i": range(6),
        "s": ["a", None, "z" * 70, "z" * 70, "", "é"],
        "b": [True, None, False, False, True, True],
    },
    schema=SCHEMA,
)
live_rows = st.dictionaries(st.integers(10, 40), st.fixed_dictionaries(CELLS), max_size=1)
questions = st.builds(
    question,
    st.lists(conditions, min_size=1, max_size=4).map(lambda some: [*ALWAYS, *some]),
    st.lists(st.sampled_from(ORDERED), min_size=1, max_size=2),
)


# An example is many queries.
N_EXAMPLES = n_examples(8, 200)


@settings(deadline=None, max_examples=N_EXAMPLES)
@example([WITH_NAN], {}, question(ALWAYS, ["x DESC"]), 2)
@given(st.lists(tables(), min_size=1, max_size=2), live_rows, questions, st.integers(1, 5))
def test_every_sql_condition_gives_the_same_rows_as_in_memory(written, live, query, row_group_size):
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore", NoRowsWarning)
        files = [Path(name, f"{number}.parquet") for number in range(len(written))]
        for file, table in zip(files, written, strict=True):
            pq.write_table(table, file, row_group_size=row_group_size)
        sql_agrees(Path(name), files, live, query, merged(written, live))


def other_cells(draw, table):
    """Draw cells that take the same number of bytes as those of the table."""
    cells = {key: draw(st.permutations(table[key].to_pylist())) for key in ("x", "y", "i")}
    texts = ["q" * len(text.encode()) for text in table["s"].to_pylist()]
    low = draw(st.integers(0, 50))
    steps = range(low, low + table.num_rows)
    shifted = {
        key: [cells[key][0]] * table.num_rows for key in draw(st.sets(st.sampled_from("xyi")))
    }
    return pa.table(
        {"_step": steps, **cells, **shifted, "s": texts, "b": table["b"]}, schema=SCHEMA
    )


@st.composite
def misstated_tables(draw):
    table = draw(tables(nulls=False))
    stated = other_cells(draw, table)
    if draw(st.booleans()):
        stated = stated.set_column(0, "_step", table["_step"])
    order = draw(st.sampled_from([None, False, True]))
    sorting = None if order is None else [pq.SortingColumn(0, descending=order)]
    content = misstated(table, stated, draw(st.integers(2, 5)), sorting_columns=sorting)
    assume(content is not None)
    return table, content


@settings(deadline=None, max_examples=N_EXAMPLES)
@given(misstated_tables(), questions)
def test_a_footer_that_states_other_cells_changes_no_answer(written, query):
    table, content = written
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "0.parquet")
        file.write_bytes(content)
        sql_agrees(Path(name), [file], {}, query, table)
        reading = sources.as_sources(Path(name), [file]).read(Projection(), StepRange())
        rows = [{k: v for k, v in row.items() if v is not None} for row in table.to_pylist()]
        frame = reading.scan().filter(pl.col("x") <= 1, pl.col("_step") >= 0).collect()
        assert frame["_step"].to_list() == [r["_step"] for r in rows if r["x"] <= 1]
        assert [str(row) for row in reading.iter_rows(3)] == [str(row) for row in rows]
        assert str(reading.frame().to_dicts()) == str(rows)
        assert str(reading.arrow().read_all().to_pylist()) == str(rows)
        assert reading.last(2).frame()["_step"].to_list() == [r["_step"] for r in rows[-2:]]


def test_cells_of_every_type_pass_the_expression_that_hides_their_statistics():
    memory = duckdb.connect()
    every = memory.sql("FROM test_all_types()")
    assert len(every.columns) > 50
    seen = every.project(
        ", ".join(f"{_unpruned(name)} AS {quoted(name)}" for name in every.columns)
    )
    assert (seen.columns, seen.types) == (every.columns, every.types)
    assert every.except_(seen).fetchall() == []
    memory.execute("CREATE TABLE stored AS SELECT i::DOUBLE AS x FROM range(10) t(i)")
    known = memory.execute(f"SELECT stats(x), stats({_unpruned('x')}) FROM stored").fetchall()[0]
    assert "max" in known[0]
    assert "max" not in known[1]
