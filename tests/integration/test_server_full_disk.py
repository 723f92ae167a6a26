"""A full disk is said to be full, and is no fault of the server."""

import asyncio
import errno
import sqlite3

import httpx
import pytest

from runlake.server.app import build_app, open_backend
from runlake.server.runs.files import file_object
from runlake.server.runs.runs import Limits, RunStore
from runlake.server.store.accounts import add_user
from runlake.server.store.objects import Storage

UPSERT = 'mutation { upsertBucket(input: {modelName: "p", name: "r"}) { inserted } }'


@pytest.fixture
def backend(tmp_path):
    return open_backend(tmp_path, "http://storage:2", limits=Limits(), url_expiry=60.0)


def statuses(backend, *requests):
    async def send():
        app = build_app(backend, 2, None)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app)) as http:
            return [(await http.request(*args, **more)).status_code for args, more in requests]

    return asyncio.run(send())


def raise_full_disk(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def raise_full_database(*_):
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def test_requests_that_store_something_are_answered_with_507(backend, monkeypatch):
    key = add_user(backend.database, "anna")
    run, _ = backend.runs.upsert("anna", {"modelName": "p", "name": "r"})
    backend.run_files.announce(run["id"], ["a.bin"])
    url = backend.storage.sign("PUT", file_object(run["id"], "a.bin"))
    upload = (("PUT", url), {"content": b"x"})
    rows = {"files": {"wandb-history.jsonl": {"offset": 0, "content": ["{}"]}}}
    path = "http://api:1/files/anna/p/r/file_stream"
    stream = ("POST", path), {"json": rows, "auth": ("a", key)}
    mutation = ("POST", "http://api:1/graphql"), {"json": {"query": UPSERT}, "auth": ("a", key)}
    assert statuses(backend, upload, stream, mutation) == [200, 200, 200]
    monkeypatch.setattr(Storage, "_new_part", raise_full_disk)
    monkeypatch.setattr(RunStore, "stream", raise_full_database)
    monkeypatch.setattr(RunStore, "upsert", raise_full_database)
    assert statuses(backend, upload, stream, mutation) == [507, 507, 507]


def test_other_failures_of_the_database_are_faults_of_the_server(backend, monkeypatch):
    def fail(*_):
        raise sqlite3.OperationalError("no such table")

    monkeypatch.setattr(RunStore, "stream", fail)
    key = add_user(backend.database, "anna")
    backend.runs.upsert("anna", {"modelName": "p", "name": "r"})
    path = "http://api:1/files/anna/p/r/file_stream"
    with pytest.raises(sqlite3.OperationalError):
        statuses(backend, (("POST", path), {"json": {}, "auth": ("a", key)}))
