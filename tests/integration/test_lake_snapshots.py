"""A snapshot of a lake stays what it was, whatever happens to the lake."""

import shutil
from dataclasses import replace

import pytest
from tests.http_logging import LoggedRun

import runlake
from runlake.cache.layout import snapshot_root
from runlake.cache.store import read_manifest
from runlake.cache.upkeep.evict import pin_run, prune_cache
from runlake.cache.upkeep.prune import Policy
from runlake.errors import CacheError, InvalidArgument, InvalidType, NotCached

pytestmark = pytest.mark.filterwarnings("ignore::runlake.errors.StaleWarning")


def answers(lake):
    """Return what a lake says, as values that can be compared."""
    return {
        "rows": lake.scan().collect(),
        "best": lake.best("loss"),
        "runs": lake.runs(flat=True),
        "keys": lake.keys().drop("n_rows", strict=False),
        "system": lake.system(),
        "files": {run: [one.name for one in files] for run, files in lake.files().items()},
        "live": [row for run in lake for row in run.scan_history()],
    }


def equal(first, second):
    return all(
        one.equals(two, null_equal=True) if hasattr(one, "equals") else repr(one) == repr(two)
        for one, two in zip(first.values(), second.values(), strict=True)
    )


@pytest.fixture
def project(backend, request):
    """A new project of two runs; one of them is still running."""
    name = f"snap-{abs(hash(request.node.name)) % 10**9}"
    done = LoggedRun(backend, "done", name).configure(lr=0.1)
    done.log(*({"_step": step, "loss": 1 / (1 + step), "odd/key.é": "x"} for step in range(5)))
    done.finish()
    live = LoggedRun(backend, "live", name).log({"_step": 0, "loss": float("nan")})
    yield name, live
    live.close()


def api_of(backend):
    return runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)


@pytest.fixture
def lake(backend, project, tmp_path):
    found = runlake.Lake(tmp_path / "lake")
    found.pull(api_of(backend).runs(f"{backend.entity}/{project[0]}"), files=True)
    return found


def test_a_snapshot_reads_the_same_bytes_after_every_change(backend, lake, project, tmp_path):
    name, live = project
    before = answers(lake)
    cited = lake.snapshot("paper")
    assert equal(answers(runlake.Lake(tmp_path / "lake", at="paper")), before)
    live.log({"_step": 1, "loss": 7.0}).finish()
    LoggedRun(backend, "later", name).log({"_step": 0, "loss": 3.0}).finish()
    lake.pull(api_of(backend).runs(f"{backend.entity}/{name}"), files=True)
    assert not equal(answers(lake), before)
    # Everything of the lake but its snapshots goes.
    shutil.rmtree(lake.path / "v2")
    (lake.path / "catalog.sqlite").unlink()
    paper = runlake.Lake(tmp_path / "lake", at="paper")
    assert equal(answers(paper), before)
    assert paper.cite() == cited == lake.cite("paper")
    assert set(lake.verify("paper")["status"]) == {"intact"}
    assert paper.verify()["run_id"].to_list() == ["done", "live"]


def test_pruning_keeps_the_bytes_of_a_snapshot(backend, lake, tmp_path):
    before = answers(lake)
    lake.snapshot("paper")
    for run in lake._fixed("warn").runs:
        pin_run(replace(lake.settings, base_url=backend.base_url), run.path, is_pinned=False)
    prune_cache(lake.settings, Policy(max_age=0.0, grace=0.0))
    assert equal(answers(runlake.Lake(tmp_path / "lake", at="paper")), before)
    assert lake.verify("paper")["status"].to_list() == ["intact"] * 2


def test_links_cost_no_second_check_and_no_space(lake):
    lake.snapshot("paper")
    place = snapshot_root(lake.path, "paper")
    linked = [file for file in place.rglob("*.parquet") if file.stat().st_nlink > 1]
    assert linked
    for run in lake._fixed("warn").runs:
        exports = read_manifest(run.directory).exports.values()
        assert all(one.is_untouched for one in exports)


def test_a_citation_names_each_run_and_opens_the_snapshot(lake):
    cited = lake.snapshot("paper")
    assert "done" in cited
    assert "live" in cited
    assert cited.digest in cited
    assert len(cited.runs) == 2
    assert all(len(digest) == 64 and digest in cited for digest in cited.runs.values())
    (recipe,) = [line for line in cited.splitlines() if "Lake(" in line]
    assert cited.recipe in recipe
    opened = eval(cited.recipe, {"runlake": runlake})
    assert opened.cite() == cited
    assert repr(cited) == str(cited)


def test_equal_lakes_have_equal_digests(lake, tmp_path):
    first = lake.snapshot("one")
    assert lake.snapshot("two").digest == first.digest
    table = lake.snapshots()
    assert table["name"].to_list() == ["one", "two"]
    assert table["n_runs"].to_list() == [2, 2]
    lake.delete_snapshot("one")
    assert lake.snapshots()["name"].to_list() == ["two"]
    with pytest.raises(NotCached, match="'two'"):
        runlake.Lake(tmp_path / "lake", at="one")
    assert lake.verify("two")["status"].to_list() == ["intact"] * 2


def test_damage_is_found_and_named(lake):
    lake.snapshot("paper")
    place = snapshot_root(lake.path, "paper")
    (file, *_) = sorted(place.rglob("*.parquet"))
    content = bytearray(file.read_bytes())
    content[8] ^= 1
    file.unlink()
    file.write_bytes(content)
    found = lake.verify("paper")
    assert found["status"].to_list().count("damaged") == 1
    (reason,) = found.filter(found["status"] == "damaged")["reason"]
    assert file.name[:32] in reason


def test_wrong_names_are_refused_before_any_work(lake, tmp_path):
    lake.snapshot("paper é/1")
    assert runlake.Lake(tmp_path / "lake", at="paper é/1").cite().name == "paper é/1"
    with pytest.raises(InvalidArgument, match="already"):
        lake.snapshot("paper é/1")
    for wrong in ("", " ", "a\nb", "x" * 300):
        with pytest.raises(InvalidArgument):
            lake.snapshot(wrong)
    with pytest.raises(InvalidType):
        lake.snapshot(3)
    for method in (lake.cite, lake.verify, lake.delete_snapshot):
        with pytest.raises(NotCached):
            method("nothing")
    with pytest.raises(InvalidArgument):
        lake.cite()
    with pytest.raises(InvalidArgument, match="no runs"):
        runlake.Lake(tmp_path / "empty").snapshot("x")


def test_a_lake_at_a_snapshot_cannot_be_changed(lake, tmp_path):
    lake.snapshot("paper")
    paper = runlake.Lake(tmp_path / "lake", at="paper")
    assert "paper" in repr(paper)
    for change in (
        lambda: paper.pull("team/proj"),
        lambda: paper.add("./wandb"),
        lambda: paper.snapshot("other"),
        lambda: paper.delete_snapshot("paper"),
    ):
        with pytest.raises(InvalidArgument, match="cannot be changed"):
            change()


def test_keys_that_are_on_disk_in_part_stay_as_they_are(backend, tmp_path):
    run = LoggedRun(backend, "wide", "snap-partial")
    rows = [{"_step": s, **{f"k{n}": n * s for n in range(30)}} for s in range(2000)]
    run.log(*rows).finish()
    lake = runlake.Lake(tmp_path / "lake")
    api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
    lake.pull(api.run(run.path), keys=["k1"])
    lake.snapshot("part")
    lake.pull(api.run(run.path))
    paper = runlake.Lake(tmp_path / "lake", at="part")
    assert paper.scan(["k1"]).collect()["k1"].to_list() == list(range(2000))
    assert lake.scan(["k29"]).collect().height == 2000
    assert lake.verify("part")["status"].to_list() == ["intact"]


@pytest.mark.skipif("os.getuid() == 0", reason="root may write everywhere")
def test_a_lake_that_cannot_be_written_says_so(lake):
    lake.path.chmod(0o500)
    try:
        with pytest.raises(CacheError):
            lake.snapshot("paper")
    finally:
        lake.path.chmod(0o700)
