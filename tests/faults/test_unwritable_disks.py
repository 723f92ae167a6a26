"""A full or read-only disk: the scan still works, with one warning, and nothing is lost."""

import gc
import json
import shutil
import subprocess
import sys

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes
from tests.server_process import bare_environment

import runlake

READ = """
import json, os, sys, warnings
import runlake
base_url, key, path = sys.argv[1:4]
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    run = runlake.Api({"base_url": base_url}, api_key=key).run(path)
    counts = [len(list(run.beta_scan_history())), run.frame(["loss"]).height]
    partial = len(list(run.beta_scan_history(["loss"], min_step=5, max_step=9)))
kinds = sorted({warning.category.__name__ for warning in told})
print(json.dumps([*counts, partial, kinds]))
"""
# The child has mounts of its own, as any user may; they go with it.
MOUNTED = "mount -t tmpfs -o size={size} none $WANDB_CACHE_DIR && {before} && exec {command}"


def _can_mount():
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-Urm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


needs_mounts = pytest.mark.skipif(not _can_mount(), reason="no user namespaces with mounts here")


def read_on(disk, before, server, tmp_path):
    cache = tmp_path / "mounted"
    cache.mkdir()
    environment = {**bare_environment(), "HOME": str(tmp_path), "WANDB_CACHE_DIR": str(cache)}
    script = tmp_path / "read.py"
    script.write_text(READ)
    command = f"{sys.executable} {script} {server.base_url} {API_KEY} {RUN_PATH}"
    shell = MOUNTED.format(size=disk, before=before, command=command)
    done = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", shell],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_mounts
def test_a_full_disk_is_read_past(faulty, export, tmp_path):
    faulty.offer(a=export)
    found = read_on("64k", "true", faulty, tmp_path)
    assert found == [20_000, 20_000, 4, ["UnwritableCacheWarning"]]


@needs_mounts
def test_a_read_only_disk_is_read_past(faulty, export, tmp_path):
    faulty.offer(a=export)
    found = read_on("10m", "mount -o remount,ro none $WANDB_CACHE_DIR", faulty, tmp_path)
    assert found == [20_000, 20_000, 4, ["UnwritableCacheWarning"]]


@needs_mounts
def test_a_read_only_cache_is_used(faulty, export, tmp_path):
    faulty.offer(a=export)
    fill = f"{sys.executable} $HOME/read.py {faulty.base_url} {API_KEY} {RUN_PATH} > /dev/null"
    found = read_on("10m", f"{fill} && mount -o remount,ro none $WANDB_CACHE_DIR", faulty, tmp_path)
    assert found == [20_000, 20_000, 4, []]
    assert faulty.count("a") == 1


@pytest.mark.filterwarnings("ignore::runlake.errors.UnwritableCacheWarning")
def test_a_lazy_frame_outlives_the_files_of_an_unwritable_cache(faulty, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    faulty.offer(a=export_bytes(0, 10))
    api = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY)
    relation = api.run(RUN_PATH).sql("SELECT count(*) FROM history")
    frames = [api.run(RUN_PATH).scan(), api.runs("team/project").scan(["loss"])]
    gc.collect()
    assert relation.fetchall() == [(10,)]
    assert [frame.collect().height for frame in frames] == [10, 10]
