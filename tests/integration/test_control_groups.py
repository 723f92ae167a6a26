"""A process in a real control group that is limited from outside."""

import subprocess
import sys
import uuid
from pathlib import Path, PurePosixPath

import pytest
from tests.http_logging import LoggedRun, steps

from runlake.cache.disk.mounts import parse_mounts

QUERY = """
import os, pathlib, sys
pathlib.Path(sys.argv[4], "cgroup.procs").write_text(str(os.getpid()))
import runlake
api = runlake.Api({"base_url": sys.argv[1]}, api_key=sys.argv[2])
relation = api.run(sys.argv[3]).sql("SELECT current_setting('threads') FROM history LIMIT 1")
print(relation.fetchall()[0][0])
"""


@pytest.fixture
def limited_group():
    """A new control group, inside one that may use a single processor."""
    table = Path("/proc/self/mountinfo")
    mounts = parse_mounts(table.read_text()) if table.exists() else ()
    mount = next((mount for mount in mounts if "cpu" in mount.options), None)
    groups = Path("/proc/self/cgroup").read_text().splitlines() if mount else []
    own = next((line for line in groups if "cpu" in line.split(":")[1].split(",")), None)
    if mount is None or own is None:
        pytest.skip("this machine has no control groups of version 1 with the controller cpu")
    below = PurePosixPath(own.split(":", 2)[2]).relative_to(mount.root)
    outer = Path(mount.point / below) / f"runlake-test-{uuid.uuid4().hex[:8]}"
    inner = outer / "inner"
    try:
        outer.mkdir()
    except OSError as error:
        pytest.skip(f"control groups cannot be made here: {error}")
    try:
        (outer / "cpu.cfs_quota_us").write_text((outer / "cpu.cfs_period_us").read_text())
        inner.mkdir()
        yield inner
        inner.rmdir()
    finally:
        outer.rmdir()


def test_sql_in_a_nested_group_uses_no_more_threads_than_the_outer_group_may(
    limited_group, backend
):
    run = LoggedRun(backend, "grouped").log(*steps(0, 3)).finish()
    arguments = [backend.base_url, backend.api_key, run.path, str(limited_group)]
    done = subprocess.run(
        [sys.executable, "-c", QUERY, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1\n", "")
