"""Answers that only a hostile server gives, and rare answers of honest servers."""

import base64
import json
from dataclasses import replace

import pytest
from tests.faults.fault_script import Fault
from tests.faults.fault_server import API_KEY

from runlake.backend.graphql.features import fetch_features
from runlake.backend.graphql.query import query
from runlake.backend.http.client import Client
from runlake.backend.http.transfer import download_file
from runlake.errors import BackendError
from runlake.settings import load_settings

VIEWER = "query Viewer { viewer { entity } }"


@pytest.fixture
def connect(faulty):
    """Build clients of the faulty server."""

    def build(**settings):
        known = load_settings({"base_url": faulty.base_url}, api_key=API_KEY)
        return Client(replace(known, **{"timeout": 0.5, "retry_timeout": 3.0, **settings}))

    return build


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_a_status_that_passes_is_tried_again_everywhere(faulty, connect, tmp_path, status):
    client = connect()
    faulty.fail("graphql", status)
    assert query(client, VIEWER, {})["viewer"] == {"entity": "team"}
    faulty.store("notes.txt", b"notes")
    faulty.fail("notes.txt", status)
    download_file(client, faulty.url("notes.txt"), tmp_path / "notes.txt", what="'notes.txt'")
    assert (tmp_path / "notes.txt").read_bytes() == b"notes"


def test_a_failing_server_is_not_remembered_as_too_old_for_features(faulty, connect):
    client = connect(retry_timeout=0.0)
    faulty.fail("graphql", 503)
    with pytest.raises(BackendError, match="503"):
        fetch_features(client)
    n_requests = len(faulty.seen)
    faulty.fail(
        "graphql",
        Fault(
            200, body=b'{"data": {"serverInfo": {"features": [{"name": "A", "isEnabled": true}]}}}'
        ),
    )
    assert fetch_features(client) == fetch_features(client) == {"A"}
    faulty.fail("graphql", 400)
    assert fetch_features(connect()) == frozenset()
    assert len(faulty.seen) == n_requests + 2


@pytest.mark.parametrize("status", [408, 425])
def test_an_export_that_is_refused_for_now_is_tried_again(faulty, fetcher, export, status):
    faulty.offer(a=export)
    faulty.fail("a", status, status)
    assert fetcher().download()[1] == export


@pytest.mark.parametrize("status", [200, 400, 403])
def test_a_servers_words_show_no_key_and_no_control_characters(faulty, connect, status):
    shown = [API_KEY, *(base64.b64encode(f"{x}{API_KEY}".encode()).decode() for x in ("", "api:"))]
    said = "\x1b]52;c;x\x07\u202e\n".join(shown) + " end" + "x" * 100_000
    faulty.fail("graphql", Fault(status, body=json.dumps({"errors": [{"message": said}]}).encode()))
    with pytest.raises(BackendError) as caught:
        query(connect(), VIEWER, {})
    text = str(caught.value)
    assert "end" in text
    assert text.isprintable()
    assert len(text) < 1300
    for secret in shown:
        assert secret[2:-4] not in text


def test_no_frame_of_ours_holds_the_key_as_text(faulty, connect):
    faulty.hang_up()
    with pytest.raises(BackendError) as caught:
        query(connect(retry_timeout=0.1), VIEWER, {})
    shown = []
    error: BaseException | None = caught.value
    while error is not None:
        step = error.__traceback__
        while step is not None:
            if "runlake" in step.tb_frame.f_globals["__name__"]:
                shown.append(repr(step.tb_frame.f_locals))
            step = step.tb_next
        error = error.__cause__ or error.__context__
    token = base64.b64encode(f"api:{API_KEY}".encode()).decode()
    assert any("variables" in text for text in shown)
    assert not any(API_KEY in text or token in text for text in shown)
