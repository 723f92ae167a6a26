"""Files and artifacts on pages: any name and any content is shown, and nothing of it runs."""

import hashlib
import json
import re
from urllib.parse import quote

import httpx
import pytest
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, steps
from tests.pages.accessibility import faults_of
from tests.pages.serving import served
from tests.server_process import run_script

import runlake
from runlake.pages.export_page import export
from runlake.pages.source import ApiSource, LakeSource
from runlake.pages.target import Target

SCRIPT = b"<script>alert(1)</script><img src=x onerror=alert(2)>"
SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f64540"
    "0000000049454e44ae426082"
)
FILES = {
    "page.html": SCRIPT,
    "<img src=x onerror=alert(3)>.txt": SCRIPT,
    "a b#c%2F?d&e='\"\u65e5.txt": b"text",
    "media/images/one.png": PNG,
    "picture.svg": SVG,
    "numbers.json": b'{"a": [1, 2]}',
    "bytes.bin": b"\0\1\2",
}
RUN = "/local/pages/runs/one"


@pytest.fixture(scope="module")
def logged(backend, tmp_path_factory):
    """A run with files of odd names, that logged an artifact; another run has used it."""
    folder = tmp_path_factory.mktemp("files")
    run = LoggedRun(backend, "one", "pages").log(*steps(0, 5))
    log_artifact(run, "data", {"<b>.html": SCRIPT, "a.txt": b"hello", "p.png": PNG})
    run.finish()
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    for name, content in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        api.run("local/pages/one").upload_file(str(file), root=str(folder))
    LoggedRun(backend, "two", "pages").log(*steps(0, 5)).finish()
    api.run("local/pages/two").use_artifact(api.artifact("local/pages/data:v0"))
    return backend


@pytest.fixture
def get(logged):
    def get(path, **headers):
        return httpx.get(
            f"{logged.base_url}{path}", auth=("api", logged.api_key), headers=headers, timeout=60
        )

    return get


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_downloaded_as_it_is_and_never_as_a_page(get, name):
    answer = get(f"{RUN}/raw/{quote(name)}")
    assert answer.content == FILES[name]
    assert answer.headers["content-disposition"].startswith("attachment;")
    assert answer.headers["content-type"] in {
        "application/octet-stream",
        "image/png",
        "image/svg+xml",
    }
    again = get(f"{RUN}/raw/{quote(name)}", **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_pages_of_files_run_nothing(open_page, logged):
    opened = open_page(f"{logged.base_url}{RUN}/files", key=logged.api_key)
    page = opened.page
    assert faults_of(page) == []
    shown = page.locator("tbody th").all_text_contents()
    assert set(FILES) <= set(shown)
    for name, content in FILES.items():
        page.goto(f"{logged.base_url}{RUN}/files")
        page.get_by_role("link", name=name, exact=True).click()
        assert page.locator("h2").last.text_content() == name
        if name.endswith((".html", ".txt")):
            assert page.locator("pre.preview").text_content() == content.decode()
    page.goto(f"{logged.base_url}{RUN}/files/media/images/one.png")
    assert page.locator("img.preview").evaluate("image => image.naturalWidth") == 1
    assert faults_of(page) == []
    assert opened.wrongs == []


def test_files_are_searched_by_name(get):
    found = get(f"{RUN}/files?q={quote('%2F')}").text
    assert "%2F?d" in found
    assert "page.html" not in found
    assert "No file has this" in get(f"{RUN}/files?q=nosuchname").text


def test_a_missing_file_is_not_found(get):
    for path in ("files", "raw"):
        assert get(f"{RUN}/{path}/no/such/file").status_code == 404


@pytest.mark.smoke
def test_an_artifact_shows_its_lineage(open_page, logged):
    opened = open_page(f"{logged.base_url}/local/pages/artifacts", key=logged.api_key)
    page = opened.page
    assert faults_of(page) == []
    page.get_by_role("link", name="data", exact=True).click()
    assert faults_of(page) == []
    page.get_by_role("link", name="v0", exact=True).click()
    assert faults_of(page) == []
    assert "run-one" in page.get_by_role("region", name="Logged by").text_content()
    assert "run-two" in page.get_by_role("region", name="Used by").text_content()
    page.get_by_role("link", name="<b>.html").click()
    assert page.locator("pre.preview").text_content() == SCRIPT.decode()
    page.goto(f"{logged.base_url}/local/pages/runs/two/artifacts")
    assert page.get_by_role("link", name="data:v0").is_visible()
    assert opened.wrongs == []


@pytest.fixture(scope="module")
def pulled(logged, tmp_path_factory):
    """Return a function that gets a page of the pulled runs, which have their artifacts."""
    root = tmp_path_factory.mktemp("lake")
    settings = {"base_url": logged.base_url, "cache_dir": str(root)}
    lake = runlake.Lake(root)
    runs = runlake.Api(settings, api_key=logged.api_key).runs("local/pages")
    lake.pull(runs, artifacts=True)
    with served(LakeSource(lake)) as address:
        yield lambda path: httpx.get(f"{address}{path}", timeout=60)


def test_pulled_artifacts_have_the_pages_that_their_backend_shows(pulled, logged):
    version = "/local/pages/artifacts/dataset/data/v0"
    script = quote("<b>.html")
    with logged.counted() as requests:
        assert pulled(f"{version}/raw/{script}").content == SCRIPT
        assert pulled(f"{version}/raw/p.png").content == PNG
        for path in (RUN, "/local/pages/runs/two"):
            assert "data/v0" in pulled(f"{path}/artifacts").text
        collections = pulled("/local/pages/artifacts").text
        assert ">data</a>" in collections
        versions = pulled("/local/pages/artifacts/dataset/data").text
        assert ">v0</a>" in versions
        shown = pulled(version).text
        for text in ("run-one", "run-two", "p.png", "a.txt"):
            assert text in shown
        assert "hello" in pulled(f"{version}/files/a.txt").text
        wrong = [f"{version[:-1]}9", version.replace("dataset", "model"), f"{version}/files/no"]
        assert [pulled(path).status_code for path in wrong] == [404] * 3
    assert requests == []


def test_the_page_of_a_pulled_artifact_leaves_out_runs_that_were_not_pulled(logged, tmp_path):
    settings = {"base_url": logged.base_url, "cache_dir": str(tmp_path)}
    lake = runlake.Lake(tmp_path)
    lake.pull(runlake.Api(settings, api_key=logged.api_key).run("local/pages/two"), artifacts=True)
    with served(LakeSource(lake)) as address:
        found = httpx.get(f"{address}/local/pages/artifacts/dataset/data/v0", timeout=60)
    assert found.status_code == 200
    assert "run-two" in found.text
    assert "run-one" not in found.text


def test_a_damaged_file_of_a_pulled_version_is_not_found(logged, tmp_path):
    settings = {"base_url": logged.base_url, "cache_dir": str(tmp_path)}
    lake = runlake.Lake(tmp_path)
    lake.pull(runlake.Api(settings, api_key=logged.api_key).run("local/pages/two"), artifacts=True)
    (file,) = [one for one in tmp_path.rglob("*.json") if b'"usedBy"' in one.read_bytes()]
    whole = json.loads(file.read_bytes())
    node = whole["node"]
    damages = (
        {"usedBy": [1]},
        {"createdBy": 1},
        {"node": {**node, "versionIndex": None}},
        {"node": {**node, "artifactType": None}},
    )
    collection = "/local/pages/artifacts/dataset/data"
    with served(LakeSource(lake)) as address:

        def statuses():
            paths = (collection, f"{collection}/v0")
            return [httpx.get(f"{address}{path}", timeout=60).status_code for path in paths]

        assert statuses() == [200, 200]
        for damage in damages:
            file.write_text(json.dumps({**whole, **damage}))
            assert statuses() == [404, 404], damage
            assert httpx.get(f"{address}/local/pages/artifacts", timeout=60).status_code == 200


def test_times_are_written_for_people_and_no_column_is_empty(get):
    text = get("/local").text
    assert re.search(r"<td>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC</td>", text)
    assert "Runs</th>" not in text
    for path in (RUN, f"{RUN}/files", "/local/pages/artifacts/dataset/data/v0"):
        text = get(path).text
        assert re.search(r"\d\d:\d\d:\d\d UTC<", text)
        assert not re.search(r">\d{4}-\d\d-\d\dT", text)


def test_the_addresses_that_the_sdk_prints_lead_to_pages(get, logged):
    api = runlake.Api({"base_url": logged.base_url}, api_key=logged.api_key)
    run, artifact = api.run("local/pages/one"), api.artifact("local/pages/data:latest")
    for url in (run.url, artifact.url, api.project("pages", "local").url):
        assert get(url.removeprefix(logged.base_url)).status_code == 200, url
    content = get(f"/local/pages/artifacts/dataset/data/v0/raw/{quote('<b>.html')}")
    assert hashlib.md5(content.content).hexdigest() == hashlib.md5(SCRIPT).hexdigest()
    assert content.headers["content-type"] == "application/octet-stream"
    assert get("/local/pages/artifacts/wrongtype/data/v0").status_code == 404
    assert get("/local/pages/artifacts/dataset/data/v9").status_code == 404
    assert get("/local/pages/sweeps/nosuch").status_code == 404


# A scheduler outside of the SDK starts the runs of a sweep: the backend has none.
SWEEP = """
import os
import wandb
os.environ |= {"WANDB_SWEEP_ID": "grid1", "WANDB_PROJECT": "swept"}
for rate in (0.1, 0.2, 0.3):
    run = wandb.init(config={"lr": rate})
    run.log({"loss": 1 / rate})
    print("URL", run.sweep_url)
    run.finish()
"""


def test_a_sweep_of_the_sdk_has_a_page_with_its_runs(open_page, backend, tmp_path):
    printed = run_script(SWEEP, backend, tmp_path)
    address = next(line.split()[1] for line in printed.splitlines() if line.startswith("URL "))
    opened = open_page(f"{backend.base_url}/local/swept/sweeps", key=backend.api_key)
    page = opened.page
    page.get_by_role("link", name="grid1").click()
    assert page.url.partition("?")[0] == address.partition("?")[0]
    assert page.locator("h1").text_content() == "grid1"
    assert page.locator("dl.properties dd").all_text_contents() == ["FINISHED", "3"]
    assert page.locator("tbody tr").count() == 3
    assert faults_of(page) == []
    page.locator("tbody th a").first.click()
    page.wait_for_selector(".state[data-state=finished]")
    assert opened.wrongs == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/local", "/local/pages/sweeps", "/nobody", "/-/nothing"])
def test_a_page_is_accessible_and_loads_nothing_foreign(open_page, logged, path, scheme):
    opened = open_page(
        f"{logged.base_url}{path}", key=logged.api_key, scheme=scheme, width=390, height=800
    )
    assert faults_of(opened.page) == []
    width = opened.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    # The browser reports the answer 404 itself.
    assert [wrong for wrong in opened.wrongs if "404" not in wrong] == []


def test_the_login_is_accessible(open_page, logged):
    assert faults_of(open_page(f"{logged.base_url}/-/login").page) == []


@pytest.fixture(scope="module")
def of_partly(logged, tmp_path_factory):
    """Return a function that gets a page of a lake with one run and some of its artifacts.

    The lake has the files of one artifact, which is of another project.
    """
    run = LoggedRun(logged, "other", "other-pages").log(*steps(0, 5))
    log_artifact(run, "model", {"w.bin": b"1"})
    log_artifact(run, "run-other-history", {"0.parquet": b"1"}, kind="wandb-history")
    run.finish()
    lake = runlake.Lake(tmp_path_factory.mktemp("partly"))
    settings = {"base_url": logged.base_url, "cache_dir": str(lake.path)}
    api = runlake.Api(settings, api_key=logged.api_key)
    api.run(run.path).use_artifact(api.artifact("local/pages/data:v0"))
    lake.pull(api.runs("local/other-pages"), artifacts="data")

    with served(LakeSource(lake)) as address:
        yield lambda path: httpx.get(f"{address}{path}", timeout=60)


def test_a_pulled_artifact_of_another_project_has_its_pages(of_partly):
    assert ">data</a>" in of_partly("/local/pages/artifacts").text
    version = "/local/pages/artifacts/dataset/data/v0"
    assert of_partly(version).status_code == 200
    assert of_partly(f"{version}/raw/p.png").content == PNG


def test_a_version_without_pulled_files_shows_its_fields(of_partly):
    page = of_partly("/local/other-pages/artifacts/dataset/model/v0")
    assert page.status_code == 200
    assert "The files of this version were not pulled." in page.text
    assert "1 B in 1 file" in page.text


def test_artifacts_with_the_history_of_a_run_are_not_listed_for_a_lake(of_partly):
    collections = of_partly("/local/other-pages/artifacts").text
    assert ">model</a>" in collections
    assert "run-other-history" not in collections


@pytest.mark.filterwarnings("ignore::runlake.errors.IncompleteWarning")
def test_a_copy_reports_files_whose_names_are_also_directories(logged, tmp_path):
    run = LoggedRun(logged, "clash", "clashes").log(*steps(0, 5))
    log_artifact(run, "both", {"a": b"1", "a/b": b"2", "c": b"3"})
    run.finish()
    settings = {"base_url": logged.base_url, "cache_dir": str(tmp_path / "lake")}
    api = runlake.Api(settings, api_key=logged.api_key)
    lake = runlake.Lake(tmp_path / "lake")
    lake.pull(api.runs("local/clashes"), artifacts=True)
    for source in (ApiSource(api), LakeSource(lake)):
        site = tmp_path / type(source).__name__
        copied = export(Target(source, ("local", "clashes"), "a project"), site)
        raw = "artifacts/dataset/both/v0/raw"
        assert copied.failed == [
            f"/local/clashes/{raw}/a%2Fb: its name is that of a file and a directory"
        ]
        assert [(site / raw / name).read_bytes() for name in ("a", "c")] == [b"1", b"3"]
