"""Limits of control groups, read from files laid out as by the kernel.

Not every machine that runs the tests may limit memory, or has both versions of control groups, so
these are files. ``tests/integration/test_control_groups.py`` has a real group with a quota.
"""

import functools
import os

import duckdb
import pytest

from runlake.history.sql import instance
from runlake.history.sql.process_limits import ProcessLimits, read_process_limits

GIB = 1 << 30
V2 = "40 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate"
V1_CPU = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
# What version 1 states without a limit, on machines with pages of 4 KiB.
UNLIMITED_V1 = str(2**63 - 4096)


@pytest.fixture(autouse=True)
def _eight_cpus(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


@pytest.fixture
def machine(tmp_path):
    """Return a function that writes the groups of a process, its mounts and their files."""

    def write(groups, mounts, files):
        (tmp_path / "proc/self").mkdir(parents=True)
        (tmp_path / "proc/self/cgroup").write_text(groups + "\n")
        (tmp_path / "proc/self/mountinfo").write_text("\n".join(mounts) + "\n")
        for name, text in files.items():
            file = tmp_path / "sys/fs/cgroup" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text + "\n")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("files", "n_cpus", "memory_bytes"),
    [
        ({"job/step/cpu.max": "max 100000", "job/step/memory.max": "max"}, 8, None),
        ({"job/step/cpu.max": "200000 100000"}, 2, None),
        ({"job/step/cpu.max": "150000 100000"}, 2, None),
        ({"job/step/cpu.max": "1000 100000"}, 1, None),
        ({"job/cpu.max": "300000 100000", "job/step/cpu.max": "max 100000"}, 3, None),
        ({"job/cpu.max": "300000 100000", "job/step/cpu.max": "50000 50000"}, 1, None),
        ({"cpu.max": "400000 100000"}, 4, None),
        ({"job/memory.max": str(GIB), "job/step/memory.max": str(4 * GIB)}, 8, GIB),
        ({"job/step/memory.max": str(4 * GIB), "job/step/memory.high": str(GIB)}, 8, GIB),
        ({"other/cpu.max": "100000 100000", "other/memory.max": "1"}, 8, None),
        ({"job/step/cpu.max": "new words", "job/step/memory.max": "new words"}, 8, None),
    ],
)
def test_the_smallest_limit_on_the_path_of_version_2_counts(machine, files, n_cpus, memory_bytes):
    root = machine("0::/job/step", [V2], files)
    assert read_process_limits(root) == ProcessLimits(n_cpus, memory_bytes)


def test_the_smallest_limit_on_the_path_of_version_1_counts(machine):
    root = machine(
        "4:memory:/slurm/job\n1:cpu,cpuacct:/slurm/job/step\n0::/init",
        [V1_CPU, V1_MEMORY],
        {
            "cpu,cpuacct/slurm/job/step/cpu.cfs_quota_us": "-1",
            "cpu,cpuacct/slurm/job/step/cpu.cfs_period_us": "100000",
            "cpu,cpuacct/slurm/job/cpu.cfs_quota_us": "300000",
            "cpu,cpuacct/slurm/job/cpu.cfs_period_us": "100000",
            "memory/slurm/job/memory.limit_in_bytes": UNLIMITED_V1,
            "memory/slurm/memory.limit_in_bytes": str(3 * GIB),
        },
    )
    assert read_process_limits(root) == ProcessLimits(3, 3 * GIB)


def test_version_1_without_limits(machine):
    files = {
        "cpu,cpuacct/cpu.cfs_quota_us": "-1",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": UNLIMITED_V1,
    }
    root = machine("4:memory:/\n1:cpu,cpuacct:/", [V1_CPU, V1_MEMORY], files)
    assert read_process_limits(root) == ProcessLimits(8, None)


@pytest.mark.parametrize(
    ("group", "mounted"),
    [("/docker/1f", "/docker/1f"), ("/docker/1f", "/docker/2a"), ("/../docker/1f", "/")],
)
def test_a_container_that_mounts_its_own_group_reads_the_mount(machine, group, mounted):
    mount = V2.replace("0:38 /", f"0:38 {mounted}")
    root = machine(f"0::{group}", [mount], {"cpu.max": "200000 100000", "memory.max": str(GIB)})
    assert read_process_limits(root) == ProcessLimits(2, GIB)


def test_without_control_groups_only_the_processors_count(tmp_path):
    assert read_process_limits(tmp_path) == ProcessLimits(8, None)


def test_processors_that_the_process_is_not_bound_to_do_not_count(machine, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    root = machine("0::/job", [V2], {"job/cpu.max": "200000 100000"})
    assert read_process_limits(root).n_cpus == 1


def test_duckdb_follows_a_limit_and_keeps_its_own_if_smaller(machine, monkeypatch):
    root = machine("0::/job/step", [V2], {"job/cpu.max": "1000 100000", "job/memory.max": str(GIB)})
    connection = duckdb.connect()
    monkeypatch.setattr(
        instance, "read_process_limits", functools.partial(read_process_limits, root)
    )
    settings = "SELECT current_setting('threads'), current_setting('memory_limit')"

    instance._limit(connection)
    assert connection.execute(settings).fetchall() == [(1, "819.1 MiB")]

    connection.execute("SET memory_limit = '100 MiB'")
    instance._limit(connection)
    assert connection.execute(settings).fetchall() == [(1, "100.0 MiB")]
