from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.faults.parquet import export_bytes, wide_export_bytes

from runlake.backend.http.client import Client
from runlake.cache.upkeep.dead_attempts import find_dead_attempts
from runlake.exports.download.attempt_file import AttemptFile
from runlake.exports.download.storage_host import StorageHost
from runlake.exports.manifest import Export
from runlake.exports.offers import Offers
from runlake.exports.progress import Traffic
from runlake.settings import load_settings
from runlake.values import RunPath


@pytest.fixture(scope="session")
def export():
    """The content of one export, some 200 kB."""
    return export_bytes()


@pytest.fixture(scope="session")
def wide_export():
    """The content of an export of 200 keys and 6,000 rows."""
    return wide_export_bytes()


@pytest.fixture
def faulty():
    """A server with faults that a test injects."""
    with FaultServer() as server:
        yield server


class Fetcher:
    """Downloads "a" from a faulty server as `pull` does, and remembers what arrived."""

    def __init__(self, server, directory, **settings):
        self.server = server
        self.directory = directory
        self.traffic = Traffic()
        known = load_settings({"base_url": server.base_url}, api_key=API_KEY)
        self.client = Client(replace(known, **settings))
        self.run = RunPath.parse(RUN_PATH)

    def export(self):
        return Export(self.server.url("a"))

    @property
    def n_bytes(self):
        """How many bytes arrived."""
        return self.traffic.n_bytes

    def renew(self, _):
        """Offer the export under a new URL, as `Offers` does."""
        return self.export()

    def host(self, **options):
        """Return the export at its host; this object stands for its offers."""
        return StorageHost(cast("Offers", self), self.export(), self.traffic, **options)

    def download(self, *, held=None):
        """Return the facts and the bytes of the download."""
        with AttemptFile(self.directory, self.export().object) as attempt:
            earlier = find_dead_attempts(self.directory).get(attempt.object_digest, ())
            downloaded = self.host().whole(attempt, held=held, earlier=earlier)
            return downloaded, attempt.path.read_bytes() if downloaded else None


@pytest.fixture
def fetcher(faulty, tmp_path):
    """Builds clients with short timeouts, unless a test gives others."""
    directory = tmp_path / "run"
    directory.mkdir()
    return lambda **settings: Fetcher(
        faulty, directory, **{"timeout": 0.8, "retry_timeout": 8.0, **settings}
    )
