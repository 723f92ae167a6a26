"""A read in a new process does not import packages that it does not use."""

import subprocess
import sys

import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment

CODE = """
import sys, runlake
run = runlake.Api().run(sys.argv[1])
exec(sys.argv[2])
print(" ".join(name for name in sys.argv[3:] if name in sys.modules))
"""
READS = {
    "pull": "run.pull()",
    "rows": "list(run.beta_scan_history())",
    "some": "list(run.beta_scan_history(keys=['acc'], min_step=10, max_step=900))",
    "frame": "run.frame()",
    "sample": "run.history(samples=10, pandas=False)",
    "arrow": "run.arrow().read_all()",
}


@pytest.mark.parametrize("name", READS)
def test_numbers_of_a_finished_run_are_read_without_pandas(backend, tmp_path, name):
    logged = LoggedRun(backend, f"light-{name}").log(*steps(0, 1500, acc=0.5)).finish()
    # An Arrow stream may need casts.
    unneeded = ["pandas", "click", "pygments", "rich"]
    unneeded += [] if name == "arrow" else ["pyarrow.compute"]
    done = subprocess.run(
        [sys.executable, "-c", CODE, logged.path, READS[name], *unneeded],
        env=client_environment(backend, tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
