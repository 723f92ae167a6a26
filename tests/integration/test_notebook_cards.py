"""Cards of real objects: what they show, what they cost, and that they never raise."""

import hashlib
import json
import math

import pytest
from tests.html_elements import HOSTILE, Elements, assert_safe
from tests.http_artifacts import log_artifact
from tests.http_logging import LoggedRun, log_seeds, steps

import runlake

# One red pixel.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63f8cfc0"
    "000003010100c9fe92ef0000000049454e44ae426082"
)
IMAGE = {
    "_type": "image-file",
    "path": "media/images/photo_0.png",
    "sha256": hashlib.sha256(PNG).hexdigest(),
    "size": len(PNG),
    "width": 1,
    "height": 1,
    "caption": "a <b>pixel</b>",
}
HISTOGRAM = {"_type": "histogram", "values": [1] * 64, "bins": [b / 64 for b in range(65)]}


@pytest.fixture(scope="module")
def place(backend, tmp_path_factory):
    """A project with a run of 1,200 rows, an odd run, and an artifact."""
    rows = steps(0, 1200, acc=0.5)
    rows[600]["loss"] = math.nan
    for row in rows[::100]:
        row["photo"], row["val/loss"] = IMAGE, 1.0
    run = LoggedRun(backend, "plain", "cards").log(*rows)
    run.configure(lr=0.1, net={"depth": 2, "sizes": list(range(500))})
    run.summarize({"loss": 0.25, "photo": IMAGE, "weights": HISTOGRAM})
    log_artifact(run, "model", {"weights.bin": b"1", "</td><script>": b"2"})
    run.finish()
    odd = LoggedRun(backend, "odd", "cards")
    odd.configure(**{name: {name: name} for name in HOSTILE})
    odd.log({"_step": 0, **dict.fromkeys(HOSTILE, 1.0)}, {"_step": 1, **dict.fromkeys(HOSTILE, 2)})
    odd.summarize(dict.fromkeys(HOSTILE, 2)).finish()
    LoggedRun(backend, "empty", "cards").close()
    upload(backend, f"{backend.entity}/cards/plain", tmp_path_factory.mktemp("photo"))
    return f"{backend.entity}/cards"


def upload(backend, path, directory):
    file = directory / IMAGE["path"]
    file.parent.mkdir(parents=True)
    file.write_bytes(PNG)
    settings = {"base_url": backend.base_url, "cache_dir": str(directory / "cache")}
    runlake.Api(settings, api_key=backend.api_key).run(path).upload_file(file, root=directory)


def operations(requests):
    return [request.get("operation") or request["path"] for request in requests]


def test_a_pulled_run_shows_its_curves_without_a_request(api, backend, place):
    run = api.run(f"{place}/plain")
    run.pull()
    run.image("photo")
    run.load_full_data()
    with backend.counted() as requests:
        shown = run._repr_html_()
    assert operations(requests) == []
    found = assert_safe(shown)
    for word in ("plain", "finished", "val/loss", "a <b>pixel</b>", "lr", "0.1", "not finite"):
        assert word in found.text, word
    assert "histogram: 64 bins" in found.text
    assert "500 items" in found.text
    assert len(found.of("img")) == 1
    assert "without a request" in found.text


def test_a_run_that_is_not_cached_costs_the_requests_that_it_names(api, backend, place):
    run = api.run(f"{place}/plain")
    with backend.counted() as requests:
        found = assert_safe(run._repr_html_())
    assert len(found.of("svg")) == 3
    assert "by one request" in found.text
    named = operations(requests)
    assert named.count("RunSampledHistory") == 1
    assert named.count("RunFiles") == 1
    assert len(named) <= 4


def test_hostile_names_stay_text(api, place):
    found = assert_safe(api.run(f"{place}/odd")._repr_html_())
    assert "'></iframe><script>alert(1)</script>" in found.text
    for shown in (api.runs(place), api.project("cards", place.partition("/")[0])):
        assert_safe(shown._repr_html_())


def test_an_empty_run_says_what_is_missing(api, place):
    found = assert_safe(api.run(f"{place}/empty")._repr_html_())
    assert "No curves" in found.text
    assert "running" in found.text


def test_a_list_of_runs_is_a_table(api, backend):
    log_seeds(backend, "card seeds", 5)
    runs = api.runs(f"{backend.entity}/card seeds")
    assert repr(runs) == f"<Runs {backend.entity}/card seeds>"
    with backend.counted() as requests:
        found = assert_safe(runs._repr_html_())
    assert len(requests) <= 2
    assert repr(runs) == f"<Runs {backend.entity}/card seeds: 5 runs>"
    assert "config.lr" in found.text
    assert "config.optimizer" not in found.text, "it is the same in all runs"
    assert not found.of("svg")
    assert "runs.pull()" in found.text
    runs.pull()
    with backend.counted() as requests:
        found = assert_safe(runs._repr_html_())
    assert len(found.of("svg")) == 5
    assert operations(requests) == []


def test_a_list_counts_its_running_runs(api, place):
    runs = api.runs(place)
    assert len(list(runs)) == 3
    assert repr(runs) == f"<Runs {place}: 3 runs, 1 running>"


def test_every_object_has_a_card(api, place):
    run = api.run(f"{place}/plain")
    artifact = api.artifact(f"{place}/model:latest")
    shown = {
        "plain": run.files(),
        "photo_0.png": run.files(),
        "artifact.manifest lists": artifact,
        "exports": run.pull(),
        "Read every key": run.explain(),
        "to_polars": run.scan_history(["loss"]),
        "newest runs": api.project("cards", run.entity),
    }
    for words, one in shown.items():
        assert words in assert_safe(one._repr_html_()).text, words
    _ = artifact.manifest
    assert "</td><script>" in assert_safe(artifact._repr_html_()).text


def test_plans_and_pulls_are_readable_text(api, place):
    run = api.run(f"{place}/plain")
    assert repr(run.pull()).startswith(f"Pulled '{place}/plain' to ")
    assert repr(run.explain(["loss"])).startswith("Read all of loss of ")


def test_a_card_never_raises(backend, api, place):
    run = api.run(f"{place}/plain")
    gone = {"base_url": backend.base_url}
    offline = runlake.Api(gone, api_key=backend.api_key, offline=True)
    missing = runlake.Run(offline._client, "no", "such", "run", {"name": "run", "state": "x"})
    for one in (missing, offline.runs("no/such"), offline.project("such", "no"), missing.files()):
        assert "offline" in assert_safe(one._repr_html_()).text.lower()
    run.pull()
    with pytest.warns(runlake.errors.StaleWarning):
        cached = offline.run(f"{place}/plain")
    found = assert_safe(cached._repr_html_())
    assert "as of" in found.text
    assert found.of("svg")
    broken = runlake.Run(api._client, "a", "b", "c", {"name": "c", "config": "{}", "state": 3})
    broken._attrs |= {"historyKeys": 5, "tags": 7, "user": [], "createdAt": {}}
    assert_safe(broken._repr_html_())


def test_a_deleted_run_shows_why(api, backend):
    logged = LoggedRun(backend, "deleted", "cards gone").log(*steps(0, 5)).finish()
    run = api.run(logged.path)
    api.run(logged.path).delete()
    assert "deleted" in assert_safe(run._repr_html_()).text


def test_a_card_of_2000_keys_is_small(api, backend):
    keys = {f"layer{index}/norm": 0.5 for index in range(2000)}
    logged = LoggedRun(backend, "wide", "cards wide")
    logged.log(*({"_step": step, **keys} for step in range(20))).summarize(keys)
    run = api.run(logged.finish().path)
    run.pull()
    run.load_full_data()
    with backend.counted() as requests:
        shown = run._repr_html_()
    assert operations(requests) == []
    assert len(shown.encode()) < 200_000
    assert "40 of 2,000 keys" in shown


@pytest.fixture
def kernel(monkeypatch):
    """What IPython does in a kernel: the displayed HTML is collected."""
    import sys
    from types import ModuleType, SimpleNamespace

    shown = []
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    display.HTML = lambda text: text  # type: ignore[attr-defined]

    def show(text, **options):
        assert set(options) <= {"display_id"}
        shown.append(text)
        return SimpleNamespace(update=shown.append)

    display.display = show  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return shown


def test_display_shows_the_card_with_charts(api, place, kernel):
    run = api.run(f"{place}/plain")
    assert run.display(height=300) is True
    assert run.display(hidden=True) is True
    plain, hidden = kernel
    assert not plain.startswith("<iframe")
    card, _, charts = plain.partition("<iframe")
    assert "max-height:300px" in str(assert_safe(card).seen[1][1]["style"])
    (frame,) = Elements(f"<iframe{charts}").of("iframe")
    assert frame["sandbox"] == "allow-scripts"
    assert "val/loss" in (frame["srcdoc"] or "")
    assert Elements(hidden).seen[0][0] == "details"
    assert run.file(IMAGE["path"]).display() is False


def test_a_lake_is_a_table(api, backend):
    log_seeds(backend, "card lake", 3)
    lake = runlake.Lake()
    lake.pull(api.runs(f"{backend.entity}/card lake"))
    with backend.counted() as requests:
        found = assert_safe(lake._repr_html_())
    assert requests == []
    assert "seed002" in found.text
    assert "config.lr" in found.text
    assert len(found.of("svg")) == 3


def test_a_bar_in_a_notebook_is_html(api, place, kernel):
    api.run(f"{place}/plain").pull(use_cache=False, progress=True)
    assert assert_safe(kernel[-1]).of("progress")
    assert "exports" in kernel[-1]
    assert json.dumps(kernel[-1])
