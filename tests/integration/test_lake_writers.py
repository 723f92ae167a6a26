"""Several writers publish to one place by a catalog in PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.bucket_server import BUCKET, running_storage
from tests.http_logging import LoggedRun
from tests.postgres_server import running_postgres

import runlake
from runlake.errors import InvalidArgument, InvalidType
from runlake.lake.publishing.catalogs import catalog_properties

pytest.importorskip("pyiceberg")


@pytest.fixture(scope="module")
def catalog():
    with running_postgres() as url:
        yield url


@pytest.fixture(scope="module")
def lakes(backend, tmp_path_factory):
    """Two lakes with a run each, as on the machines of two people."""
    found = []
    for name in ("one", "two"):
        run = LoggedRun(backend, name, "shared").configure(lr=0.1)
        run.log(*({"_step": step, "loss": step / 10} for step in range(3))).finish()
        lake = runlake.Lake(tmp_path_factory.mktemp(name))
        api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
        lake.pull(api.run(run.path))
        found.append(lake)
    return found


def losses(lake):
    found = lake.scan(["loss"]).collect().sort("run_id", "_step")
    return dict(found.group_by("run_id", maintain_order=True).agg("loss").iter_rows())


@pytest.mark.thorough
def test_two_writers_at_once_add_their_runs(backend, lakes, catalog, monkeypatch):
    with running_storage() as storage:
        for name, value in storage.environment.items():
            monkeypatch.setenv(name, value)
        url = f"s3://{BUCKET}/team"
        with ThreadPoolExecutor(2) as executor:
            list(executor.map(lambda lake: lake.publish(url, catalog=catalog), lakes))
        shared = runlake.Lake(url)
        assert losses(shared) == {"one": [0.0, 0.1, 0.2], "two": [0.0, 0.1, 0.2]}
        assert lakes[0].publish(url, catalog=catalog).n_uploaded == 0
        # A run that has changed replaces its earlier version.
        again = LoggedRun(backend, "one", "shared")
        again.log({"_step": 0, "loss": 9.0}).finish()
        api = runlake.Api({"base_url": backend.base_url}, api_key=backend.api_key)
        lakes[0].pull(api.run(again.path))
        lakes[0].publish(url, catalog=catalog)
        assert losses(runlake.Lake(url)) == losses(lakes[0]) | losses(lakes[1])
        assert sorted(run.id for run in runlake.Lake(url)) == ["one", "two"]
        assert runlake.Lake(url).best("loss")["run_id"].len() == 2
        with pytest.raises(InvalidArgument, match="elsewhere"):
            lakes[0].publish(f"s3://{BUCKET}/other", catalog=catalog)


def test_wrong_catalogs_are_refused_without_their_password(lakes, tmp_path):
    with pytest.raises(InvalidArgument, match="postgresql://") as caught:
        lakes[0].publish(tmp_path / "out", catalog="mysql://me:hunter2hunter2@host/db")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(InvalidType):
        lakes[0].publish(tmp_path / "out", catalog=3)
    assert catalog_properties("https://catalog.example")["type"] == "rest"
    assert catalog_properties("postgres://me@host/db")["uri"].startswith("postgresql+")
