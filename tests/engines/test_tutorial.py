"""The walk from a laptop to a bucket: every block of the page runs."""

import math
import re
from pathlib import Path
from typing import Any

import pytest
from tests.bucket_server import BUCKET, running_storage
from tests.http_logging import LoggedRun

pytestmark = pytest.mark.thorough
pytest.importorskip("pyiceberg")

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "from-a-laptop-to-a-bucket.md"
N_RUNS = 300


@pytest.fixture
def project(backend):
    for seed in range(N_RUNS):
        run = LoggedRun(backend, f"walk{seed:03d}", "walk").configure(lr=seed / 1000)
        run.log(*({"_step": step, "loss": math.exp(-step / (seed + 1))} for step in range(20)))
        run.finish()
    return f"{backend.entity}/walk"


# Dask's workers and servers leave connections to their processes' ends.
@pytest.mark.filterwarnings(
    "ignore::ResourceWarning",
    "ignore::UserWarning:distributed",
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
def test_every_block_runs(project, backend, monkeypatch):
    import dask

    monkeypatch.setenv("WANDB_BASE_URL", backend.base_url)
    monkeypatch.setenv("WANDB_API_KEY", backend.api_key)
    namespace: dict[str, Any] = {}
    # Workers that are forked have the environment of the first fork in this process.
    spawned = dask.config.set({"distributed.worker.multiprocessing-method": "spawn"})
    with spawned, running_storage() as storage:
        for name, value in storage.environment.items():
            monkeypatch.setenv(name, value)
        for block in re.findall(r"```py\n(.*?)```", PAGE.read_text(), re.DOTALL):
            code = block.replace("my-team/my-project", project).replace("my-bucket", BUCKET)
            exec(compile(code, PAGE.name, "exec"), namespace)
    assert len(namespace["lowest"]) == N_RUNS
