"""``Run.history``: a sample that keeps the shape of each key."""

import math
import warnings

import pytest
from tests.http_logging import LoggedRun, steps

import runlake


@pytest.fixture(scope="module")
def logged(backend):
    """3,000 rows: a dip at one step, a key of five points, NaN and infinity, text; partly live."""
    rows = steps(0, 3000)
    for row in rows:
        row["flat"] = 1.0
        row["word"] = f"w{row['_step']}"
        if row["_step"] % 600 == 7:
            row["rare"] = row["_step"]
    rows[1234]["flat"] = -5.0
    rows[2000]["flat"] = math.nan
    rows[2001]["flat"] = math.inf
    return LoggedRun(backend, "sampled").log(*rows[:2500]).log(*rows[2500:]).close().path


@pytest.fixture
def run(api, logged):
    return api.run(logged)


def sample(run, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", runlake.SampleWarning)
        return run.history(pandas=False, **arguments)


def test_a_sample_has_the_extremes_and_the_ends_and_at_most_the_requested_rows(run):
    rows = sample(run, samples=50, keys=["flat"])
    assert len(rows) == 50
    assert [row["_step"] for row in rows] == sorted({row["_step"] for row in rows})
    assert (rows[0]["_step"], rows[-1]["_step"]) == (0, 2999)
    values = [row["flat"] for row in rows]
    assert -5.0 in values
    assert math.inf in values
    assert any(math.isnan(value) for value in values)
    assert all(row.keys() == {"_step", "flat"} for row in rows)


def test_a_long_history_is_sampled_in_parts_with_the_same_promises(run, api, monkeypatch):
    from runlake.history.sample import candidates

    at_once = sample(run, samples=20, keys=["flat"])
    monkeypatch.setattr(candidates, "CELLS_AT_ONCE", 0)
    monkeypatch.setattr(candidates, "CELLS_PER_PART", 0)
    rows = sample(run, samples=20, keys=["flat"])
    assert (rows[0], rows[-1]) == (at_once[0], at_once[-1])
    assert rows[0].keys() == {"_step", "flat"}
    assert len(rows) == 20
    assert {-5.0, math.inf} <= {row["flat"] for row in rows}
    with pytest.warns(runlake.SampleWarning, match=r"20 of 3,000 rows"):
        assert len(run.history(samples=20)) == 20
    runs = api.runs("/".join(run.path[:2]), {"name": run.id})
    with pytest.warns(runlake.SampleWarning):
        of_runs = runs.histories(samples=20, keys=["flat"], format="polars")
    assert of_runs["flat"].to_list() == pytest.approx([r["flat"] for r in rows], nan_ok=True)


def test_a_sparse_key_keeps_its_own_points(run):
    rows = sample(run, samples=60)
    assert [row["rare"] for row in rows if "rare" in row] == [7, 607, 1207, 1807, 2407]
    assert len(rows) == 60


def test_a_sample_is_the_same_at_every_call(run):
    assert repr(sample(run, samples=40)) == repr(sample(run, samples=40))


@pytest.mark.parametrize("samples", [1, 2, 3, 2999])
def test_any_number_of_rows_can_be_requested(run, samples):
    assert len(sample(run, samples=samples)) == samples


def test_a_sample_warns_once_and_a_whole_history_does_not(run):
    with pytest.warns(runlake.SampleWarning, match=r"500 of 3,000 rows; run\.frame") as told:
        run.history()
    assert len(told) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(run.history(samples=3000)) == 3000


def test_rows_of_keys_have_the_x_axis_and_no_step(run):
    rows = sample(run, samples=10, keys=["rare"], x_axis="loss")
    assert [list(row) for row in rows] == [["loss", "rare"]] * 5


def test_the_backend_samples_if_requested(run, backend):
    with backend.counted() as requests:
        rows = sample(run, samples=10, keys=["loss"], sample="server")
    assert [r["operation"] for r in requests] == ["RunSampledHistory"]
    assert len(rows) == 10
    assert len(sample(run, samples=10, sample="server")) == 10


def test_pandas_comes_out_unless_it_is_not_wanted(run):
    frame = run.history(samples=3000, keys=["loss"])
    assert list(frame.columns) == ["_step", "loss"]
    assert len(frame) == 3000


@pytest.mark.parametrize(
    "wrong",
    [
        {"samples": 0},
        {"samples": 1.5},
        {"keys": "loss"},
        {"keys": [1]},
        {"x_axis": 1},
        {"stream": "gpu"},
        {"sample": "best"},
        {"keys": ["loss"], "stream": "system"},
    ],
)
def test_a_wrong_argument_is_refused_before_any_request(run, backend, wrong):
    with backend.counted() as requests, pytest.raises(ValueError, match=r".+"):
        run.history(**wrong)
    assert requests == []
