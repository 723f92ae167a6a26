"""Empty dicts are values, in live rows and in exports."""

import pytest
from tests.http_logging import LoggedRun, steps

pytestmark = pytest.mark.filterwarnings("ignore::runlake.errors.MixedTypesWarning")
ROWS = [
    {"_step": 0, "a": {}, "b": {"c": {}}, "l": [{}], "m": 1, "n": {}, "t": {"x": {}, "y": 1}},
    {"_step": 1, "a": {}, "l": [{}, {"k": 1}], "m": {}, "n": {"k": 1}},
    {"_step": 2, "a": {}, "l": [], "m": "s", "n": {"_type": "histogram", "values": [1]}},
    {"_step": 3, "loss": 1.0, "b": {"c": None}},
]
EXPECTED = [
    {"_step": 0, "a": {}, "b.c": {}, "l": [{}], "m": 1, "n": {}, "t.x": {}, "t.y": 1},
    {"_step": 1, "a": {}, "l": [{}, {"k": 1}], "m": {}, "n.k": 1},
    {"_step": 2, "a": {}, "l": [], "m": "s", "n": {"_type": "histogram", "values": [1]}},
    {"_step": 3, "loss": 1.0},
]


@pytest.fixture(scope="module")
def paths(backend):
    """The same rows, all live, all in an export, and one more beyond 1,000 exported ones."""
    live = LoggedRun(backend, "live", "empty-values").log(*ROWS).close()
    exported = LoggedRun(backend, "exported", "empty-values").log(*ROWS).finish()
    partly = LoggedRun(backend, "partly", "empty-values").log(*ROWS, *steps(4, 1000))
    partly.log({"_step": 1000, "a": {}}).close()
    return {"live": live.path, "exported": exported.path, "partly": partly.path}


@pytest.mark.parametrize("where", ["live", "exported", "partly"])
def test_an_empty_dict_is_a_value_in_every_output(api, paths, where):
    run = api.run(paths[where])
    rows = list(run.scan_history(max_step=4))
    assert rows == EXPECTED
    assert list(run.scan_history(max_step=4)) == rows
    more = [{"_step": 1000, "a": {}}] if where == "partly" else []
    with_a = [{"_step": step, "a": {}} for step in range(3)] + more
    assert list(run.scan_history(keys=["a"])) == with_a
    assert list(run.scan_history(keys=["t.x"])) == [{"_step": 0, "t.x": {}}]
    assert [row["m"] for row in run.scan_history(keys=["m"])] == [1, {}, "s"]
    assert run.frame(["a"])["a"].to_list() == ["{}"] * len(with_a)
    assert run.scan(["b.c"]).collect().to_dicts() == [{"_step": 0, "b.c": "{}"}]
    assert run.arrow(["a"]).read_all()["a"].to_pylist() == ["{}"] * len(with_a)
    counted = run.sql("SELECT count(a), count(m), count(l) FROM history").fetchall()
    assert counted == [(len(with_a), 3, 3)]
    assert run.history(keys=["a"], pandas=False) == with_a
    counts = dict(run.keys().select("key", "count").rows())
    assert (counts["a"], counts["b.c"], counts["m"]) == (len(with_a), 1, 3)


def test_frames_of_live_and_exported_rows_have_the_same_columns(api, paths):
    live, exported = (api.run(paths[name]).frame() for name in ("live", "exported"))
    assert live.schema == exported.schema
    assert live.to_dicts() == exported.to_dicts()
