"""Pulled runs, and static copies of pages, show the charts that the backend's pages show."""

import math

import pytest
from tests.http_logging import LoggedRun
from tests.pages.accessibility import faults_of
from tests.pages.serving import plain_files, served
from tests.server_process import running_server

import runlake
from runlake.errors import InvalidArgument
from runlake.pages.export_page import export
from runlake.pages.source import ApiSource, LakeSource
from runlake.pages.target import Target

# A pull stores some files of each run, and pages of pulled runs list these.
pytestmark = pytest.mark.filterwarnings("ignore::runlake.errors.IncompleteWarning")
KEYS = ("acc", "loss", "train/a b?<i>")
RUN = ("local", "proj", "runs", "one")
CHARTS = """charts => charts.map(chart => {
  const canvas = chart.querySelector("canvas");
  return [chart.querySelector("figcaption span").textContent, canvas.toDataURL()];
})"""


@pytest.fixture(scope="module")
def project(tmp_path_factory, chromium):
    """Charts of a run on its backend, and the runs that were pulled before the backend ended."""
    folder = tmp_path_factory.mktemp("pulled")
    with running_server(folder / "server", export_rows=500) as server:
        for name in ("one", "two"):
            run = LoggedRun(server, name, "proj", lr=0.1)
            for first in range(0, 900, 300):
                run.log(*(row(step) for step in range(first, first + 300)))
            run.summarize({"loss": 0.5}).finish()
        api = runlake.Api(
            {"base_url": server.base_url, "cache_dir": str(folder / "cache")},
            api_key=server.api_key,
        )
        with served(ApiSource(api)) as address:
            live = charts_on(chromium, f"{address}/local/proj/runs/one")
        lake = runlake.Lake(folder / "lake")
        settings = {"base_url": server.base_url, "cache_dir": str(folder / "lake")}
        lake.pull(runlake.Api(settings, api_key=server.api_key).runs("local/proj"))
    assert [title for title, _ in live] != []
    return live, lake


def row(step):
    values = {
        KEYS[0]: step / 10,
        KEYS[1]: math.nan if step == 700 else 1 / (step + 1),
        KEYS[2]: 3.5,
    }
    return {"_step": step, "_timestamp": 1.7e9 + step, "_runtime": float(step), **values}


def charts_on(chromium, address):
    """Open a page in a browser of its own; return titles and pictures of its charts."""
    context = chromium.new_context(viewport={"width": 1000, "height": 3_000})
    page = context.new_page()
    wrongs = []
    page.on("console", lambda said: wrongs.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: wrongs.append(str(error)))
    page.goto(address)
    for key in KEYS:
        chart = page.locator(".runlake-chart", has_text=key)
        chart.locator("canvas").first.wait_for()
    page.wait_for_load_state("networkidle")
    found = page.locator(".runlake-chart:has(canvas)").evaluate_all(CHARTS)
    assert faults_of(page) == []
    assert wrongs == []
    context.close()
    return sorted(found)


def test_pulled_runs_show_the_same_charts_without_their_backend(project, chromium):
    live, lake = project
    with served(LakeSource(lake)) as address:
        assert charts_on(chromium, f"{address}/local/proj/runs/one") == live


def test_a_copy_of_a_run_shows_the_same_charts_from_a_file_server(project, chromium, tmp_path):
    live, lake = project
    copied = export(Target(LakeSource(lake), RUN, "a run"), tmp_path / "site")
    assert copied.failed == []
    with plain_files(tmp_path / "site") as address:
        assert charts_on(chromium, f"{address}/") == live


def test_a_copy_of_all_pulled_runs_has_links_that_work(project, chromium, tmp_path):
    live, lake = project
    export(Target(LakeSource(lake), (), "all"), tmp_path / "site")
    with plain_files(tmp_path / "site") as address:
        page = chromium.new_page()
        broken = []
        page.on("response", lambda one: broken.append(one.url) if one.status >= 400 else None)
        page.goto(f"{address}/index.html")
        page.get_by_role("link", name="local", exact=True).click()
        page.get_by_role("link", name="proj", exact=True).click()
        page.get_by_role("link", name="run-one", exact=True).first.click()
        page.locator(".runlake-chart canvas").first.wait_for()
        page.wait_for_load_state("networkidle")
        assert broken == []
        page.close()
        shown = charts_on(chromium, f"{address}/local/proj/runs/one/index.html")
    assert shown == live


def test_a_copy_replaces_only_a_copy(project, tmp_path):
    _, lake = project
    target = Target(LakeSource(lake), RUN, "a run")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(InvalidArgument, match="neither empty nor an earlier copy"):
        export(target, tmp_path / "mine")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidArgument, match="is a file"):
        export(target, tmp_path / "file")
    export(target, tmp_path / "site")
    (tmp_path / "site" / "old.html").write_text("x")
    export(target, tmp_path / "site")
    assert not (tmp_path / "site" / "old.html").exists()
    assert sorted(one.name for one in tmp_path.glob("*site*")) == ["site"]


def test_a_copy_of_what_does_not_exist_writes_nothing(project, tmp_path):
    _, lake = project
    absent = Target(LakeSource(lake), ("local", "proj", "runs", "no"), "a run")
    with pytest.raises(runlake.RunlakeError, match="cannot be read"):
        export(absent, tmp_path / "site")
    assert not any("site" in one.name for one in tmp_path.iterdir())
