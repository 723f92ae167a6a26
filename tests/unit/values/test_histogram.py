"""Counts and edges of logged histograms."""

import json

import numpy as np
import pytest
import wandb

import runlake


def test_a_cell_of_the_sdk_is_its_histogram():
    counts, edges = np.histogram(np.arange(100) ** 2, bins=7)
    cell = wandb.Histogram(np_histogram=(counts.tolist(), edges.tolist())).to_json()
    found = runlake.histogram(cell)
    assert found.counts.tolist() == counts.tolist()
    assert found.edges == pytest.approx(edges)
    assert runlake.histogram(json.dumps(cell)).counts.tolist() == counts.tolist()


def test_bins_of_equal_width_may_be_packed():
    packed = {"min": -1, "size": 0.5, "count": 2}
    found = runlake.histogram({"_type": "histogram", "values": [1, 2], "packedBins": packed})
    assert found.edges.tolist() == [-1.0, -0.5, 0.0]


@pytest.mark.parametrize(
    "cell",
    [
        {},
        "text",
        "[1]",
        5,
        {"values": [1], "bins": [0]},
        {"values": [1], "bins": ["x", 1]},
        {"values": [1], "packedBins": {"min": 0}},
        {"values": ["a"], "bins": [0, 1]},
        {"values": [[1]], "bins": [0, 1]},
    ],
    ids=str,
)
def test_other_cells_are_refused(cell):
    with pytest.raises(ValueError, match="histogram"):
        runlake.histogram(cell)
