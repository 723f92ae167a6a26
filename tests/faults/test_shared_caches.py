"""A cache that others may write: no link in it makes runlake write or delete outside of it."""

import os
import sqlite3
import time

import pytest
from filelock import FileLock
from tests.faults.fault_server import API_KEY, RUN_PATH
from tests.faults.parquet import export_bytes

import runlake
from runlake.cache.artifacts.contents import file_md5
from runlake.cache.artifacts.digests import is_intact
from runlake.cache.artifacts.manifest import Entry
from runlake.cache.layout import RunDirectory
from runlake.cache.locking.striped import _describe_holder
from runlake.cache.rate_limit.budget import SharedBudget
from runlake.cache.upkeep.check import repair_catalog, verify_cache
from runlake.cache.upkeep.evict import prune_cache
from runlake.cache.upkeep.prune import Policy
from runlake.cache.upkeep.tree import walk_runs

N_ROWS = 20_000
PRECIOUS = b"precious" * 100

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="no O_NOFOLLOW here"),
    pytest.mark.filterwarnings("ignore::runlake.errors.UnwritableCacheWarning"),
]


@pytest.fixture
def victim(tmp_path):
    """A file outside of the cache that must stay as it is."""
    file = tmp_path / "precious"
    file.write_bytes(PRECIOUS)
    os.utime(file, (1, 1))
    yield file
    assert file.read_bytes() == PRECIOUS
    assert file.stat().st_mtime == 1


@pytest.fixture
def elsewhere(tmp_path):
    """A directory outside of the cache in which nothing may be made or deleted."""
    directory = tmp_path / "elsewhere"
    directory.mkdir()
    for name in ("mine.part", ".mine.part", "notes.parquet", "manifest.json"):
        (directory / name).write_bytes(PRECIOUS)
        os.utime(directory / name, (1, 1))
    yield directory
    found = {file.name: file.read_bytes() for file in directory.iterdir()}
    names = ("mine.part", ".mine.part", "notes.parquet", "manifest.json")
    assert found == dict.fromkeys(names, PRECIOUS)


@pytest.fixture
def run(faulty):
    faulty.offer(a=export_bytes())
    return runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)


def directory_of(run):
    settings = run._client.settings
    return RunDirectory(settings.cache_dir, settings.base_url, run._path)


def put_link(place, target):
    """Replace whatever is at a path by a link to a target."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        place.rename(place.with_name(place.name + ".aside"))
    else:
        place.unlink(missing_ok=True)
    place.symlink_to(target)


def steps(run, keys=None):
    return [row["_step"] for row in run.beta_scan_history(keys)]


@pytest.mark.parametrize("is_held", [False, True], ids=["before", "while it is held"])
def test_a_lock_file_that_became_a_link_is_not_emptied_through_it(run, victim, is_held):
    from runlake.cache.locking.striped import run_lock

    lock = directory_of(run).lock
    if is_held:
        with run_lock(directory_of(run), 1):
            put_link(lock, victim)
    else:
        put_link(lock, victim)
        assert steps(run) == list(range(N_ROWS))


@pytest.mark.parametrize(
    "name", ["CACHEDIR.TAG", "catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-journal"]
)
@pytest.mark.parametrize("is_dangling", [False, True])
def test_nothing_at_the_root_is_written_through_a_link(run, victim, tmp_path, name, is_dangling):
    target = tmp_path / "nothing" if is_dangling else victim
    put_link(directory_of(run).root / name, target)
    assert steps(run) == list(range(N_ROWS))
    assert not (tmp_path / "nothing").exists()


def test_an_unrelated_database_is_not_turned_into_a_catalog(run, tmp_path):
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (n)")
    connection.close()
    before = other.read_bytes()
    put_link(directory_of(run).root / "catalog.sqlite", other)
    assert steps(run) == list(range(N_ROWS))
    assert other.read_bytes() == before


def test_a_partly_cached_export_that_became_a_link_is_not_written_through(
    faulty, tmp_path, wide_export
):
    faulty.offer(a=wide_export)
    run = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY).run(RUN_PATH)
    list(run.beta_scan_history(["key001"]))
    (file,) = directory_of(run).path.glob("*.parquet")
    moved = tmp_path / "moved"
    moved.write_bytes(file.read_bytes())
    before = moved.read_bytes()
    put_link(file, moved)
    assert len(list(run.beta_scan_history(["key002"]))) == 6_000
    assert run.frame().height == 6_000
    assert moved.read_bytes() == before


def test_a_manifest_that_became_a_link_is_replaced_and_its_target_left(run, victim):
    run.pull()
    put_link(directory_of(run).manifest, victim)
    assert steps(run) == list(range(N_ROWS))


def test_the_note_of_a_rate_limit_is_not_written_through_a_link(run, victim):
    settings = run._client.settings
    budget = SharedBudget(settings)
    put_link(budget._path, victim)
    budget.learn(budget.acquire(1), 429, {})
    assert budget.acquire(10) > 0


LEVELS = ["run", "project", "entity", "host", "version"]


@pytest.mark.parametrize("level", LEVELS)
def test_a_directory_that_became_a_link_is_neither_written_nor_pruned(run, elsewhere, level):
    run.pull()
    place = directory_of(run).path
    for _ in range(LEVELS.index(level)):
        place = place.parent
    put_link(place, elsewhere)
    assert steps(run) == list(range(N_ROWS))
    assert steps(run, ["loss"]) == list(range(N_ROWS))
    settings = run._client.settings
    prune_cache(settings, Policy(max_bytes=0, grace=0))
    list(verify_cache(settings.cache_dir, 1))
    repair_catalog(settings.cache_dir, 1)


def test_locks_that_became_a_link_are_not_made_elsewhere(run, elsewhere):
    put_link(directory_of(run).lock.parent, elsewhere)
    assert steps(run) == list(range(N_ROWS))


def test_prune_deletes_what_a_manifest_names_only_if_it_is_an_export(run):
    import json

    from runlake.cache.disk.sealed import seal_document

    run.pull()
    directory = directory_of(run)
    mine = directory.path / "mine.txt"
    mine.write_bytes(PRECIOUS)
    document = json.loads(directory.manifest.read_bytes())
    del document["crc32c"]
    document["exports"][0]["file"] = "mine.txt"
    document["exports"][0]["dropped_at"] = time.time() - 10**6
    directory.manifest.write_bytes(seal_document(document))
    prune_cache(run._client.settings, Policy(max_bytes=0, grace=0))
    assert mine.read_bytes() == PRECIOUS


def put_special(place, kind):
    """Replace whatever is at a path by something that is no regular file."""
    if kind == "device":
        put_link(place, "/dev/zero")
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(place)
    else:
        (place / "mine").mkdir(parents=True)


SPECIALS = ["pipe", "device", "directory"]


@pytest.mark.parametrize("kind", SPECIALS)
@pytest.mark.parametrize("name", ["manifest", "export"])
@pytest.mark.timeout(20)
def test_every_reader_fetches_again_if_a_cache_entry_is_no_regular_file(run, name, kind):
    run.pull()
    directory = directory_of(run)
    place = directory.manifest if name == "manifest" else next(directory.path.glob("*.parquet"))
    settings = run._client.settings
    api = runlake.Api({"base_url": settings.base_url}, api_key=API_KEY)

    put_special(place, kind)
    list(walk_runs(settings.cache_dir))
    list(verify_cache(settings.cache_dir, 1))
    if not os.path.lexists(place):
        put_special(place, kind)
    assert steps(run, ["loss"]) == list(range(N_ROWS))
    assert steps(run) == list(range(N_ROWS))
    if kind == "directory":
        return
    put_special(place, kind)
    assert api.runs("team/project").scan(["loss"]).collect().height == N_ROWS
    put_special(place, kind)
    prune_cache(settings, Policy(max_bytes=0, grace=0))


def test_a_directory_in_place_of_a_manifest_is_named_in_the_warning(run):
    put_special(directory_of(run).manifest, "directory")
    with pytest.warns(runlake.errors.UnwritableCacheWarning, match=r"manifest\.json"):
        assert steps(run) == list(range(N_ROWS))


@pytest.mark.parametrize("kind", ["pipe", "device"])
@pytest.mark.timeout(20)
def test_the_other_small_files_of_the_cache_delay_no_reader(run, kind):
    settings = run._client.settings
    directory = directory_of(run)
    put_special(directory.lock, kind)
    assert _describe_holder(FileLock(directory.lock), "what") == "another process"
    budget = SharedBudget(settings)
    put_special(budget._path, kind)
    budget.learn(budget.acquire(1), 429, {})
    assert budget.acquire(10) > 0
    directory.lock.unlink()
    assert steps(run) == list(range(N_ROWS))


def test_a_manifest_longer_than_any_is_not_read(run):
    run.pull()
    with directory_of(run).manifest.open("r+b") as file:
        file.truncate(1 << 40)
    assert list(walk_runs(run._client.settings.cache_dir)) == []
    assert steps(run) == list(range(N_ROWS))


@pytest.mark.parametrize("kind", SPECIALS)
@pytest.mark.timeout(20)
def test_a_cached_content_that_is_no_regular_file_is_not_read(tmp_path, kind):
    put_special(tmp_path / "content", kind)
    assert file_md5(tmp_path / "content") is None
    xxh128 = Entry("a", "5555", extra={"alg": "XXH128"})
    assert not is_intact(tmp_path / "content", xxh128)
