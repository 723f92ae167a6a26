"""Daft reads the packed tables without runlake."""

import json
import subprocess
import venv
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest
from tests.http_logging import log_seeds

import runlake

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1200)]

SCRIPT = Path(__file__).with_name("daft_script.py")
PACKAGES = ["daft>=0.7.26,<0.8", "pyiceberg[sql-sqlite]>=0.12,<0.13"]


def python_with(packages, directory):
    """Return the interpreter of a new environment; skip the test if it cannot be made.

    Daft needs an older pyarrow than runlake, so it cannot be in the same environment.
    """
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    command = [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *packages]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{packages} cannot be installed here: {done.stderr.strip()[-300:]}")
    return python


@pytest.fixture(scope="module")
def lake(backend, tmp_path_factory):
    log_seeds(backend, "daft", 40)
    path = tmp_path_factory.mktemp("daft")
    settings = {"base_url": backend.base_url, "cache_dir": str(path)}
    lake = runlake.Lake(path)
    lake.pull(runlake.Api(settings, api_key=backend.api_key).runs(f"{backend.entity}/daft"))
    lake.pack()
    return lake


def test_daft_has_the_sums_of_the_lake(lake, tmp_path):
    python = python_with(PACKAGES, tmp_path / "python")
    tables = lake.path / "lake" / "v1"
    command = [python, str(SCRIPT), str(tables), "acc"]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout.splitlines()[-1])
    found: dict[float, list[float]] = defaultdict(lambda: [0.0, 0])
    for config, total, count in zip(answer["config"], answer["total"], answer["n"], strict=True):
        of_rate = found[json.loads(config)["lr"]]
        of_rate[0] += total
        of_rate[1] += count
    rows = lake.scan(["acc"], columns=["config.lr"]).collect()
    expected = rows.group_by("config.lr").agg(
        pl.col("acc").sum().alias("total"), pl.len().alias("n")
    )
    assert len(found) == expected.height
    for rate, total, count in expected.iter_rows():
        assert found[rate] == [pytest.approx(total), count]
