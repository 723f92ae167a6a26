"""Every way to read the rows of many runs gives the rows of each run."""

import itertools
import json
import math
import warnings

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.http_logging import LoggedRun
from tests.server_process import running_server
from tests.thorough import n_examples

import runlake
from runlake.errors import MixedTypesWarning, NoRowsWarning

# Two strings of the mixed key look like numbers in JSON text.
numbers = st.sampled_from([0, 1, -3, 0.5, 1e300, math.nan, math.inf, -math.inf, 2**52 + 1])
KEYS = {
    "loss": numbers,
    "a/b": st.floats(-4, 4, width=16),
    "net.depth": st.integers(-2, 2),
    "quote\"d 'key' *": st.booleans(),
    "ключ": st.sampled_from(["x", "", "é"]),
    "mixed": st.one_of(numbers, st.booleans(), st.sampled_from(["text", "NaN?"])),
}
rows = st.lists(st.fixed_dictionaries({}, optional=KEYS).filter(bool), max_size=12)
# Exports are of 5 rows: a run that has not ended is exported in part, or not at all.
runs_of_a_project = st.lists(
    st.tuples(rows, st.integers(1, 3), st.booleans()), min_size=1, max_size=4
)
projects = itertools.count()


@pytest.fixture(scope="module")
def small_exports(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("small"), export_rows=5) as server:
        yield server


def logged(server, runs):
    """Log runs, each with its distance between steps; return the path of their project."""
    project = f"agree{next(projects)}"
    for number, (found, stride, is_finished) in enumerate(runs):
        run = LoggedRun(server, f"run{number}", project).configure(lr=number / 4)
        run.log(*({"_step": stride * at, **row} for at, row in enumerate(found)))
        run.finish() if is_finished else run.close()
    return f"{server.entity}/{project}"


def plain(cell):
    """Return a value that equals those of the same cell in columns of other types."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except ValueError:
            return cell
    return "NaN" if isinstance(cell, float) and math.isnan(cell) else cell


def cells_of(frame):
    """Return the rows without null cells, ordered by run and step."""
    found = [
        {key: plain(cell) for key, cell in row.items() if cell is not None}
        for row in frame.to_dicts()
    ]
    return sorted(found, key=lambda row: (row["run_id"], row["_step"]))


def cells_of_run(frame):
    return [
        {key: cell for key, cell in row.items() if key != "run_id"}
        for row in cells_of(frame.with_columns(pl.lit("").alias("run_id")))
    ]


def numbers_of(rows, run_id):
    return [row["loss"] for row in rows if row["run_id"] == run_id and row["loss"] != "NaN"]


@settings(max_examples=n_examples(6, 300), deadline=None)
@given(runs_of_a_project, st.sampled_from([None, ["loss"], ["mixed", "net.depth"]]))
def test_scan_sql_histories_and_a_loop_over_frames_give_the_same_rows(small_exports, drawn, keys):
    path = logged(small_exports, drawn)
    runs = runlake.Api({"base_url": small_exports.base_url}, api_key=small_exports.api_key).runs(
        path
    )
    with warnings.catch_warnings():
        for expected in (MixedTypesWarning, NoRowsWarning):
            warnings.simplefilter("ignore", expected)
        loop = [{"run_id": run.id, **row} for run in runs for row in cells_of_run(run.frame(keys))]
        assert cells_of(runs.scan(keys).collect()) == loop
        assert cells_of(runs.histories(samples=1_000, keys=keys, format="polars")) == loop
        if keys is None:
            assert cells_of(runs.sql("SELECT * FROM history").pl()) == loop
        elif keys == ["loss"]:
            means = runs.align(keys, by=["run_id"], stats=["mean"]).rename({"mean": "loss"})
            assert cells_of(means.select("run_id", "_step", "loss")) == loop
            # The second answer is from memory.
            for _ in range(2):
                for mode, best in (("min", min), ("max", max)):
                    found = dict(runs.best("loss", mode).select("run_id", "loss").iter_rows())
                    assert found == {
                        run.id: best(numbers_of(loop, run.id), default=None) for run in runs
                    }
