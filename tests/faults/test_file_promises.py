"""Every reader of a run's files compares the MD5 that the backend promises of a file."""

import base64
import hashlib
import json

import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY, RUN_PATH

import runlake

METADATA = json.dumps({"host": "one", "gpu": "A100"}).encode()
DAMAGED = METADATA.replace(b"A100", b"B100")
TABLE = json.dumps({"columns": ["a"], "data": [[1]]}).encode()
IMAGE = b"GIF89a" + bytes(20)
CONTENTS = {"wandb-metadata.json": METADATA, "t.table.json": TABLE, "i.gif": IMAGE}


@pytest.fixture
def offer(faulty):
    """Offer the files with a promise of each; the answer lists the last requested names."""

    def offered(promise=None):
        nodes = {}
        for name, content in CONTENTS.items():
            faulty.store(name, content)
            md5 = base64.b64encode(hashlib.md5(content).digest()).decode()
            size = len(content)
            node = {"name": name, "md5": promise or md5, "sizeBytes": size, "id": name}
            nodes[name] = node
        answer = faulty.answer

        def answer_with_files(query, variables):
            found = answer(query, variables)
            names = variables.get("fileNames") or list(nodes)
            edges = [{"node": {**nodes[name], "url": faulty.url(name)}} for name in names]
            if found["project"]["run"]:
                found["project"]["run"]["files"] = {
                    "edges": edges,
                    "pageInfo": {"hasNextPage": False},
                }
            return found

        faulty.answer = answer_with_files
        faulty.run["summaryMetrics"] = json.dumps(
            {
                "t": {"_type": "table-file", "path": "t.table.json"},
                "i": {"_type": "image-file", "path": "i.gif"},
            }
        )
        api = runlake.Api({"base_url": faulty.base_url}, api_key=API_KEY)
        return api.run(RUN_PATH)

    return offered


def test_metadata_that_arrives_damaged_is_fetched_again(faulty, offer):
    run = offer()
    faulty.fail("wandb-metadata.json", Fault(body=DAMAGED))
    assert run.metadata == json.loads(METADATA)
    assert faulty.count("wandb-metadata.json") == 2


def test_metadata_that_stays_damaged_is_an_error(faulty, offer):
    run = offer()
    faulty.fail("wandb-metadata.json", *[Fault(body=DAMAGED)] * 20)
    with pytest.raises(runlake.errors.FileTransferError, match="arrived damaged"):
        pytest.fail(str(run.metadata))


def test_metadata_whose_url_has_expired_is_listed_again(faulty, offer):
    run = offer()
    faulty.fail("wandb-metadata.json", 403)
    assert run.metadata == json.loads(METADATA)


@pytest.mark.parametrize("promise", [hashlib.md5(b"x").hexdigest(), "none", "a" * 24, 7])
def test_a_malformed_promise_is_none_for_every_reader(offer, promise, tmp_path):
    run = offer(promise)
    assert run.metadata == json.loads(METADATA)
    assert run.table("t").rows() == [(1,)]
    assert run.image("i").read_bytes() == IMAGE
    with run.file("t.table.json").download(tmp_path) as file:
        assert file.read() == TABLE.decode()
