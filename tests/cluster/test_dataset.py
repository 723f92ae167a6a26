"""`Lake.dataset` has the rows of `Lake.scan`, also if a worker is killed."""

import json
import math
import shutil
import time
import warnings
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from tests.cluster.conftest import killing_one
from tests.faults.fault_server import API_KEY
from tests.http_logging import LoggedRun, log_seeds, steps

import runlake
from runlake import errors
from runlake.lake.clusters import dask_frames

# Workers start slowly on a busy machine.
pytestmark = pytest.mark.timeout(600)

ODD = ("a.b", "a/b", "q\"uo'te", "ключ", "x y", "a")


@pytest.fixture(scope="module")
def pulled(backend, tmp_path_factory):
    """A lake with seeds, and with runs of odd keys, mixed types, live rows, and none."""
    log_seeds(backend, "dataset", 9)
    odd = LoggedRun(backend, "odd", "dataset")
    odd.log(*({"_step": n, **dict.fromkeys(ODD, n + 0.5)} for n in range(30))).finish()
    types: list[Any] = [3, None, math.nan, math.inf, "text", {"b": 1}, [1, 2]]
    values: list[Any]
    for at, values in enumerate([types, [1, 2, 3], [0.5, -math.inf]]):
        rows = [{"_step": n, "mixed": value, "n": n} for n, value in enumerate(values)]
        LoggedRun(backend, f"mixed{at}", "dataset").log(*rows).finish()
    LoggedRun(backend, "live", "dataset").log(*steps(0, 2500, extra=2)).close()
    LoggedRun(backend, "empty", "dataset").finish()
    path = tmp_path_factory.mktemp("dataset")
    settings = {"base_url": backend.base_url, "cache_dir": str(path)}
    api = runlake.Api(settings, api_key=backend.api_key)
    runlake.Lake(path).pull(api.runs(f"{backend.entity}/dataset"))
    return path


@pytest.fixture
def lake(pulled):
    return runlake.Lake(pulled, offline=True)


@pytest.fixture(scope="module")
def packed(pulled, tmp_path_factory):
    """The same lake, of which half of the runs are packed."""
    path = tmp_path_factory.mktemp("packed")
    shutil.copytree(pulled / "runlake", path / "runlake")
    lake = runlake.Lake(path, offline=True)
    lake.pack(list(lake)[::2])
    return lake


def as_frame(found):
    """Return a frame of pandas with Arrow's types as a frame of polars."""
    table = pa.Table.from_pandas(found, preserve_index=False)
    return pl.DataFrame(pl.from_arrow(table.replace_schema_metadata(None)))


QUESTIONS = [
    {"keys": ["loss"]},
    {"keys": ["loss", "val/loss"], "how": "any", "columns": ["config.lr", "name"]},
    {"keys": ["mixed"]},
    {"keys": ["mixed", "n"], "how": "any"},
    {"keys": list(ODD)},
    {"keys": ["extra"], "min_step": 700, "max_step": 2300},
    {"like": "*loss", "columns": ["state"]},
    {"keys": ["never"]},
    {"like": "never*"},
    {"keys": ["loss"], "min_step": 10_000},
    {},
]


@pytest.mark.parametrize("asked", QUESTIONS, ids=str)
@pytest.mark.parametrize("partition_rows", [40, 1_000_000])
def test_it_has_the_rows_of_a_scan(lake, asked, partition_rows):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = lake.scan(**asked).collect()
        frame = lake.dataset(**asked, partition_rows=partition_rows)
        found = as_frame(frame.compute(scheduler="synchronous"))
    assert list(frame.columns) == expected.columns
    assert found.schema == expected.schema
    assert found.equals(expected, null_equal=True)
    if partition_rows == 40 and expected.height > 1_000:
        assert frame.npartitions > 1


@pytest.mark.parametrize("asked", QUESTIONS, ids=str)
def test_packed_runs_are_read_from_their_tables(packed, lake, asked):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = lake.scan(**asked).collect()
        frame = packed.dataset(**asked, partition_rows=60)
        found = as_frame(frame.compute(scheduler="synchronous"))
    assert found.schema == expected.schema
    assert found.equals(expected, null_equal=True)


def test_its_methods_are_those_of_dask(lake):
    frame = lake.dataset(["acc"], columns=["config.lr"], partition_rows=40)
    rows = lake.scan(["acc"], columns=["config.lr"]).collect()
    found = frame.groupby("config.lr")["acc"].mean().compute(scheduler="synchronous")
    expected = rows.group_by("config.lr").agg(pl.col("acc").mean())
    assert dict(found.items()) == pytest.approx(dict(expected.rows()))
    total = frame["acc"].sum().compute(scheduler="synchronous")
    assert total == pytest.approx(rows["acc"].sum())


def test_workers_read_it_and_one_is_killed(client, lake):
    from distributed import Event

    frame = lake.dataset(["loss"], partition_rows=40)
    begun, go = Event("begun", client=client), Event("go", client=client)

    def wait_for_go(part):
        from distributed import Event

        Event("begun").set()
        Event("go").wait()
        return part

    slow = frame.map_partitions(wait_for_go, meta=frame._meta)
    computing = client.compute(slow)
    assert begun.wait(60)
    with killing_one(client, lambda: True):
        while not client.run_on_scheduler(_has_lost_one):
            time.sleep(0.05)
    go.set()
    found = as_frame(computing.result(timeout=100))
    assert found.equals(lake.scan(["loss"]).collect(), null_equal=True)


def _has_lost_one(dask_scheduler):
    return any(task.suspicious for task in dask_scheduler.tasks.values())


def test_a_run_that_was_pulled_again_is_not_mixed_with_the_old_one(backend, tmp_path):
    run = LoggedRun(backend, "later", "dataset-later").log(*steps(0, 5)).finish()
    settings = {"base_url": backend.base_url, "cache_dir": str(tmp_path)}
    api = runlake.Api(settings, api_key=backend.api_key)
    lake = runlake.Lake(tmp_path)
    lake.pull(api.run(run.path))
    frame = lake.dataset(["loss"])
    LoggedRun(backend, "later", "dataset-later").log(*steps(5, 9), offset=5).finish()
    lake.pull(api.runs(f"{backend.entity}/dataset-later"))
    with pytest.raises(errors.CacheError, match=r"Lake\.dataset"):
        frame.compute(scheduler="synchronous")
    found = as_frame(lake.dataset(["loss"]).compute(scheduler="synchronous"))
    assert found.equals(lake.scan(["loss"]).collect())
    assert found["_step"].to_list()[-1] == 8


def test_a_task_has_no_key_of_the_api(pulled, monkeypatch):
    import cloudpickle

    monkeypatch.setenv("WANDB_API_KEY", API_KEY)
    frame = runlake.Lake(pulled).dataset(["loss"])
    assert API_KEY.encode() not in cloudpickle.dumps(frame)
    assert API_KEY not in json.dumps(repr(frame))


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        ({"keys": "loss"}, errors.InvalidArgument),
        ({"keys": ["loss"], "like": "l*"}, errors.InvalidArgument),
        ({"partition_rows": 0}, errors.InvalidArgument),
        ({"partition_rows": 1.5}, errors.InvalidArgument),
        ({"how": "some"}, errors.InvalidArgument),
        ({"columns": ["nothing"]}, errors.InvalidArgument),
        ({"incomplete": "maybe"}, errors.InvalidArgument),
    ],
)
def test_a_wrong_argument_is_refused(lake, asked, kind):
    with pytest.raises(kind):
        lake.dataset(**asked)


def test_without_dask_the_extra_is_named(lake, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "dask.dataframe", None)
    with pytest.raises(errors.MissingExtra, match=r"runlake\[distributed\]") as told:
        lake.dataset(["loss"])
    assert told.value.facts["extra"] == "distributed"
    assert dask_frames.__doc__
