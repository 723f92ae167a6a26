"""What W&B's own tests ask of a server, asked by the real SDK of the embedded backend."""

import json

import pytest
from tests.server_process import run_script, running_server

SCRIPT = """
import json
import wandb

packed = wandb.Settings(x_file_stream_no_gzip=False, console="off")
said = {}
with wandb.init(project="p", id="asks", settings=packed) as run:
    for step in range(50):
        run.log({"loss": step})
    for version in range(3):
        logged = wandb.Artifact("set", "dataset")
        with logged.new_file("a.txt") as file:
            file.write(f"{version}")
        run.log_artifact(logged).wait()
    for region in ("minio-local", "mars"):
        stored = wandb.Artifact(f"in-{region}", "dataset", storage_region=region)
        with stored.new_file("a.txt") as file:
            file.write(region)
        try:
            said[region] = run.log_artifact(stored).wait().state
        except ValueError as error:
            said[region] = str(error)
api = wandb.Api()
read = api.run("p/asks")
said["rows"] = len(list(read.scan_history()))
team = api.team(api.default_entity)
said["team"] = [team.is_team, team.storage_bytes > 0, [m.api_key for m in team.members]]
said["keys"] = api.viewer.api_keys
said["orders"] = [
    [found.version for found in api.artifacts("dataset", "p/set", order=order)]
    for order in ("version_index", "+version_index", "-version_index")
]
(file,) = api.artifact("p/set:v0").files()
said["path"], said["url"] = file._attrs["storagePath"], file.url
days = {"created_at": {"$gt": "2020-01-01T##", "$lt": "9000-01-01T##"}}
said["days"] = [run.id for run in api.runs("p", filters=days)]
said["refused"] = {}
for name, ask in {
    "automations": lambda: list(api.automations()),
    "integrations": lambda: list(api.integrations()),
    "reports": lambda: list(api.reports("p")),
    "queue": lambda: api.run_queue(api.default_entity, "q").id,
    "new queue": lambda: api.create_run_queue("q", "local-container"),
    "users": lambda: api.users("x"),
    "registry": lambda: api.organization("o"),
    "sweep": lambda: wandb.sweep({"method": "random", "parameters": {}}, project="p"),
}.items():
    try:
        said["refused"][name] = repr(ask())
    except Exception as error:
        said["refused"][name] = str(error)
again = api.run("p/asks")
read.delete()
again.delete()
print(json.dumps(said))
"""
FEATURES = {
    "automations": "Automations",
    "integrations": "Automations",
    "reports": "Reports",
    "queue": "Launch queues, jobs and agents",
    "new queue": "Launch queues, jobs and agents",
    "users": "The administration of users, teams and keys",
    "registry": "Registries and organizations",
    "sweep": "Agents and schedulers of sweeps",
}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("asked")) as running:
        yield running


@pytest.fixture(scope="module")
def said(server, tmp_path_factory):
    """The answers that the SDK got."""
    printed = run_script(SCRIPT, server, tmp_path_factory.mktemp("sdk"))
    return json.loads(printed.splitlines()[-1])


def test_history_that_the_sdk_packs_with_gzip_arrives(said):
    assert said["rows"] == 50


def test_an_unknown_storage_region_is_refused_by_its_name(said):
    assert said["minio-local"] == "COMMITTED"
    assert "invalid storageRegion: mars" in said["mars"]


def test_a_user_is_an_entity_with_one_member(said, server):
    assert said["team"] == [False, True, [None]]
    assert said["keys"] == [server.api_key[:8]]


def test_versions_are_ordered_by_their_numbers(said):
    assert said["orders"] == [["v0", "v1", "v2"], ["v0", "v1", "v2"], ["v2", "v1", "v0"]]


def test_files_of_artifacts_have_the_paths_of_the_vendor(said, server):
    assert said["path"].startswith("wandb_artifacts/")
    assert said["url"].startswith(f"{server.storage_url}/storage/wandb_artifacts/")


def test_filters_take_days_as_in_the_vendors_documentation(said):
    assert said["days"] == ["asks"]


@pytest.mark.parametrize(("asked", "feature"), FEATURES.items(), ids=FEATURES)
def test_a_feature_that_is_left_out_is_named(said, asked, feature):
    assert f"{feature} " in said["refused"][asked]
    assert "not part of this backend." in said["refused"][asked]
