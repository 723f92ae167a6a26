"""The embedded backend answers everybody, whatever one client sends or does not send."""

import base64
import contextlib
import http.client
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.server_process import running_server

MB = 1 << 20
PROC = Path("/proc")
N_CONNECTIONS = 20
GRAPHQL = "POST /graphql HTTP/1.1\r\nHost: x\r\n"
STREAM = "POST /files/local/p/r/file_stream HTTP/1.1\r\nHost: x\r\n"
CREATE_FILES = """
mutation CreateRunFiles($files: [String!]!) {
  createRunFiles(
    input: {entityName: "local", projectName: "p", runName: "r", files: $files}
  ) { files { uploadUrl } }
}
"""
LAST_KEY = """
{
  project(entityName: "local", name: "p") {
    runCount(filters: "{\\"summary_metrics.k99999\\": {\\"$gt\\": 0}}")
  }
}
"""
UPSERT_ANY = """
mutation UpsertBucket($input: UpsertBucketInput!) { upsertBucket(input: $input) { inserted } }
"""
COUNT = """
query Count($filters: JSONString) {
  project(entityName: "local", name: "long") { FIELDS }
}
""".replace("FIELDS", " ".join(f"n{at}: runCount(filters: $filters)" for at in range(90)))
UPSERT = 'mutation { upsertBucket(input: {modelName: "p", name: "r"}) { bucket { id } } }'


class Client:
    """Sends requests to a server, some of them incomplete."""

    def __init__(self, server):
        self.server = server
        self.origin = urlsplit(server.base_url)
        token = base64.b64encode(f"api:{server.api_key}".encode()).decode()
        self.key = f"Authorization: Basic {token}\r\n"

    def connect(self, origin=None):
        address = origin or self.origin
        return contextlib.closing(socket.create_connection((address.hostname, address.port), 20))

    def status(self, *parts, origin=None):
        """Send parts of a request as they are; return the status of the answer, None without."""
        with self.connect(origin) as connection:
            # The server may end the connection before everything is sent.
            with contextlib.suppress(ConnectionError):
                for part in parts:
                    connection.sendall(part.encode() if isinstance(part, str) else part)
            return status_of(connection)

    def graphql(self, query, variables=None, *, has_key=True):
        body = {"query": query, "variables": variables or {}}
        return self.post("/graphql", body, has_key=has_key)

    def post(self, path, body, *, has_key=True):
        connection = http.client.HTTPConnection(self.origin.hostname, self.origin.port, timeout=120)
        name, _, value = self.key.strip().partition(": ")
        with contextlib.closing(connection):
            connection.request("POST", path, json.dumps(body), {name: value} if has_key else {})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())


def status_of(connection):
    try:
        answer = connection.recv(100)
    except ConnectionError:
        return None
    return int(answer.split()[1]) if answer else None


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    with running_server(
        tmp_path_factory.mktemp("limits"),
        max_body=1,
        max_upload=1,
        max_connections=N_CONNECTIONS,
        header_timeout=0.5,
        body_timeout=0.5,
        query_timeout=0.5,
    ) as server:
        yield Client(server)


@pytest.fixture(scope="module")
def upload(client):
    """The path and the origin of a signed URL to which a file can be uploaded."""
    assert client.graphql(UPSERT)[0] == 200
    _, answer = client.graphql(CREATE_FILES, {"files": ["a.bin"]})
    url = urlsplit(answer["data"]["createRunFiles"]["files"][0]["uploadUrl"])
    return f"PUT {url.path}?{url.query} HTTP/1.1\r\nHost: x\r\n", url


@pytest.mark.parametrize("start", [GRAPHQL, STREAM])
@pytest.mark.parametrize("key", ["", "Authorization: Basic YXBpOng=\r\n"])
def test_a_long_body_without_a_valid_key_is_refused_before_it_is_sent(client, start, key):
    # Without a key short GraphQL bodies are read, because `serverInfo` needs none.
    expected = 413 if start == GRAPHQL and not key else 401
    assert client.status(start, key, f"Content-Length: {1 << 40}\r\n\r\n") == expected


@pytest.mark.parametrize("start", [GRAPHQL, STREAM])
def test_a_body_above_the_limit_is_refused_before_it_is_sent(client, start):
    assert client.status(start, client.key, f"Content-Length: {MB + 1}\r\n\r\n") == 413


@pytest.mark.parametrize("start", [GRAPHQL, STREAM])
def test_a_body_of_unknown_length_is_refused_at_the_limit(client, start):
    pieces = [b"80000\r\n" + b" " * 0x80000 + b"\r\n"] * 3
    head = (start, client.key, "Transfer-Encoding: chunked\r\n\r\n")
    assert client.status(*head, *pieces) == 413
    # A shorter one is read: it is no JSON object.
    assert client.status(*head, *pieces[:1], "0\r\n\r\n") == 400


def test_an_upload_above_the_limit_is_refused_and_leaves_nothing(client, upload):
    start, origin = upload
    declared = f"Content-Length: {MB + 1}\r\n\r\n"
    assert client.status(start, declared, origin=origin) == 413
    pieces = [b"80000\r\n" + b" " * 0x80000 + b"\r\n"] * 3
    head = (start, "Transfer-Encoding: chunked\r\n\r\n")
    assert client.status(*head, *pieces, origin=origin) == 413
    storage = client.server.access_log.parent / "storage"
    assert [file for file in storage.rglob("*") if file.is_file()] == []
    assert client.status(*head, *pieces[:1], "0\r\n\r\n", origin=origin) == 200


def test_an_upload_to_an_unsigned_url_is_refused_before_it_is_sent(client, upload):
    _, origin = upload
    start = "PUT /storage/files/1/a.bin HTTP/1.1\r\nHost: x\r\n"
    assert client.status(start, f"Content-Length: {MB}\r\n\r\n", origin=origin) == 403


def test_a_body_that_stops_is_refused(client, upload):
    start, origin = upload
    head = "Content-Length: 10\r\n\r\n{"
    assert client.status(GRAPHQL, client.key, head) == 408
    assert client.status(STREAM, client.key, head) == 408
    assert client.status(start, head, origin=origin) == 408


def test_headers_that_stop_end_the_connection(client):
    for sent in ("", "POST /graph", GRAPHQL):
        assert client.status(sent) is None


def test_headers_without_end_are_not_kept(client):
    assert client.status(GRAPHQL, *["X: " + "x" * 60_000 + "\r\n"] * 10) in {None, 400, 431}


def test_silent_connections_lock_nobody_out(client):
    with contextlib.ExitStack() as stack:
        for at in range(3 * N_CONNECTIONS):
            connection = stack.enter_context(client.connect())
            connection.sendall(GRAPHQL.encode())
            if not at % N_CONNECTIONS:
                assert client.graphql("{ viewer { id } }")[0] == 200
        assert client.graphql("{ viewer { id } }")[0] == 200


def test_the_schema_is_shown_to_users_only(client):
    query = "{ __schema { types { name } } }"
    assert client.graphql(query)[1]["data"]["__schema"]["types"]
    (error,) = client.graphql(query, has_key=False)[1]["errors"]
    assert "send an API key" in error["message"]


def test_a_list_of_requests_is_refused(client):
    body = json.dumps([{"query": "{ viewer { id } }"}] * 3)
    head = f"Content-Length: {len(body)}\r\n\r\n"
    assert client.status(GRAPHQL, client.key, head, body) == 400


def test_a_query_that_takes_too_long_is_ended_with_a_message(client):
    long = {"c" * 40 + str(n): {"value": n} for n in range(300)}
    for name in "abcdefgh":
        given = {"modelName": "long", "name": name, "config": json.dumps(long)}
        assert client.graphql(UPSERT_ANY, {"input": given})[0] == 200
    conditions = [{f"config.{'d' * 40}{n}": n} for n in range(1_900)]
    wanted = {"filters": json.dumps({"$or": conditions})}
    errors = client.graphql(COUNT, wanted)[1]["errors"]
    assert {error["message"] for error in errors} == {"the request took more than 0.5 seconds"}


def test_requests_without_a_key_are_answered_where_no_user_is_needed(client):
    answer = client.graphql("{ viewer { id } serverInfo { features { name } } }", has_key=False)
    assert answer[0] == 200
    assert answer[1]["data"]["viewer"] is None
    assert answer[1]["data"]["serverInfo"]["features"]


@pytest.mark.thorough
@pytest.mark.skipif(not PROC.is_dir(), reason="memory is read from /proc")
def test_very_wide_runs_take_limited_memory(tmp_path):
    nested: dict[str, object] = {f"k{n}": "x" * 90 for n in range(100_000)}
    for _ in range(32):
        nested = {"d": nested}
    wide = {f"k{n}": n / 7 for n in range(100_000)}
    files = [
        {"wandb-summary.json": {"offset": 0, "content": [json.dumps(nested)]}},
        {"wandb-history.jsonl": {"offset": 0, "content": [json.dumps({"_step": 0, **wide})]}},
        {"wandb-summary.json": {"offset": 0, "content": [json.dumps(wide)]}},
    ]
    with running_server(tmp_path) as server:
        client = Client(server)
        assert client.graphql(UPSERT)[0] == 200
        before = peak_memory(server.process.pid)
        for sent in files:
            assert client.post("/files/local/p/r/file_stream", {"files": sent})[0] == 200
        assert client.graphql(LAST_KEY)[1]["data"]["project"]["runCount"] == 1
        assert peak_memory(server.process.pid) - before < 600 * MB


def peak_memory(pid):
    (row,) = [x for x in (PROC / f"{pid}/status").read_text().splitlines() if x.startswith("VmHWM")]
    return int(row.split()[1]) * 1024
