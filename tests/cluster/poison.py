"""A plugin of Dask's workers: pulling one run ends the process that does it."""

from __future__ import annotations

import os
import signal
from typing import Any

from distributed import WorkerPlugin

from runlake.lake.pulling import task_pull
from runlake.lake.pulling.run_pull import pull_one


class Poison(WorkerPlugin):
    """Ends each worker that pulls a run."""

    name = "poison"

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id

    def setup(self, worker: Any) -> None:
        del worker

        def pull_or_end(means: Any, task: Any) -> Any:
            if task.listed.path.run_id == self._run_id:
                os.kill(os.getpid(), signal.SIGKILL)
            return pull_one(means, task)

        vars(task_pull)["pull_one"] = pull_or_end

    def teardown(self, worker: Any) -> None:
        del worker
        vars(task_pull)["pull_one"] = pull_one
