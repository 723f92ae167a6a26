"""Whatever an argument is, a call returns an answer or raises an error of `runlake.errors`."""

import inspect
import itertools
import math
from collections.abc import Iterator
from contextlib import suppress

import polars as pl
import pytest
from tests.http_logging import LoggedRun

import runlake
from runlake.errors import InvalidArgument, RunlakeError

ODD = [
    True,
    -1,
    10**400,
    2**63,
    math.nan,
    "",
    "\ud800",
    b"b",
    [],
    ["a\0"],
    {"a": 1},
    ("loss",),
    object(),
]
# What an argument without a default is while another one is odd.
GIVEN = {
    "key": "loss",
    "keys": ["loss"],
    "query": "SELECT 1",
    "step": 1,
    "condition": {"state": "finished"},
    "name": "f.txt",
    "type_name": "table",
    "type": "table",
}
METHODS = {
    "run": "scan_history history scan frame arrow pandas sql explain keys best files file plot "
    "logged_artifacts used_artifacts table console_logs to_html",
    "runs": "scan frame best last at keys align sql system histories tables files plot where",
    "lake": "scan frame best last at keys align sql system histories tables files plot where runs "
    "run explain dataset cite",
    "api": "run runs project projects artifact artifacts artifact_type artifact_types "
    "artifact_collection artifact_collections sweep from_path team artifact_exists",
}


@pytest.fixture(scope="module")
def objects(backend, tmp_path_factory):
    logged = LoggedRun(backend, "odd-arguments", "odd-arguments").configure(lr=0.1)
    logged.log({"_step": 0, "loss": 1.0}, {"_step": 1, "loss": math.nan}).finish()
    settings = {"base_url": backend.base_url, "cache_dir": str(tmp_path_factory.mktemp("odd"))}
    api = runlake.Api(settings, api_key=backend.api_key)
    runs = api.runs(f"{backend.entity}/odd-arguments")
    lake = runlake.Lake(settings["cache_dir"])
    lake.pull(runs)
    return {"api": api, "run": api.run(logged.path), "runs": runs, "lake": lake}


def consume(answer):
    """Read some of an answer that is read later."""
    if isinstance(answer, pl.LazyFrame):
        answer.collect()
    elif hasattr(answer, "fetchall"):
        answer.fetchall()
    elif isinstance(answer, Iterator) or hasattr(answer, "per_page"):
        list(itertools.islice(iter(answer), 3))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("of", "name"), [(of, name) for of, names in METHODS.items() for name in names.split()]
)
def test_every_error_about_an_argument_is_ours(objects, of, name):
    method = getattr(objects[of], name)
    parameters = inspect.signature(method).parameters.values()
    needed = {one.name: GIVEN.get(one.name, "x") for one in parameters if one.default is one.empty}
    for one, odd in itertools.product(parameters, ODD):
        if one.name != "progress":
            with suppress(RunlakeError):
                consume(method(**{**needed, one.name: odd}))


@pytest.mark.parametrize("grid", [10**8, 2**63, 10**400])
def test_a_grid_that_does_not_fit_into_memory_is_refused(objects, grid):
    for runs in (objects["runs"], objects["lake"]):
        with pytest.raises(InvalidArgument, match="10,000,000 points or fewer"):
            runs.align(["loss"], grid=grid)
