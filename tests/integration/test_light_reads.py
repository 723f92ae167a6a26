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
    for module in unneeded:
        if module in sys.modules:
            print(name, "imports", module)
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
    assert imported(backend, tmp_path, asked) == []


def test_frames_of_a_cached_run_need_only_polars(backend, tmp_path):
    cells = {"acc": 0.5, "n": 3, "word": "a", "is_last": False}
    logged = LoggedRun(backend, "light-cached").log(*steps(0, 1500, **cells)).finish()
    # The first process reads the footers, which needs pyarrow.
    imported(backend, tmp_path, [("pull", logged.path, "run.pull()", [])])
    reads = {
        "frame": "run.frame(['acc'])",
        "keys": "run.frame(['word', 'n', 'is_last'], min_step=10)",
        "every": "run.frame()",
        "tail": "run.frame(['acc'], tail=3)",
        "scan": "run.scan(['acc']).collect()",
    }
    unneeded = ["pyarrow", "numpy", "pandas", "duckdb"]
    asked = [(name, logged.path, read, unneeded) for name, read in reads.items()]
    assert imported(backend, tmp_path, asked) == []


def imported(backend, directory, asked):
    """Read runs in one new process; return which unneeded modules the reads import."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(asked)],
        env=client_environment(backend, directory),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()
