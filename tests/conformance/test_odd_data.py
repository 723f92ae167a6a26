"""Odd data reads as the real SDK reads it, or the table of odd runs says why not.

The SDK's rows are normalised by the documented differences only: cells that are None are dropped,
rows without one of the keys too, and the words for non-finite numbers become those numbers.
"""

import json
import math
from collections.abc import Mapping

import pytest
from tests.conformance.odd_runs import ODD_RUNS
from tests.conformance.odd_server import OddServer, read_by_sdk
from tests.faults.fault_server import API_KEY

import runlake

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
SAFE = [run for run in ODD_RUNS if not run.aborts]


@pytest.fixture(scope="module")
def server():
    with OddServer(ODD_RUNS) as server:
        yield server


@pytest.fixture(scope="module")
def theirs(server, tmp_path_factory):
    """The SDK's result for each run: rows, or the text of an error; None if its process died."""
    directory = tmp_path_factory.mktemp("sdk")
    batches = [SAFE, *([run] for run in ODD_RUNS if run.aborts)]
    processes = [read_by_sdk(server, runs, directory / str(n)) for n, runs in enumerate(batches)]
    found: dict[str, object] = {}
    for runs, process in zip(batches, processes, strict=True):
        with process:
            assert process.stdout is not None
            lines = process.stdout.read().splitlines()
        found |= dict.fromkeys(run.name for run in runs)
        found |= {run.name: json.loads(line) for run, line in zip(runs, lines, strict=False)}
    return found


@pytest.fixture(scope="module")
def api(server, tmp_path_factory):
    overrides = {"base_url": server.base_url, "cache_dir": tmp_path_factory.mktemp("ours")}
    return runlake.Api(overrides, api_key=API_KEY)


@pytest.mark.parametrize("odd", ODD_RUNS, ids=lambda odd: odd.name)
@pytest.mark.filterwarnings("ignore::runlake.NoRowsWarning")
@pytest.mark.filterwarnings("ignore::runlake.errors.OddAnswerWarning")
def test_odd_data_reads_as_the_sdk_reads_it(server, api, theirs, odd):
    ours = [comparable(row) for row in api.run(server.path(odd)).scan_history(**odd.call)]
    found = theirs[odd.name]
    if isinstance(found, list):
        found = [comparable(row) for row in normalised(found, odd.call.get("keys", ()))]
    if odd.difference:
        assert ours == list(map(comparable, odd.rows))
        assert found != ours
        assert odd.aborts == ("service process is not running" in str(found) or found is None)
    else:
        assert ours == found


def normalised(rows, keys):
    cleaned = [_without_none(row) for row in rows]
    return [row for row in cleaned if row.keys() >= set(keys)]


def _without_none(value):
    if isinstance(value, Mapping):
        return {key: _without_none(cell) for key, cell in value.items() if cell is not None}
    if isinstance(value, list):
        return [_without_none(cell) for cell in value]
    return NON_FINITE.get(value, value) if isinstance(value, str) else value


def comparable(value):
    """NaN equals nothing, not even itself; hence its name."""
    if isinstance(value, Mapping):
        return {key: comparable(cell) for key, cell in value.items()}
    if isinstance(value, list):
        return [comparable(cell) for cell in value]
    return "nan" if isinstance(value, float) and math.isnan(value) else value
