from __future__ import annotations

from dataclasses import replace

import pytest
from tests.faults.fault_server import API_KEY, RUN_PATH, FaultServer
from tests.faults.parquet import export_bytes, wide_export_bytes

from runlake.backend.http.client import Client
from runlake.cache.upkeep.dead_attempts import dead_parts
from runlake.exports.attempt_file import PartFile
from runlake.exports.download import download_export
from runlake.exports.manifest import Export
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
    """A server that fails as it is told."""
    with FaultServer() as server:
        yield server


class Fetcher:
    """Downloads "a" from a faulty server as `pull` does, and remembers what arrived."""

    def __init__(self, server, directory, **settings):
        self.server = server
        self.directory = directory
        self.n_bytes = 0
        known = load_settings({"base_url": server.base_url}, api_key=API_KEY)
        self.client = Client(replace(known, **settings))
        self.run = RunPath.parse(RUN_PATH)

    def export(self):
        return Export(self.server.url("a"))

    def count(self, n_bytes):
        self.n_bytes += n_bytes

    def download(self, *, held=None, renew=None, stop=None):
        """Return what came: its facts and its bytes."""
        export = self.export()
        part = PartFile(self.directory, export.object)
        try:
            downloaded = download_export(
                self.client,
                self.run,
                export,
                part,
                held=held,
                resume_from=dead_parts(self.directory, export.object),
                renew=renew or self.export,
                count=self.count,
                stop=stop,
            )
            return downloaded, part.path.read_bytes() if downloaded else None
        finally:
            part.discard()


@pytest.fixture
def fetcher(faulty, tmp_path):
    """Built with settings that are soon out of patience, unless told otherwise."""
    directory = tmp_path / "run"
    directory.mkdir()
    return lambda **settings: Fetcher(
        faulty, directory, **{"timeout": 0.8, "retry_timeout": 8.0, **settings}
    )
