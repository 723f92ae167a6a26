"""A read in a new process does not import packages that it does not use."""

import json
import subprocess
import sys

from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment

CODE = """
import json, sys, runlake
for name, path, read, unneeded in json.loads(sys.argv[1]):
    run = runlake.Api().run(path)
    exec(read)
    print(*(f"{name} imports {module}" for module in unneeded if module in sys.modules))
"""
# An Arrow stream may need casts, so it comes last.
READS = {
    "pull": "run.pull()",
    "rows": "list(run.beta_scan_history())",
    "some": "list(run.beta_scan_history(keys=['acc'], min_step=10, max_step=900))",
    "frame": "run.frame()",
    "sample": "run.history(samples=10, pandas=False)",
    "arrow": "run.arrow().read_all()",
}


def test_numbers_of_a_finished_run_are_read_without_pandas(backend, tmp_path):
    asked = []
    for name, read in READS.items():
        logged = LoggedRun(backend, f"light-{name}").log(*steps(0, 1500, acc=0.5)).finish()
        unneeded = ["pandas", "click", "pygments", "rich"]
        unneeded += [] if name == "arrow" else ["pyarrow.compute"]
        asked.append((name, logged.path, read, unneeded))
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(asked)],
        env=client_environment(backend, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
