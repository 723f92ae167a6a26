"""Cells that name their type by anything but text are values, and neither tables nor media."""

import json

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH

import runlake
from runlake.errors import InvalidArgument


@pytest.fixture(params=[["table-file"], {"a": 1}, {}, 7, None], ids=repr)
def run(faulty, request):
    cell = {"_type": request.param, "path": "t.table.json"}
    faulty.run["summaryMetrics"] = json.dumps({"k": cell})
    faulty.live_rows = [{"_step": 0, "k": cell, "o": 1}]
    faulty.offer()
    return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)


@pytest.mark.parametrize("step", [None, 0])
def test_a_cell_whose_type_is_no_text_is_refused_as_table_and_media(run, step):
    for read in (run.table, run.media, run.image, run.html):
        with pytest.raises(InvalidArgument):
            read("k", step=step)
    with pytest.raises(InvalidArgument):
        run.image(run.summary_metrics["k"])
