"""The wheel and the source archive are complete, and the wheel works without any extra."""

import subprocess
import sys
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from tests.http_logging import LoggedRun, steps
from tests.server_process import client_environment

import runlake

pytestmark = pytest.mark.thorough

ROOT = Path(__file__).parents[2]
CORE_ONLY = Path(__file__).with_name("core_only.py")


@pytest.fixture(scope="module")
def dist(tmp_path_factory):
    """A directory with the source archive, and the wheel that was built from that archive."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--outdir", str(directory), str(ROOT)]
    subprocess.run(command, check=True)
    return directory


@pytest.fixture(scope="module")
def wheel(dist):
    (found,) = dist.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def core_python(wheel, tmp_path_factory):
    """Python of a new environment with the wheel and its required dependencies."""
    directory = tmp_path_factory.mktemp("core")
    venv.create(directory, with_pip=True)
    python = directory / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True)
    return python


def test_the_wheel_has_the_package_its_license_and_nothing_else(wheel):
    metadata = f"runlake-{runlake.__version__}.dist-info"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        about = Parser().parsestr(archive.read(f"{metadata}/METADATA").decode())
        commands = archive.read(f"{metadata}/entry_points.txt").decode()
    assert {name.partition("/")[0] for name in names} == {"runlake", metadata}
    assert {"runlake/py.typed", f"{metadata}/licenses/LICENSE"} <= names
    uplot = {name for name in names if name.startswith("runlake/charts/uplot/")}
    assert {Path(name).name for name in uplot} == {"LICENSE", "uPlot.iife.min.js", "uPlot.min.css"}
    own = {Path(name).suffix for name in names - uplot if name.startswith("runlake/")}
    assert own == {".py", ".typed", ".css", ".js", ".html", ".svg"}
    assert about["Version"] == runlake.__version__
    assert about["License-Expression"] == "Apache-2.0"
    assert "runlake = runlake.__main__:main" in commands


def test_the_source_archive_has_tests_and_docs_but_no_files_of_the_work_tree(dist):
    (found,) = dist.glob("*.tar.gz")
    with tarfile.open(found) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"src/runlake/py.typed", "tests/conftest.py", "docs/index.md", "LICENSE"} <= names
    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert folders == {"src", "tests", "docs", "benchmarks"}
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_reads_a_run_without_any_extra(core_python, backend, tmp_path):
    path = LoggedRun(backend, "core-only").log(*steps(0, 1500)).finish().path
    environment = client_environment(backend, tmp_path / "client")
    environment.pop("PYTHONPATH", None)
    subprocess.run([core_python, CORE_ONLY, path], env=environment, cwd=tmp_path, check=True)
