"""Random forks and random sets of stitched runs, read by every output, against a simple model."""

from itertools import count

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.http_logging import LoggedRun, branch_point
from tests.thorough import n_examples

import runlake

NUMBERS = count()
STEPS = st.lists(st.integers(0, 9), max_size=6, unique=True).map(sorted)
KEYS = st.sets(st.sampled_from(["a", "b"]), min_size=1)
# Parent, branch point, steps after it, keys of the rows, and whether all rows are exported.
RUNS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-1, 12), STEPS, KEYS, st.booleans()),
    min_size=2,
    max_size=4,
)
FEW = settings(max_examples=n_examples(4, 100))


@pytest.fixture(scope="module")
def module_api(backend):
    return runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)


def log_runs(backend, api, chain, *, is_forked):
    """Log runs as a backend that copies no rows has them; return runs, curves and own rows."""
    project = f"chains{next(NUMBERS)}"
    curves: list[dict[int, dict[str, int]]] = []
    own = []
    for place, (parent, after, steps, keys, is_over) in enumerate(chain):
        run = LoggedRun(backend, f"r{place}", project)
        rows = [{"_step": at, **dict.fromkeys(sorted(keys), place)} for at in steps]
        curve = {}
        if is_forked and place and parent < place:
            run.configure(_wandb=branch_point(f"r{parent}", after))
            rows = [{**row, "_step": row["_step"] + after + 1} for row in rows]
            curve = {at: row for at, row in curves[parent].items() if at <= after}
        if rows:
            run.log(*rows)
        if is_over:
            run.finish()
        else:
            run.close()
        own.append({row["_step"]: row for row in rows})
        curves.append(curve | own[-1])
    runs = [api.run(f"{backend.entity}/{project}/r{place}") for place in range(len(chain))]
    return runs, curves, own


def expected(curve, keys):
    rows = [row for _, row in sorted(curve.items())]
    if keys is None:
        return rows
    return [
        {key: row[key] for key in ("_step", *keys)} for row in rows if all(k in row for k in keys)
    ]


def found_in(frame):
    return [{k: v for k, v in row.items() if v is not None} for row in frame.to_dicts()]


@pytest.mark.filterwarnings("ignore::runlake.NoRowsWarning")
@given(chain=RUNS, keys=st.sampled_from([None, ["a"], ["a", "b"]]))
@FEW
def test_a_lineage_is_the_curve_of_a_simple_model(backend, module_api, chain, keys):
    runs, curves, _ = log_runs(backend, module_api, chain, is_forked=True)
    for run, curve in zip(runs, curves, strict=True):
        rows = expected(curve, keys)
        assert list(run.scan_history(keys, lineage=True)) == rows
        assert found_in(run.frame(keys, lineage=True)) == rows
        assert found_in(pl.from_arrow(run.arrow(keys, lineage=True).read_all())) == rows
    project = f"{runs[0].entity}/{runs[0].project}"
    scanned = module_api.runs(project).scan(keys, lineage=True).collect()
    assert found_in(scanned) == [
        {"run_id": run.id, **row}
        for run, curve in zip(runs, curves, strict=True)
        for row in expected(curve, keys)
    ]


@pytest.mark.filterwarnings("ignore::runlake.NoRowsWarning")
@given(chain=RUNS, keys=st.sampled_from([None, ["a"], ["a", "b"]]))
@FEW
def test_stitched_runs_are_the_rows_of_a_simple_model(backend, module_api, chain, keys):
    runs, _, own = log_runs(backend, module_api, chain, is_forked=False)
    curve: dict[int, dict[str, int]] = {}
    for rows in own:
        curve |= rows
    rows = expected(curve, keys)
    stitched = runlake.stitch(runs)
    assert list(stitched.scan_history(keys)) == rows
    assert found_in(stitched.frame(keys)) == rows
    assert found_in(pl.from_arrow(stitched.arrow(keys).read_all())) == rows
    if keys is None:
        query = "SELECT * FROM history ORDER BY _step"
        assert found_in(stitched.sql(query).pl()) == rows
