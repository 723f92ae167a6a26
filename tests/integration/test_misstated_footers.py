"""A footer may state wrong facts: no answer is wrong because of it."""

import io
import math

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.parquet_footers import misstated, restated
from typer.testing import CliRunner

import runlake
from runlake import Best
from runlake.cli.main import app

N_ROWS = 61


def table(steps=range(N_ROWS), low=0.0, **columns):
    texts = [f"k{int(low) + n:04}" for n in range(N_ROWS)]
    loss = [low + n for n in range(N_ROWS)]
    return pa.table({"_step": steps, "loss": loss, "text": texts, **columns})


TRUE = table()
SHUFFLED = [(n * 17) % N_ROWS for n in range(N_ROWS)]


@pytest.fixture(scope="module")
def server():
    with FaultServer() as served:
        yield served


@pytest.fixture
def offer(server):
    """Offer one export, and return its run."""

    def offered(content, name="a"):
        server.offer(**{name: content})
        return runlake.Api({"base_url": server.base_url}, api_key=API_KEY).run(RUN_PATH)

    return offered


def written(columns, **options):
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def of_same_places(rows, stated, row_group_size):
    content = misstated(rows, stated, row_group_size)
    assert content is not None
    return content


def answers_are_those_of(run, rows):
    expected = sorted(rows.to_pylist(), key=lambda row: row["_step"])
    assert list(run.scan_history()) == expected
    assert list(run.scan_history(min_step=7, max_step=31)) == expected[7:31]
    assert run.frame().to_dicts() == expected
    assert run.frame(min_step=7, max_step=31).to_dicts() == expected[7:31]
    assert run.frame(tail=3).to_dicts() == expected[-3:]
    assert run.arrow().read_all().to_pylist() == expected
    asked = "SELECT * FROM history WHERE {} ORDER BY _step"
    for condition in ("loss <= 9", "text <= 'k0009'", "_step < 10", "loss IN (3, 4, 9)"):
        found = run.sql(asked.format(condition)).pl().to_dicts()
        wanted = [3, 4, 9] if "IN" in condition else range(10)
        assert found == [expected[n] for n in wanted], condition
    assert run.sql(
        "SELECT count(*), count(loss), min(loss), max(_step) FROM history"
    ).fetchall() == [(N_ROWS, N_ROWS, 0.0, N_ROWS - 1)]
    below = run.scan(["loss"]).filter(pl.col("loss") <= 9, pl.col("_step") >= 0).collect()
    assert below["_step"].to_list() == list(range(10))
    assert run.best("loss") == Best(0.0, expected[0]["_step"])
    assert run.best("loss", "max") == Best(60.0, expected[-1]["_step"])
    assert len(run.history(samples=N_ROWS, pandas=False)) == N_ROWS
    assert "61 rows" in str(run.explain())


@pytest.mark.parametrize("low", [-500.0, 500.0])
def test_bounds_that_are_not_those_of_the_cells_hide_no_row(offer, low):
    answers_are_those_of(offer(misstated(TRUE, table(low=low if low > 0 else 100.0), 20)), TRUE)


def test_bounds_that_are_not_those_of_the_steps_hide_no_row(offer):
    stated = table(range(1000, 1000 + N_ROWS))
    answers_are_those_of(offer(misstated(TRUE, stated, 20)), TRUE)


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("steps", [range(N_ROWS), SHUFFLED], ids=["ascending", "shuffled"])
def test_an_order_that_the_rows_do_not_have_moves_no_row(offer, steps, descending):
    rows = table(steps, 0.0).sort_by([("loss", "ascending")])
    rows = rows.set_column(1, "loss", pa.array([float(step) for step in steps]))
    rows = rows.set_column(2, "text", pa.array([f"k{step:04}" for step in steps]))
    order = [pq.SortingColumn(0, descending=descending)]
    answers_are_those_of(offer(misstated(rows, rows, 20, sorting_columns=order)), rows)


def test_an_order_of_a_key_that_it_does_not_have_moves_no_row(offer):
    loss = [math.sin(n) for n in range(N_ROWS)]
    content = written({"loss": loss, "_step": range(N_ROWS)}, sorting_columns=[pq.SortingColumn(0)])
    run = offer(content)
    assert run.best("loss", "max") == Best(max(loss), loss.index(max(loss)))
    assert run.frame(["loss"])["loss"].sort().to_list() == sorted(loss)
    assert run.sql("SELECT max(loss) FROM history").fetchall() == [(max(loss),)]


# Of a row group the counts of its three column chunks come first.
@pytest.mark.parametrize(
    ("number", "other", "place"), [(61, 60, 0), (61, 21, 0), (61, 63, 0), (30, 33, 3)]
)
def test_a_row_count_that_is_not_that_of_the_rows_loses_none(offer, number, other, place):
    answers_are_those_of(
        offer(restated(of_same_places(TRUE, TRUE, 31), number, other, place=place)), TRUE
    )


def test_rows_that_a_row_group_conceals_are_an_error(offer):
    run = offer(restated(of_same_places(TRUE, TRUE, 31), 30, 20, place=3))
    with pytest.raises(runlake.errors.ExportCorrupt, match="Export 'a' of"):
        list(run.scan_history())


@pytest.fixture
def with_nan(offer):
    cells = [float(n) for n in range(12)]
    cells[1] = cells[7] = math.nan
    return offer(written({"_step": range(12), "loss": cells}, row_group_size=3))


def test_sql_finds_nan_in_exports(with_nan):
    def steps(condition):
        query = f"SELECT _step FROM history WHERE {condition} ORDER BY 1"
        return [step for (step,) in with_nan.sql(query).fetchall()]

    assert steps("isnan(loss)") == [1, 7]
    assert steps("NOT isfinite(loss)") == [1, 7]
    assert steps("loss > 10") == [1, 7, 11]
    assert steps("loss >= 'nan'") == [1, 7]
    assert steps("NOT (loss <= 10) AND _step < 11") == [1, 7]
    assert with_nan.sql("SELECT loss FROM history ORDER BY loss DESC LIMIT 3").fetchall()[2] == (
        11.0,
    )


@pytest.mark.usefixtures("with_nan")
def test_the_command_finds_nan_in_exports(server, monkeypatch):
    monkeypatch.setenv("WANDB_BASE_URL", server.base_url)
    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    query = "SELECT _step FROM history WHERE isnan(loss) ORDER BY 1"
    printed = CliRunner().invoke(app, ["query", RUN_PATH, query, "--format", "csv"])
    assert printed.output.split() == ["_step", "1", "7"]


def test_counts_and_bounds_that_cannot_be_are_not_reported(offer):
    loss = [None if n % 2 else float(n) for n in range(N_ROWS)]
    content = of_same_places(table(loss=loss), table(loss=loss), N_ROWS)
    run = offer(restated(content, 30, 62))
    (row,) = run.keys("loss").rows(named=True)
    assert row["count"] in (None, 31)
    assert run.frame(["loss"]).height == 31


def test_row_groups_that_the_bounds_of_steps_hide_are_fetched_too(offer, server):
    n_keys, n_rows = 120, 4000
    rng = np.random.default_rng(1)
    cells = {f"key{n:03}": rng.random(n_rows) for n in range(n_keys)}
    rows = pa.table({"_step": range(n_rows), **cells})
    stated = pa.table({"_step": range(10_000, 10_000 + n_rows), **cells})
    run = offer(misstated(rows, stated, 1000))
    wanted = rows.select(["_step", "key007"])[1200:1300].to_pylist()
    assert list(run.scan_history(["key007"], min_step=1200, max_step=1300)) == wanted
    assert server.n_bytes("a") < 1_000_000
    assert run.frame(["key007"]).to_dicts() == rows.select(["_step", "key007"]).to_pylist()
